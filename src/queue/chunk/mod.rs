//! Events one behind the other in one piece of memory: what callers gather, and the queue carries.
//!
//! Memory that one thread takes and another gives back is dear: the allocator's lock is between the two, and what comes
//! back is in the other core's cache. So there is a piece for many events.

use std::collections::VecDeque;
use std::mem;

use crate::payload::buffer::Buffer;
use crate::payload::record::{Apart, LONGEST_INLINE, Queued, Record, TAG};

/// How many events make a run full: as many as make a batch and wake the worker, unless other numbers were set. So
/// the run of a thread that logs alone is the batch.
pub(crate) const FULL: usize = 100;

/// So many bytes in line make it full too. To move a large run as it grows would take a call longer than a thousand
/// others.
const FULL_BYTES: usize = 16 * 1024;

/// How many events there are in a full run at least.
pub(crate) const LEAST: usize = FULL_BYTES / (TAG + LONGEST_INLINE);

/// In the place of an event's length: it is not in the line.
const IS_APART: u64 = u64::MAX;

/// Events in the order of their tickets, which they come out in.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Of each event its ticket, its length, and its bytes.
    line: Buffer,
    /// Where in the line the next event to come out begins.
    at: usize,
    apart: VecDeque<Apart>,
    /// How many were put in.
    events: usize,
}

impl Run {
    /// Puts an event behind the others.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "its one caller takes 30 instructions more where the compiler does not"
    )]
    pub(crate) fn put(&mut self, ticket: u64, record: Record) {
        self.events += 1;
        match record {
            Record::Generic(packed) => {
                self.tag(ticket, packed.len() as u64);
                self.line.put(packed.bytes());
                packed.give_back();
            }
            Record::Apart(apart) => {
                self.tag(ticket, IS_APART);
                self.apart.push_back(apart);
            }
        }
    }

    #[inline]
    fn tag(&mut self, ticket: u64, len: u64) {
        let mut tag = [0; TAG];
        let (first, second) = tag.split_at_mut(size_of_val(&ticket));
        first.copy_from_slice(&ticket.to_ne_bytes());
        second.copy_from_slice(&len.to_ne_bytes());
        self.line.put(&tag);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events >= FULL || self.line.len() >= FULL_BYTES
    }

    /// Gives this run, which is full, and begins the one behind it. That one has room for events that are a little
    /// larger from the start: to grow little by little cost each of four threads that log as fast as they can as much
    /// as all the rest.
    pub(crate) fn renew(&mut self) -> Self {
        let line = Buffer::with_room(self.line.len() * 17 / 16);
        mem::replace(self, Self { line, ..Self::default() })
    }

    /// The ticket of the next event to come out; `None` once all are.
    #[inline]
    pub(crate) fn ticket(&self) -> Option<u64> {
        let (ticket, _) = self.line.bytes().get(self.at..)?.split_first_chunk()?;
        Some(u64::from_ne_bytes(*ticket))
    }

    /// Takes the next event out.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Queued<'_>> {
        let (tag, rest) = self.line.bytes().get(self.at..)?.split_first_chunk::<TAG>()?;
        self.at += TAG;
        let len = u64::from_ne_bytes(*tag.last_chunk()?);
        if len == IS_APART {
            return self.apart.pop_front().map(Queued::Apart);
        }
        let packed = rest.get(..usize::try_from(len).ok()?)?;
        self.at += packed.len();
        Some(Queued::Generic(packed))
    }
}

#[cfg(test)]
impl Run {
    /// How many were put in.
    pub(crate) fn len(&self) -> usize {
        self.events
    }
}

#[cfg(test)]
mod tests;
