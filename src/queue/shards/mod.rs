//! Where callers put their events: a chunk for each thread, or nearly.
//!
//! Threads that write to the same memory wait for each other's caches, and they did little else: of four that log as
//! fast as they can, each call took 700 ns by way of one channel, and takes a third of that with this.

use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;

use crate::queue::chunk::Chunk;

/// More than there are cores that log at the same moment, in most programs; and few enough to look through. Where
/// there are more, a call may have to ask for several before it finds one that is free.
const SHARDS: usize = 16;

/// Runs in the making.
#[derive(Debug, Default)]
pub(crate) struct Shards([Shard; SHARDS]);

/// Locked while one event is let in and put in, or while the worker takes the chunk out. A caller who finds it locked
/// goes to another; only who finds all of them locked waits, and so does the worker, no longer than it must. In cache
/// lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Chunk>);

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The shard that the thread tries first: where it found room the last time.
    static HOME: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

impl Shards {
    /// A chunk that nobody else writes to now.
    #[inline]
    pub(crate) fn lock_any(&self) -> MutexGuard<'_, Chunk> {
        let home = HOME.get();
        self.0[home].try_lock().unwrap_or_else(|| self.lock_another(home))
    }

    /// Where the thread's own is in use: by the worker, by another thread, or by what a signal interrupted. The thread
    /// moves: two that share a home would meet there for as long as they live.
    #[cold]
    fn lock_another(&self, home: usize) -> MutexGuard<'_, Chunk> {
        loop {
            for at in (home..SHARDS).chain(0..home) {
                if let Some(chunk) = self.0[at].try_lock() {
                    HOME.set(at);
                    return chunk;
                }
            }
            thread::yield_now(); // sixteen threads, each about to be done
        }
    }

    /// Takes what is there. An event whose sequence was taken before this is in it, or in a chunk that was filled and given
    /// away before this. A chunk that a caller is in is asked for again as long as `wait` says so, and then left.
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

    /// Does not sleep on the lock: a caller who leaves would then have to wake who sleeps.
    #[inline(never)] // or it is in the program sixteen times
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
