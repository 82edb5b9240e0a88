//! How a thread hands its events over: one block of memory for many, of which each event is a share.
//!
//! Memory that one thread takes and another gives back is dear: the allocator's lock is between the two, and what
//! comes back is in the other core's cache. With a piece for each event, a program that calls now and then paid half as
//! much again.
//!
//! A block is of atomic words, so that its thread may write the end of it while another reads the beginning. They never
//! meet in one word: a share is written before it is given away, and the queue orders what both do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const WORD: usize = size_of::<usize>();

/// A thread's first block, in words. Each is twice as large as the one before, so that what a thread leaves unused when
/// it ends is no more than this, or than it wrote.
const FIRST_BLOCK: usize = 256 / WORD;

/// The largest block: some seventy usual events.
const LAST_BLOCK: usize = 8 * 1024 / WORD;

/// Larger events have a block of their own: as shares they would leave too much of one unused.
const LARGEST_SHARE: usize = LAST_BLOCK / 4;

/// The bytes of one event. Small, since the queue has a slot for each.
#[derive(Debug)]
pub(crate) struct Share {
    block: Arc<Block>,
    at: usize,
}

/// Of each share the length in bytes, then the bytes.
#[derive(Debug, Default)]
struct Block(Box<[AtomicUsize]>);

/// Where a thread's next share comes from.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    block: Arc<Block>,
    taken: usize,
}

impl Shares {
    /// A share with the first `len` of these bytes, of which there must be whole words.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: &[u8], len: usize) -> Share {
        let size = 1 + len.div_ceil(WORD);
        let share = if size <= LARGEST_SHARE { self.take(size) } else { Share::alone(size) };
        share.write(&bytes[..(size - 1) * WORD], len);
        share
    }

    #[inline]
    fn take(&mut self, size: usize) -> Share {
        if self.left() < size {
            self.renew(size);
        }
        let share = Share { block: Arc::clone(&self.block), at: self.taken };
        self.taken += size;
        share
    }

    fn left(&self) -> usize {
        self.block.0.len() - self.taken
    }

    #[cold]
    fn renew(&mut self, least: usize) {
        let size = (2 * self.block.0.len()).clamp(FIRST_BLOCK, LAST_BLOCK).max(least);
        *self = Self { block: Arc::new(Block::new(size)), taken: 0 };
    }
}

impl Block {
    fn new(size: usize) -> Self {
        Self((0..size).map(|_| AtomicUsize::new(0)).collect())
    }
}

impl Share {
    #[cold]
    fn alone(size: usize) -> Self {
        Self { block: Arc::new(Block::new(size)), at: 0 }
    }

    #[inline]
    fn write(&self, bytes: &[u8], len: usize) {
        let Some((first, words)) = self.block.0[self.at..].split_first() else { return };
        first.store(len, Ordering::Relaxed);
        for (word, part) in words.iter().zip(bytes.chunks_exact(WORD)) {
            let mut bytes = [0; WORD];
            bytes.copy_from_slice(part);
            word.store(usize::from_ne_bytes(bytes), Ordering::Relaxed);
        }
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.block.0.get(self.at).map_or(0, |len| len.load(Ordering::Relaxed))
    }

    /// Puts its bytes in place of what is there.
    pub(crate) fn read(&self, into: &mut Vec<u8>) {
        let size = self.len().div_ceil(WORD);
        into.resize(size * WORD, 0);
        for (bytes, word) in into.chunks_exact_mut(WORD).zip(&self.block.0[self.at + 1..]) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        into.truncate(self.len());
    }
}

#[cfg(test)]
impl Share {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![b'?'; 100];
        self.read(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the nth event.
    fn nth(n: usize) -> Vec<u8> {
        vec![n.to_le_bytes()[0]; n % 50]
    }

    /// These bytes, and as many more as fill the last word.
    fn padded(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(WORD), b'-');
        bytes
    }

    #[test]
    fn events_share_blocks_and_each_has_its_own_bytes() {
        let mut shares = Shares::default();
        let events: Vec<_> = (0..10_000).map(|n| shares.copy(&padded(&nth(n)), nth(n).len())).collect();
        for (n, share) in events.iter().enumerate() {
            assert_eq!((share.len(), share.bytes()), (nth(n).len(), nth(n)));
        }
        let blocks =
            1 + events.windows(2).filter(|pair| !Arc::ptr_eq(&pair[0].block, &pair[1].block)).count();
        assert!((40..60).contains(&blocks), "{blocks} for 360 kB, the first of them small");
    }

    #[test]
    fn a_thread_takes_no_more_than_twice_what_it_writes() {
        for (events, len) in [(1, 100), (2, 100), (10, 100), (100, 100), (10_000, 100), (100, 2_000)] {
            let event = padded(&vec![b'x'; len]);
            let mut shares = Shares::default();
            let (mut taken, mut wrote) = (0, 0);
            for _ in 0..events {
                let before = Arc::clone(&shares.block);
                drop(shares.copy(&event, len));
                wrote += WORD + event.len();
                let is_fresh = !Arc::ptr_eq(&before, &shares.block);
                taken += if is_fresh { shares.block.0.len() * WORD } else { 0 };
            }
            assert!(taken <= (FIRST_BLOCK * WORD).max(2 * wrote), "{taken} for {wrote}");
        }
    }

    #[test]
    fn a_block_is_filled_to_its_last_word() {
        let mut shares = Shares::default();
        let one_word = || padded(&[b'x'; WORD]);
        let events: Vec<_> = (0..FIRST_BLOCK / 2).map(|_| shares.copy(&one_word(), WORD)).collect();
        assert!(events.iter().all(|share| Arc::ptr_eq(&share.block, &events[0].block)));
        assert_eq!(events[0].block.0.len() * WORD, 256);
        assert!(!Arc::ptr_eq(&shares.copy(&one_word(), WORD).block, &events[0].block), "it is full");
    }

    #[test]
    fn a_large_event_takes_its_size_and_its_thread_goes_on_where_it_was() {
        let mut shares = Shares::default();
        let first = shares.copy(&padded(b"first"), 5);
        let large = vec![b'x'; LARGEST_SHARE * WORD];
        let alone = shares.copy(&large, large.len());
        let next = shares.copy(&padded(b"next"), 4);
        assert_eq!(alone.block.0.len(), 1 + LARGEST_SHARE);
        assert!(Arc::ptr_eq(&first.block, &next.block));
        assert_eq!(
            [first.bytes(), alone.bytes(), next.bytes()],
            [b"first".to_vec(), large, b"next".to_vec()]
        );
    }

    #[test]
    fn what_one_thread_writes_another_reads_while_the_block_goes_on() {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut shares = Shares::default();
                for n in 0..100_000 {
                    send.send((n, shares.copy(&padded(&nth(n)), nth(n).len()))).unwrap();
                }
            });
            for (n, share) in receive {
                assert_eq!(share.bytes(), nth(n));
            }
        });
    }
}
