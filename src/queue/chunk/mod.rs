//! Many events in one piece of memory: what callers fill, the channel carries, and the worker empties.
//!
//! Memory that one thread allocates and another frees is expensive: both use the allocator's lock, and the memory that
//! comes back is in the other core's cache. So one piece holds many events.

use std::collections::VecDeque;
use std::mem;

use crate::payload::buffer::Buffer;
use crate::payload::record::{MAX_INLINE, OutOfLine, QueuedEvent, Record, TAG};

/// A chunk is full with this many events: as many as a batch has by default, and as many as wake the worker by default.
/// So a chunk of a thread that logs alone is a batch.
pub(crate) const FULL: usize = 100;

/// A chunk is also full with this many inline bytes. A larger chunk would have to grow, and the one call that moves it
/// would take longer than a thousand others.
const FULL_BYTES: usize = 16 * 1024;

/// A full chunk has at least this many events.
pub(crate) const MIN_FULL: usize = FULL_BYTES / (TAG + MAX_INLINE);

/// Stands in place of the length of an event that is not inline.
const OUT_OF_LINE: u64 = u64::MAX;

/// Events in the order of their sequences. The first one put in is the first to come out.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// For each event its sequence, its length, and its bytes, unless it is out of line.
    inline: Buffer,
    /// Where in `inline` the next event to come out begins.
    read_at: usize,
    out_of_line: VecDeque<OutOfLine>,
    /// How many were put in.
    events: usize,
}

impl Chunk {
    /// Appends an event.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "its one caller takes 30 instructions more where the compiler does not"
    )]
    pub(crate) fn put(&mut self, sequence: u64, record: Record) {
        self.events += 1;
        match record {
            Record::Generic(packed) => {
                self.put_tag(sequence, packed.len() as u64);
                self.inline.put(packed.bytes());
                packed.give_back();
            }
            Record::OutOfLine(out_of_line) => {
                self.put_tag(sequence, OUT_OF_LINE);
                self.out_of_line.push_back(out_of_line);
            }
        }
    }

    #[inline]
    fn put_tag(&mut self, sequence: u64, len: u64) {
        let mut tag = [0; TAG];
        let (first, second) = tag.split_at_mut(size_of_val(&sequence));
        first.copy_from_slice(&sequence.to_ne_bytes());
        second.copy_from_slice(&len.to_ne_bytes());
        self.inline.put(&tag);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events >= FULL || self.inline.len() >= FULL_BYTES
    }

    /// Takes this chunk, which is full, and leaves an empty one in its place. The empty one has room from the start for
    /// as many bytes and a sixteenth more. Growing step by step cost four threads that log as fast as they can as much
    /// as all the rest of their calls.
    pub(crate) fn replace(&mut self) -> Self {
        let inline = Buffer::with_room(self.inline.len() * 17 / 16);
        mem::replace(self, Self { inline, ..Self::default() })
    }

    /// The sequence of the next event to come out; `None` if all have.
    #[inline]
    pub(crate) fn sequence(&self) -> Option<u64> {
        let (sequence, _) = self.inline.bytes().get(self.read_at..)?.split_first_chunk()?;
        Some(u64::from_ne_bytes(*sequence))
    }

    /// Whether every event has come out.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.read_at >= self.inline.len()
    }

    /// Takes the next event out.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<QueuedEvent<'_>> {
        let (tag, rest) = self.inline.bytes().get(self.read_at..)?.split_first_chunk::<TAG>()?;
        self.read_at += TAG;
        let len = u64::from_ne_bytes(*tag.last_chunk()?);
        if len == OUT_OF_LINE {
            return self.out_of_line.pop_front().map(QueuedEvent::OutOfLine);
        }
        let packed = rest.get(..usize::try_from(len).ok()?)?;
        self.read_at += packed.len();
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
