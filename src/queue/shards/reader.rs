//! The worker's view of the shards: it takes the chunks out, and knows which shards are held up.
//!
//! A caller is inside a shard for much less than a microsecond, unless its thread loses its core there or is
//! suspended. The worker waits for it a little, because the next event may be the caller's. It does not wait for ever:
//! then one suspended thread would stop all delivery. A shard whose caller did not come out in time is *held up*. From
//! then on the worker tries it without waiting, until a try succeeds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{SHARDS, Shard, Shards};
use crate::queue::chunk::Chunk;

#[derive(Debug)]
pub(crate) struct ShardReader {
    shards: Arc<Shards>,
    /// What the last look at each shard found.
    seen: [Seen; SHARDS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    /// Its chunk was taken out.
    #[default]
    Unlocked,
    /// A caller was inside.
    Locked,
    /// A caller was inside and stayed longer than the worker waited.
    HeldUp { since: Instant },
}

impl ShardReader {
    pub(crate) fn new(shards: Arc<Shards>) -> Self {
        Self { shards, seen: Default::default() }
    }

    /// Tries each shard once, and gives the chunks to `keep`.
    pub(crate) fn take_unlocked(&mut self, mut keep: impl FnMut(Chunk)) {
        for (shard, seen) in self.looks() {
            match shard.take() {
                Some(chunk) => {
                    *seen = Seen::Unlocked;
                    keep(chunk);
                }
                None if *seen == Seen::Unlocked => *seen = Seen::Locked,
                None => {}
            }
        }
    }

    /// Tries once more the shards that were locked the last time, each until it is unlocked or `wait` returns false.
    /// From then on it is held up.
    pub(crate) fn take_locked(&mut self, mut wait: impl FnMut() -> bool, mut keep: impl FnMut(Chunk)) {
        for (shard, seen) in self.looks().filter(|(_, seen)| **seen == Seen::Locked) {
            *seen = loop {
                if let Some(chunk) = shard.take() {
                    keep(chunk);
                    break Seen::Unlocked;
                }
                if !wait() {
                    break Seen::HeldUp { since: Instant::now() };
                }
            };
        }
    }

    /// Tries each shard that is held up once more.
    pub(crate) fn take_held_up(&mut self, mut keep: impl FnMut(Chunk)) {
        for (shard, seen) in self.looks().filter(|(_, seen)| seen.held_up_since().is_some()) {
            if let Some(chunk) = shard.take() {
                *seen = Seen::Unlocked;
                keep(chunk);
            }
        }
    }

    /// How soon to try the shards that are held up once more; `None` if there is none. The longer one has been held
    /// up, the longer is the pause, so a thread that is suspended for good costs the worker little.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        const SHORTEST: Duration = Duration::from_millis(10);
        const LONGEST: Duration = Duration::from_secs(1);
        let held_up = self.seen.iter().filter_map(Seen::held_up_since);
        held_up.map(|since| (since.elapsed() / 10).clamp(SHORTEST, LONGEST)).min()
    }

    /// Whether a shard that is held up has events besides the one of the caller inside it.
    pub(crate) fn holds_back_events(&self) -> bool {
        let mut looks = self.shards.0.iter().zip(&self.seen);
        looks.any(|(shard, seen)| seen.held_up_since().is_some() && shard.had_events.load(Ordering::Relaxed))
    }

    fn looks(&mut self) -> impl Iterator<Item = (&Shard, &mut Seen)> {
        self.shards.0.iter().zip(&mut self.seen)
    }
}

impl Seen {
    fn held_up_since(&self) -> Option<Instant> {
        if let Self::HeldUp { since } = self { Some(*since) } else { None }
    }
}
