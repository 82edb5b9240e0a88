//! Where a thread writes its events: one block of memory for many, of which each goes to the worker as a share.
//!
//! Memory that one thread takes and another gives back is dear: the allocator's lock is between the two, and what
//! comes back is in the other core's cache. With a piece for each event, a program that calls now and then paid half as
//! much again.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};

/// A thread's first block. Each is twice as large as the one before, so that what a thread leaves unused when it ends is
/// no more than this, or than it wrote.
const FIRST_BLOCK: usize = 256;

/// The largest block: some eighty usual events.
const LAST_BLOCK: usize = 8 * 1024;

/// Larger events are copied, into memory of their own: as shares they would leave too much of a block unused.
const LARGEST_SHARE: usize = LAST_BLOCK / 4;

/// A block that grew for one event serves the next ones up to this size: little for an idle thread.
const LARGEST_KEPT: usize = 16 * 1024;

thread_local! {
    static OWN: Cell<Option<Buffer>> = const { Cell::new(None) };
}

/// One event in the making, at the start of what is left of the block.
#[derive(Default)]
pub(crate) struct Buffer {
    /// Zeros, or what an event left that was not kept: all of it can be written to.
    block: BytesMut,
    written: usize,
    next_block: usize,
}

impl Buffer {
    /// The thread's own, with nothing written. While the thread's locals are torn down it has none, and the event pays
    /// for one.
    #[inline]
    pub(crate) fn take() -> Self {
        OWN.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    /// Leaves the rest to the thread, and forgets what was written.
    #[inline]
    pub(crate) fn give_back(mut self) {
        self.written = 0;
        if self.block.len() <= LARGEST_KEPT {
            let _ = OWN.try_with(|own| own.set(Some(self)));
        }
    }

    /// Leaves the rest to the thread, and gives what was written.
    #[inline]
    pub(crate) fn cut(mut self) -> Bytes {
        let written = if self.written <= LARGEST_SHARE {
            self.block.split_to(self.written).freeze()
        } else {
            Bytes::copy_from_slice(self.bytes())
        };
        self.give_back();
        written
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.block[..self.written]
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.written
    }

    /// Forgets what was written past this length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.written = self.written.min(len);
    }

    /// The next so many bytes, to be written to; `None` where the block has to grow first.
    #[inline]
    pub(crate) fn next(&mut self, len: usize) -> Option<&mut [u8]> {
        let next = self.block[self.written..].get_mut(..len)?;
        self.written += len;
        Some(next)
    }

    #[inline]
    pub(crate) fn put(&mut self, part: &[u8]) {
        let Some(room) = self.next(part.len()) else {
            self.grow(part.len());
            return self.put(part);
        };
        room.copy_from_slice(part);
    }

    /// Puts a part before what was written from `at` on.
    pub(crate) fn insert(&mut self, at: usize, part: &[u8]) {
        self.put(part);
        self.block[at..self.written].rotate_right(part.len());
    }

    /// All that can be written to without growing.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.block[self.written..]
    }

    /// Makes room for so many bytes.
    #[cold]
    pub(crate) fn grow(&mut self, by: usize) {
        let size = self.next_block.max(2 * (self.written + by)).max(FIRST_BLOCK);
        let mut larger = BytesMut::zeroed(size);
        larger[..self.written].copy_from_slice(self.bytes());
        self.block = larger;
        self.next_block = (2 * size).min(LAST_BLOCK);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn write(part: &[u8]) -> Bytes {
        let mut buffer = Buffer::take();
        buffer.put(part);
        buffer.cut()
    }

    /// On a thread that has no buffer yet.
    fn on_a_new_thread(run: impl FnOnce() + Send) {
        thread::scope(|scope| scope.spawn(run).join().unwrap());
    }

    #[test]
    fn events_share_blocks_and_each_has_its_own_bytes() {
        on_a_new_thread(|| {
            let events: Vec<_> = (0..10_000_u32).map(|n| write(&n.to_le_bytes())).collect();
            for (n, event) in (0..10_000_u32).zip(&events) {
                assert_eq!(event[..], n.to_le_bytes());
            }
            let ends_where_the_next_begins =
                |pair: &[Bytes]| pair[0].as_ptr_range().end == pair[1].as_ptr_range().start;
            let blocks = 1 + events.windows(2).filter(|pair| !ends_where_the_next_begins(pair)).count();
            assert!((5..15).contains(&blocks), "{blocks} for 40 kB, the first of them small");
        });
    }

    /// Looks at the thread's own.
    fn own<T>(look: impl FnOnce(&Buffer) -> T) -> Option<T> {
        let own = OWN.take()?;
        let seen = look(&own);
        OWN.set(Some(own));
        Some(seen)
    }

    #[test]
    fn a_thread_takes_no_more_than_twice_what_it_writes() {
        const EVENT: [u8; 100] = [b'x'; 100];
        for events in [1, 2, 10, 100, 10_000] {
            on_a_new_thread(|| {
                let mut taken = 0;
                for _ in 0..events {
                    let before = own(|own| own.block.len()).unwrap_or_default();
                    drop(write(&EVENT));
                    let left = own(|own| own.block.len()).unwrap();
                    let is_fresh = before < EVENT.len();
                    taken += if is_fresh { left + EVENT.len() } else { 0 };
                }
                assert!(taken <= FIRST_BLOCK.max(2 * EVENT.len() * events), "{taken} for {events}");
            });
        }
    }

    #[test]
    fn a_large_event_takes_its_size_and_its_block_serves_the_next() {
        on_a_new_thread(|| {
            let block = |own: &Buffer| (own.block.as_ptr(), own.block.len());
            drop(write(&[b'x'; LARGEST_SHARE + 1]));
            let before = own(block);
            drop(write(&[b'y'; LARGEST_SHARE + 1]));
            assert_eq!(own(block), before);
            drop(write(&vec![b'z'; LARGEST_KEPT + 1]));
            assert_eq!(own(block), None, "no thread keeps as much");
        });
    }

    #[test]
    fn what_is_given_back_is_forgotten() {
        on_a_new_thread(|| {
            let mut buffer = Buffer::take();
            buffer.put(b"secret");
            buffer.give_back();
            assert_eq!(write(b"next"), b"next"[..]);
        });
    }

    #[test]
    fn a_part_is_put_before_another() {
        let mut buffer = Buffer::default();
        buffer.put(b"head:value");
        buffer.insert(5, b"the ");
        assert_eq!(buffer.bytes(), b"head:the value");
        buffer.truncate(4);
        buffer.truncate(9);
        assert_eq!(buffer.bytes(), b"head");
    }
}
