//! An event as the caller's thread makes it: complete, but not formatted. The worker writes it as JSON.

use std::fmt;
use std::str::from_utf8;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::model::event::Severity;
use crate::model::stats::RefusalReason;
use crate::payload::buffer::Buffer;
use crate::payload::data;
use crate::process::stack::Stack;

/// The parts that every event has when it is offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHeader {
    /// How many events had been refused before it. The worker numbers the events, and skips as many numbers.
    pub(crate) refused: u64,
    pub(crate) time: SystemTime,
    pub(crate) severity: Severity,
}

/// An event on its way into the queue.
#[derive(Debug)]
pub(crate) enum Record {
    /// All of it in one piece of memory, the thread's own buffer; see [`unpack`].
    Generic(Box<Buffer>),
    OutOfLine(OutOfLine),
}

/// An event that has memory of its own, also in the queue.
#[derive(Debug)]
pub(crate) enum OutOfLine {
    /// A generic event that is too large to be copied from buffer to buffer.
    Generic(Box<[u8]>),
    Other(Box<(EventHeader, EventBody)>),
}

/// An event as it comes out of the queue.
#[derive(Debug)]
pub(crate) enum QueuedEvent<'a> {
    Generic(&'a [u8]),
    OutOfLine(OutOfLine),
}

/// What the queue stores beside each event: a sequence number and a length.
pub(crate) const TAG: usize = 2 * size_of::<u64>();

/// Generic events up to this length are queued one behind the other, in shared memory.
pub(crate) const MAX_INLINE: usize = 1024;

#[derive(Debug)]
pub(crate) enum EventBody {
    SessionStart,
    SessionEnd(Duration),
    Exception(Exception),
}

/// The text of an error or a panic.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) error_type: String,
    pub(crate) message: String,
    pub(crate) traceback: Traceback,
}

/// The causes of an error and, if it was captured, the stack.
#[derive(Debug)]
pub(crate) struct Traceback {
    pub(crate) causes: String,
    /// The worker formats it, since that takes a tenth of a second the first time, and a program that ends must not
    /// wait for that.
    pub(crate) stack: Option<Stack>,
    /// How many bytes of JSON its text may take.
    pub(crate) max: usize,
}

/// How much memory the addresses of a stack take, roughly.
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

impl EventHeader {
    /// The header of an event that happens now.
    #[inline]
    pub(crate) fn now(refused: u64, severity: Severity) -> Self {
        Self { refused, time: SystemTime::now(), severity }
    }
}

impl Record {
    /// Encodes an event of at most `limit` bytes, its name and its data.
    pub(crate) fn generic(
        header: EventHeader,
        name: &str,
        data: &impl Serialize,
        limit: usize,
    ) -> Result<Self, RefusalReason> {
        let room = limit.checked_sub(name.len()).ok_or(RefusalReason::TooLarge)?;
        let packed = data::encode(|out| pack(header, name, out), data, room)?;
        Ok(if packed.len() <= MAX_INLINE { Self::Generic(packed) } else { Self::large(packed) })
    }

    #[cold]
    fn large(packed: Box<Buffer>) -> Self {
        let large = OutOfLine::Generic(packed.bytes().into());
        packed.give_back();
        Self::OutOfLine(large)
    }

    pub(crate) fn other(header: EventHeader, body: EventBody) -> Self {
        Self::OutOfLine(OutOfLine::Other(Box::new((header, body))))
    }

    /// How many bytes of memory it holds, for the queue's budget.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Generic(packed) => TAG + packed.len(),
            Self::OutOfLine(out_of_line) => out_of_line.weight(),
        }
    }

    /// Drops a refused event, and returns its memory to its thread.
    pub(crate) fn discard(self) {
        if let Self::Generic(packed) = self {
            packed.give_back();
        }
    }
}

impl OutOfLine {
    fn weight(&self) -> usize {
        let rest = match self {
            Self::Generic(packed) => packed.len(),
            Self::Other(other) => size_of::<(EventHeader, EventBody)>() + other.1.text(),
        };
        TAG + rest
    }
}

impl QueuedEvent<'_> {
    /// How many bytes of memory it holds: the same number as the [`Record`] had when it was admitted.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Generic(packed) => TAG + packed.len(),
            Self::OutOfLine(out_of_line) => out_of_line.weight(),
        }
    }
}

impl EventBody {
    fn text(&self) -> usize {
        match self {
            Self::SessionStart | Self::SessionEnd(_) => 0,
            Self::Exception(exception) => {
                exception.error_type.len() + exception.message.len() + exception.traceback.weight()
            }
        }
    }
}

/// Writes what stands before the data of a generic event: severity, refused, time, length of the name, name.
#[inline]
fn pack(header: EventHeader, name: &str, out: &mut Buffer) {
    let since_1970 = header.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut fixed = [header.severity as u8; 1 + 8 + 8 + 4 + 8];
    fixed[1..9].copy_from_slice(&header.refused.to_le_bytes());
    fixed[9..17].copy_from_slice(&since_1970.as_secs().to_le_bytes());
    fixed[17..21].copy_from_slice(&since_1970.subsec_nanos().to_le_bytes());
    fixed[21..].copy_from_slice(&(name.len() as u64).to_le_bytes());
    out.put(&fixed);
    out.put(name.as_bytes());
}

/// The parts of a generic event: header, name, and data as [`data::encode`] made it. `None` only for bytes that
/// [`pack`] did not write. A time before 1970 is 1970.
pub(crate) fn unpack(packed: &[u8]) -> Option<(EventHeader, &str, &[u8])> {
    let (severity, rest) = packed.split_first()?;
    let (refused, rest) = rest.split_first_chunk()?;
    let (seconds, rest) = rest.split_first_chunk()?;
    let (nanos, rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_first_chunk()?;
    let (name, data) = rest.split_at_checked(u64::from_le_bytes(*name).try_into().ok()?)?;
    let since_1970 = Duration::new(u64::from_le_bytes(*seconds), u32::from_le_bytes(*nanos));
    let header = EventHeader {
        refused: u64::from_le_bytes(*refused),
        time: UNIX_EPOCH.checked_add(since_1970)?,
        severity: *Severity::ALL.get(usize::from(*severity))?,
    };
    Some((header, from_utf8(name).ok()?, data))
}

#[cfg(test)]
mod tests;
