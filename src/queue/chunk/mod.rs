//! Events one behind the other in one piece of memory: what callers gather, and the queue carries.
//!
//! Memory that one thread takes and another gives back is dear: the allocator's lock is between the two, and what comes
//! back is in the other core's cache. So there is a piece for many events.

use std::collections::VecDeque;
use std::mem;

use crate::payload::buffer::Buffer;
use crate::payload::record::{MAX_INLINE, OutOfLine, QueuedEvent, Record, TAG};

/// How many events make a chunk full: as many as make a batch and wake the worker, unless other numbers were set. So
/// the chunk of a thread that logs alone is the batch.
pub(crate) const FULL: usize = 100;

/// So many bytes in line make it full too. To move a large chunk as it grows would take a call longer than a thousand
/// others.
const FULL_BYTES: usize = 16 * 1024;

/// How many events there are in a full chunk at least.
pub(crate) const LEAST: usize = FULL_BYTES / (TAG + MAX_INLINE);

/// In the place of an event's length: it is not in the line.
const IS_OUT_OF_LINE: u64 = u64::MAX;

/// Events in the order of their sequences, which they come out in.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Of each event its sequence, its length, and its bytes.
    line: Buffer,
    /// Where in the line the next event to come out begins.
    at: usize,
    out_of_line: VecDeque<OutOfLine>,
    /// How many were put in.
    events: usize,
}

impl Chunk {
    /// Puts an event behind the others.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "its one caller takes 30 instructions more where the compiler does not"
    )]
    pub(crate) fn put(&mut self, sequence: u64, record: Record) {
        self.events += 1;
        match record {
            Record::Generic(packed) => {
                self.tag(sequence, packed.len() as u64);
                self.line.put(packed.bytes());
                packed.give_back();
            }
            Record::OutOfLine(out_of_line) => {
                self.tag(sequence, IS_OUT_OF_LINE);
                self.out_of_line.push_back(out_of_line);
            }
        }
    }

    #[inline]
    fn tag(&mut self, sequence: u64, len: u64) {
        let mut tag = [0; TAG];
        let (first, second) = tag.split_at_mut(size_of_val(&sequence));
        first.copy_from_slice(&sequence.to_ne_bytes());
        second.copy_from_slice(&len.to_ne_bytes());
        self.line.put(&tag);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events >= FULL || self.line.len() >= FULL_BYTES
    }

    /// Gives this chunk, which is full, and begins the one behind it. That one has room for events that are a little
    /// larger from the start: to grow little by little cost each of four threads that log as fast as they can as much
    /// as all the rest.
    pub(crate) fn renew(&mut self) -> Self {
        let line = Buffer::with_room(self.line.len() * 17 / 16);
        mem::replace(self, Self { line, ..Self::default() })
    }

    /// The sequence of the next event to come out; `None` once all are.
    #[inline]
    pub(crate) fn sequence(&self) -> Option<u64> {
        let (sequence, _) = self.line.bytes().get(self.at..)?.split_first_chunk()?;
        Some(u64::from_ne_bytes(*sequence))
    }

    /// Takes the next event out.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<QueuedEvent<'_>> {
        let (tag, rest) = self.line.bytes().get(self.at..)?.split_first_chunk::<TAG>()?;
        self.at += TAG;
        let len = u64::from_ne_bytes(*tag.last_chunk()?);
        if len == IS_OUT_OF_LINE {
            return self.out_of_line.pop_front().map(QueuedEvent::OutOfLine);
        }
        let packed = rest.get(..usize::try_from(len).ok()?)?;
        self.at += packed.len();
        Some(QueuedEvent::Generic(packed))
    }
}

#[cfg(test)]
impl Chunk {
    /// How many were put in.
    pub(crate) fn len(&self) -> usize {
        self.events
    }
}

#[cfg(test)]
mod tests;
