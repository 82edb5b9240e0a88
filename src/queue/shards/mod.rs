//! Where callers put their events: sixteen chunks, each behind a lock of its own, so that threads rarely meet.
//!
//! Threads that write to the same memory wait for each other's caches. The figures are in
//! [the queue's page](super#the-problem). Callers lock a shard with [`Shards::lock_any`]; the worker takes the chunks
//! out through its [`ShardReader`].

mod reader;

use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;

use crate::payload::record::Record;
use crate::queue::chunk::Chunk;

pub(crate) use reader::ShardReader;

/// In most programs more than there are cores that log at the same moment, and few enough for the worker to look at
/// all of them. If more threads log at once, a call may have to try several before it finds an unlocked one.
const SHARDS: usize = 16;

/// The chunks that are being filled.
#[derive(Debug, Default)]
pub(crate) struct Shards([Shard; SHARDS]);

/// Locked while a caller admits one event and puts it in, and while the worker takes the chunk out. A caller that finds
/// it locked tries another, and waits only if all are locked. Aligned, so that each is in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    chunk: Mutex<Chunk>,
    /// Whether the chunk had events when it was last unlocked: then a locked shard holds events of calls that have
    /// returned.
    had_events: AtomicBool,
}

/// A shard that is locked until this is dropped.
pub(crate) struct LockedShard<'a> {
    chunk: MutexGuard<'a, Chunk>,
    had_events: &'a AtomicBool,
}

/// How many threads have logged.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The shard that the thread tries first: the one that it locked the last time.
    static PREFERRED: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

impl Shards {
    /// Locks a shard. Never sleeps.
    #[inline]
    pub(crate) fn lock_any(&self) -> LockedShard<'_> {
        let preferred = PREFERRED.get();
        self.0[preferred].try_lock().unwrap_or_else(|| self.lock_another(preferred))
    }

    /// The preferred shard is locked by the worker, by another thread, or by a call on this thread that a signal
    /// interrupted. The thread then prefers the one that it finds here: two threads that prefer the same one would meet
    /// there for as long as they live.
    #[cold]
    fn lock_another(&self, preferred: usize) -> LockedShard<'_> {
        loop {
            for at in (preferred..SHARDS).chain(0..preferred) {
                if let Some(shard) = self.0[at].try_lock() {
                    PREFERRED.set(at);
                    return shard;
                }
            }
            thread::yield_now(); // sixteen callers are inside, each about to leave
        }
    }
}

impl Shard {
    #[inline]
    fn try_lock(&self) -> Option<LockedShard<'_>> {
        let chunk = match self.chunk.try_lock() {
            Ok(chunk) => chunk,
            Err(TryLockError::Poisoned(chunk)) => chunk.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(LockedShard { chunk, had_events: &self.had_events })
    }

    /// Takes the chunk out; `None` if a caller is inside. Does not sleep on the lock: the caller that unlocks it would
    /// have to wake the worker.
    fn take(&self) -> Option<Chunk> {
        self.try_lock().map(|mut shard| mem::take(&mut *shard.chunk))
    }
}

impl LockedShard<'_> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as of `Chunk::put`")]
    pub(crate) fn put(&mut self, sequence: u64, record: Record) {
        self.chunk.put(sequence, record);
    }

    /// Takes the chunk out if it is full, and leaves an empty one.
    #[inline]
    pub(crate) fn take_full(&mut self) -> Option<Chunk> {
        self.chunk.is_full().then(|| self.chunk.replace())
    }
}

impl Drop for LockedShard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Before the lock is released, which is when the guard is dropped.
        self.had_events.store(!self.chunk.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Shards {
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.try_lock().map_or(0, |shard| shard.chunk.len())).sum()
    }
}

#[cfg(test)]
mod tests;
