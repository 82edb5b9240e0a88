//! The worker's end of the queue: steps 4 and 5 of [the protocol](super#the-protocol).

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::payload::record::QueuedEvent;
use crate::queue::chunk::Chunk;
use crate::queue::ledger::Ledger;
use crate::queue::shards::Shards;

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) chunks: Receiver<Box<Chunk>>,
    pub(crate) wakeup: Receiver<()>,
    ledger: Arc<Ledger>,
    shards: Arc<Shards>,
    /// The sequence of the event that comes out next.
    next: u64,
    /// The chunk that the last event came out of.
    current: Chunk,
    /// The other chunks that were collected, sorted by the sequence of their next event. None is empty.
    waiting: VecDeque<Chunk>,
}

impl Consumer {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        shards: Arc<Shards>,
        chunks: Receiver<Box<Chunk>>,
        wakeup: Receiver<()>,
    ) -> Self {
        let (current, waiting) = (Chunk::default(), VecDeque::new());
        Self { chunks, wakeup, ledger, shards, next: 0, current, waiting }
    }

    /// The sequence of the event that [`next`](Self::next) returns.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Whether no event is collected. There may be events in the channel and in the shards.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.sequence().is_none() && self.waiting.is_empty()
    }

    /// Takes the next event. `None`: every event that was admitted before this call has come out, unless the reporter
    /// is closed and a caller is still inside a shard.
    pub(crate) fn next(&mut self) -> Option<QueuedEvent<'_>> {
        if self.current.sequence() != Some(self.next) && !self.change_chunk() {
            return None;
        }
        self.next += 1;
        self.current.take()
    }

    /// Makes the chunk with the next event the current one; `false` if there is none.
    fn change_chunk(&mut self) -> bool {
        let last = mem::take(&mut self.current);
        self.keep(last);
        while self.waiting.front().and_then(Chunk::sequence) != Some(self.next) {
            if !self.collect_full() && !self.collect_all() {
                return false;
            }
        }
        self.current = self.waiting.pop_front().unwrap_or_default();
        true
    }

    /// Collects the full chunks from the channel; `false` if there are none. It does not touch the shards: their
    /// callers would have to begin new chunks.
    fn collect_full(&mut self) -> bool {
        let before = self.waiting.len();
        self.chunks.try_iter().for_each(|chunk| insert(*chunk, &mut self.waiting));
        self.waiting.len() > before
    }

    /// Collects all chunks; `false` if there are none. The channel comes last, by invariant 3. An event that is still
    /// missing was admitted meanwhile and is found by the next call.
    fn collect_all(&mut self) -> bool {
        let before = self.waiting.len();
        let Self { ledger, shards, waiting, .. } = self;
        shards.take(|tries| wait_for_caller(ledger, tries)).for_each(|chunk| insert(chunk, waiting));
        let has_some = waiting.len() > before;
        self.collect_full() || has_some
    }

    /// Goes on with the first event that is collected, past those that callers have not put in yet; `false` if none is
    /// collected.
    pub(crate) fn skip(&mut self) -> bool {
        let Some(sequence) = self.waiting.front().and_then(Chunk::sequence) else { return false };
        self.next = sequence;
        true
    }

    /// Keeps a chunk that was received from the channel.
    pub(crate) fn keep(&mut self, chunk: Chunk) {
        insert(chunk, &mut self.waiting);
    }
}

/// How long the worker sleeps before it looks again for a caller that stays inside a shard.
pub(crate) const CALLER_WAIT: Duration = Duration::from_millis(1);

/// Waits a little for a caller inside a shard; `false` if it is no use to wait longer. A caller is inside for less time
/// than one try takes, unless it loses its core there or its thread is suspended.
fn wait_for_caller(ledger: &Ledger, tries: usize) -> bool {
    const YIELDS: usize = 100;
    if tries < YIELDS {
        thread::yield_now();
        return true;
    }
    // A closed reporter has a deadline, and no time for a caller that may never come out.
    let is_open = ledger.deadline().is_none();
    if is_open {
        ledger.pause(Instant::now() + CALLER_WAIT, None);
    }
    is_open
}

/// Puts a chunk where its sequence belongs, unless it is empty. That is at one end, or not far from it.
fn insert(chunk: Chunk, waiting: &mut VecDeque<Chunk>) {
    if chunk.sequence().is_some() {
        let at = waiting.partition_point(|other| other.sequence() < chunk.sequence());
        waiting.insert(at, chunk);
    }
}
