//! Where callers put their events: sixteen chunks, each behind a lock of its own, so that threads rarely meet.
//!
//! Threads that write to the same memory wait for each other's caches. The figures are in
//! [the queue's page](super#the-problem).

use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;

use crate::queue::chunk::Chunk;

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
struct Shard(Mutex<Chunk>);

/// How many threads have logged.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The shard that the thread tries first: the one that it locked the last time.
    static PREFERRED: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

impl Shards {
    /// Locks a shard. Never sleeps.
    #[inline]
    pub(crate) fn lock_any(&self) -> MutexGuard<'_, Chunk> {
        let preferred = PREFERRED.get();
        self.0[preferred].try_lock().unwrap_or_else(|| self.lock_another(preferred))
    }

    /// The preferred shard is locked by the worker, by another thread, or by a call on this thread that a signal
    /// interrupted. The thread then prefers the one that it finds here: two threads that prefer the same one would meet
    /// there for as long as they live.
    #[cold]
    fn lock_another(&self, preferred: usize) -> MutexGuard<'_, Chunk> {
        loop {
            for at in (preferred..SHARDS).chain(0..preferred) {
                if let Some(chunk) = self.0[at].try_lock() {
                    PREFERRED.set(at);
                    return chunk;
                }
            }
            thread::yield_now(); // sixteen callers are inside, each about to leave
        }
    }

    /// Takes the chunks out. An event whose sequence was drawn before this call is in one of them, or in a full chunk
    /// that was sent before, or its caller is still inside. A locked shard is tried again as long as `wait`, which is
    /// given the number of tries so far, returns true; then it is left out.
    pub(crate) fn take(&self, wait: impl Fn(usize) -> bool) -> impl Iterator<Item = Chunk> {
        self.0.iter().map(move |shard| shard.take(&wait))
    }
}

#[cfg(test)]
impl Shards {
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.try_lock().map_or(0, |chunk| chunk.len())).sum()
    }
}

impl Shard {
    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, Chunk>> {
        match self.0.try_lock() {
            Ok(chunk) => Some(chunk),
            Err(TryLockError::Poisoned(chunk)) => Some(chunk.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does not sleep on the lock: the caller that unlocks it would have to wake the worker.
    #[inline(never)] // the compiler unrolls the loop over the shards, and copies this sixteen times
    fn take(&self, wait: impl Fn(usize) -> bool) -> Chunk {
        for tries in 0.. {
            if let Some(mut chunk) = self.try_lock() {
                return mem::take(&mut *chunk);
            }
            if !wait(tries) {
                break;
            }
        }
        Chunk::default()
    }
}

#[cfg(test)]
mod tests;
