//! An event as the caller's thread leaves it: everything known, nothing formatted. It becomes JSON on the worker.

use std::borrow::Cow;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) error_type: String,
    pub(crate) message: String,
    pub(crate) traceback: Option<String>,
}

impl Body {
    /// The bytes that it keeps in memory, for the queue's budget.
    pub(crate) fn weight(&self) -> usize {
        let text = match self {
            Self::Generic { name, data } => name.len() + data.len(),
            Self::Exception(exception) => {
                let traceback = exception.traceback.as_ref().map_or(0, String::len);
                exception.error_type.len() + exception.message.len() + traceback
            }
            Self::SessionStart | Self::SessionEnd(_) => 0,
        };
        size_of::<Record>() + text
    }
}
