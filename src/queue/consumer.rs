//! The worker's end of the queue: steps 4 and 5 of [the protocol](super#the-protocol).

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select};

use crate::payload::record::QueuedEvent;
use crate::queue::chunk::Chunk;
use crate::queue::ledger::Ledger;
use crate::queue::shards::{ShardReader, Shards};

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) chunks: Receiver<Box<Chunk>>,
    pub(crate) wakeup: Receiver<()>,
    ledger: Arc<Ledger>,
    shards: ShardReader,
    /// The sequence after the highest one that came out.
    next: u64,
    /// How many sequences below `next` have not come out, because a caller held up their shard.
    passed_over: u64,
    /// The chunk that the last event came out of.
    current: Chunk,
    /// The other chunks that were collected, sorted by the sequence of their next event. None is empty.
    waiting: VecDeque<Chunk>,
    /// How long to wait for callers inside shards: [`CALLER_LIMIT`].
    caller_limit: Duration,
}

impl Consumer {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        shards: Arc<Shards>,
        chunks: Receiver<Box<Chunk>>,
        wakeup: Receiver<()>,
    ) -> Self {
        let shards = ShardReader::new(shards);
        let (current, waiting) = (Chunk::default(), VecDeque::new());
        let caller_limit = CALLER_LIMIT;
        Self { chunks, wakeup, ledger, shards, next: 0, passed_over: 0, current, waiting, caller_limit }
    }

    /// Sleeps until the wakeup or one of the others has something to receive.
    ///
    /// A `select!` that blocks would do as well, but not for the callers. crossbeam then has each caller that wakes the
    /// worker ask for its own thread, to choose a receiver on another one. At the very end of a thread, when the standard
    /// library's storage for it is gone, that question panics: in a destructor of a C thread-specific key the process
    /// would abort. A worker that waits for readiness is woken without that question.
    pub(crate) fn sleep_until_ready(&self, times: [&Receiver<Instant>; 3], arrivals: &Receiver<Box<Chunk>>) {
        let mut channels = Select::new();
        for time in times {
            channels.recv(time);
        }
        channels.recv(&self.wakeup);
        channels.recv(arrivals);
        channels.ready();
    }

    /// Whether no event is collected. There may be events in the channel and in the shards.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_empty() && self.waiting.is_empty()
    }

    /// Takes the next event. `None`: every event that was admitted before this call has come out, except those in
    /// shards that are held up.
    pub(crate) fn next(&mut self) -> Option<QueuedEvent<'_>> {
        if self.current.sequence() != Some(self.next) {
            self.change_chunk();
        }
        let sequence = self.current.sequence()?;
        if sequence < self.next {
            self.passed_over -= 1;
        } else {
            self.passed_over += sequence - self.next;
            self.next = sequence + 1;
        }
        self.current.take()
    }

    /// Makes the chunk with the lowest sequence the current one.
    fn change_chunk(&mut self) {
        let last = mem::take(&mut self.current);
        self.keep(last);
        self.collect_next();
        self.current = self.waiting.pop_front().unwrap_or_default();
    }

    /// Collects chunks until the next event is in one of them, or all that can be had are collected.
    fn collect_next(&mut self) {
        let mut patience = Patience::of(self.caller_limit);
        // Twice: the first look may find an event that was admitted after it had passed the shard of an earlier one.
        for _ in 0..2 {
            if self.has_next() || self.collect_full() || self.collect_unlocked() {
                return;
            }
            self.collect_locked(&mut patience);
            if self.waiting.is_empty() {
                return;
            }
        }
    }

    /// Whether the next event is collected, or one that was passed over.
    fn has_next(&self) -> bool {
        self.waiting.front().and_then(Chunk::sequence).is_some_and(|sequence| sequence <= self.next)
    }

    /// Collects the full chunks from the channel; returns whether the next event is collected. It does not touch the
    /// shards: their callers would have to begin new chunks.
    fn collect_full(&mut self) -> bool {
        self.chunks.try_iter().for_each(|chunk| insert(*chunk, &mut self.waiting));
        self.has_next()
    }

    /// Collects the chunks of unlocked shards, and full ones. The channel comes last, by invariant 3.
    fn collect_unlocked(&mut self) -> bool {
        self.shards.take_unlocked(|chunk| insert(chunk, &mut self.waiting));
        self.collect_full()
    }

    /// Waits a little for callers that are inside a shard, and collects their chunks, and full ones.
    fn collect_locked(&mut self, patience: &mut Patience) {
        let Self { shards, ledger, waiting, .. } = self;
        shards.take_locked(|| patience.wait(ledger), |chunk| insert(chunk, waiting));
        self.collect_full();
    }

    /// Collects the chunks of shards that are no longer held up, and full ones.
    pub(crate) fn collect_held_up(&mut self) {
        self.shards.take_held_up(|chunk| insert(chunk, &mut self.waiting));
        self.collect_full();
    }

    /// How soon to [`collect_held_up`](Self::collect_held_up); `None` if no shard is held up. A caller that leaves a
    /// shard does not wake the worker.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        self.shards.next_look()
    }

    /// Whether [`next`](Self::next) may have an event with a sequence below `end`.
    pub(crate) fn has_below(&mut self, end: u64) -> bool {
        if self.passed_over > 0 {
            self.collect_held_up();
        }
        self.next < end || self.has_collected_below(end)
    }

    /// Whether every event with a sequence below `end` has come out, if its call has returned. To be asked after
    /// [`next`](Self::next) had no such event any more.
    pub(crate) fn is_through(&self, end: u64) -> bool {
        if self.next >= end && self.passed_over == 0 {
            return true;
        }
        // After the close the worker stops before it has taken all.
        !self.ledger.is_closed() && !self.has_collected_below(end) && !self.shards.holds_back_events()
    }

    fn has_collected_below(&self, end: u64) -> bool {
        let first =
            [Some(&self.current), self.waiting.front()].into_iter().flatten().filter_map(Chunk::sequence);
        first.min().is_some_and(|sequence| sequence < end)
    }

    /// Keeps a chunk that was received from the channel.
    pub(crate) fn keep(&mut self, chunk: Chunk) {
        insert(chunk, &mut self.waiting);
    }
}

/// Puts a chunk where its sequence belongs, unless it is empty. That is at one end, or not far from it.
fn insert(chunk: Chunk, waiting: &mut VecDeque<Chunk>) {
    if chunk.sequence().is_some() {
        let at = waiting.partition_point(|other| other.sequence() < chunk.sequence());
        waiting.insert(at, chunk);
    }
}

/// How long the worker sleeps before it looks again for a caller inside a shard.
pub(crate) const CALLER_WAIT: Duration = Duration::from_millis(1);

/// How long the worker waits for callers inside shards before it goes on without them. A thread that lost its core on
/// a busy machine has it back sooner. For a thread that waits for a drain it is short.
const CALLER_LIMIT: Duration = Duration::from_millis(100);

/// How long the worker has waited for callers inside shards.
struct Patience {
    limit: Duration,
    tries: usize,
    until: Option<Instant>,
}

impl Patience {
    fn of(limit: Duration) -> Self {
        Self { limit, tries: 0, until: None }
    }

    /// Waits a little; `false` once it has lasted long enough.
    fn wait(&mut self, ledger: &Ledger) -> bool {
        const YIELDS: usize = 100;
        self.tries += 1;
        if self.tries <= YIELDS {
            thread::yield_now();
            return true;
        }
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.limit);
        // A closed reporter has a deadline, and no time for a caller that may never come out.
        let lasts = now < until && !ledger.is_closed();
        if lasts {
            ledger.pause(now + CALLER_WAIT, None);
        }
        lasts
    }
}

#[cfg(test)]
impl Consumer {
    /// Waits for callers for as long as this, for tests of threads that a busy machine may stop anywhere.
    pub(crate) fn with_caller_limit(self, caller_limit: Duration) -> Self {
        Self { caller_limit, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::admission::{Admission, Load};

    fn ledger() -> Ledger {
        let limits = Load { events: 10, bytes: 1_000 };
        Ledger::new(Admission::new(limits, limits))
    }

    #[test]
    fn callers_have_their_time_unless_the_reporter_is_closed() {
        let (open, closed) = (ledger(), ledger());
        let started = Instant::now();
        closed.close(started + 10 * CALLER_LIMIT);
        let wait_for = |ledger| {
            let mut patience = Patience::of(CALLER_LIMIT);
            while patience.wait(ledger) {}
            patience.until.map(|until| until <= Instant::now())
        };
        assert_eq!(wait_for(&open), Some(true));
        assert!(started.elapsed() >= CALLER_LIMIT);
        assert_eq!(wait_for(&closed), Some(false), "with time left");
    }
}
