//! An event as the caller's thread leaves it: everything known, nothing formatted. It becomes JSON on the worker.

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::event::Severity;

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) index: u64,
    pub(crate) time: SystemTime,
    pub(crate) severity: Severity,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Generic {
        name: Cow<'static, str>,
        /// A JSON object.
        data: Box<[u8]>,
    },
    SessionStart,
    SessionEnd(Duration),
    /// Boxed: rare, and every slot of the queue is as large as the largest body.
    Exception(Box<Exception>),
}

/// The text of an error or a panic.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) error_type: String,
    pub(crate) message: String,
    pub(crate) traceback: Traceback,
}

/// The causes of an error and, where one was captured, the stack.
#[derive(Debug)]
pub(crate) struct Traceback {
    pub(crate) causes: String,
    /// Addresses only until it is shown: looking up their names takes a tenth of a second the first time, and a
    /// program that waits for its end must not wait for that. Shared: a panic may be told to several reporters.
    pub(crate) stack: Option<Arc<Backtrace>>,
    /// How many bytes its text may have.
    pub(crate) max: usize,
}

/// What the addresses of a stack hold in memory, roughly.
const STACK_WEIGHT: usize = 4 * 1024;

impl Traceback {
    fn weight(&self) -> usize {
        self.causes.len() + if self.stack.is_some() { STACK_WEIGHT } else { 0 }
    }
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.causes)?;
        match &self.stack {
            Some(stack) => write!(f, "\n\nStack backtrace:\n{stack}"),
            None => Ok(()),
        }
    }
}

impl Body {
    /// The bytes that it keeps in memory, for the queue's budget.
    pub(crate) fn weight(&self) -> usize {
        let text = match self {
            Self::Generic { name, data } => name.len() + data.len(),
            Self::Exception(exception) => {
                exception.error_type.len() + exception.message.len() + exception.traceback.weight()
            }
            Self::SessionStart | Self::SessionEnd(_) => 0,
        };
        size_of::<Record>() + text
    }
}
