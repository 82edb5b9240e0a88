//! The server that everyone reports to, in a process of its own: its work is not charged to the client, and a
//! client cannot be faster by sharing its memory.

mod handle;
mod request;
mod server;

pub(crate) use handle::Sink;
pub(crate) use server::serve;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};

/// What the sink does after it has read a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers 200 this long after the end of the request.
    After(Duration),
    /// Accepts and reads, and never answers.
    Stalled,
}

/// The argument of the sink's process: milliseconds, or `stalled`.
impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(delay) => write!(f, "{}", delay.as_millis()),
            Self::Stalled => f.write_str("stalled"),
        }
    }
}

impl FromStr for Manner {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "stalled" {
            return Ok(Self::Stalled);
        }
        let milliseconds = text.parse().with_context(|| format!("no manner {text:?}"))?;
        Ok(Self::After(Duration::from_millis(milliseconds)))
    }
}
