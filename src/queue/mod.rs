//! The bounded queue and the wakeup beside it, cut in two: the producer for callers, the consumer for the worker.
//!
//! Callers gather events in chunks, which go through the bounded channel when they are full; the worker takes those
//! that are not full from where they are made, when it is time to send. The sequences put all in order again.
//!
//! The wakeup has room for one ring: a wakeup that has been rung is ringing already, so a ring never waits behind
//! data and never blocks.

pub(crate) mod admission;
pub(crate) mod chunk;
pub(crate) mod ledger;
pub(crate) mod shards;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::stats::RefusalReason;
use crate::payload::record::{QueuedEvent, Record};
use crate::queue::admission::{Grant, Lane, RESERVED_EVENTS, SESSION_EVENTS};
use crate::queue::chunk::Chunk;
use crate::queue::ledger::Ledger;
use crate::queue::shards::Shards;

#[derive(Debug)]
pub(crate) struct Producer {
    ledger: Arc<Ledger>,
    shards: Arc<Shards>,
    /// Boxed, since there are slots for as many as can be.
    chunks: Sender<Box<Chunk>>,
    wakeup: Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) chunks: Receiver<Box<Chunk>>,
    pub(crate) wakeup: Receiver<()>,
    ledger: Arc<Ledger>,
    shards: Arc<Shards>,
    /// The sequence of the next event.
    next: u64,
    /// The chunk of the last one.
    chunk: Chunk,
    /// The others that came, by the sequences of their next events.
    others: VecDeque<Chunk>,
}

/// A queue with a slot for every full chunk of the events that the ledger's door lets in.
pub(crate) fn queue(ledger: Arc<Ledger>, max_queue_size: usize) -> (Producer, Consumer) {
    let (chunks, consumer_chunks) =
        bounded((max_queue_size + RESERVED_EVENTS + SESSION_EVENTS) / chunk::LEAST);
    let (wakeup, consumer_wakeup) = bounded(1);
    let shards = Arc::<Shards>::default();
    let consumer = Consumer {
        chunks: consumer_chunks,
        wakeup: consumer_wakeup,
        ledger: Arc::clone(&ledger),
        shards: Arc::clone(&shards),
        next: 0,
        chunk: Chunk::default(),
        others: VecDeque::new(),
    };
    (Producer { ledger, shards, chunks, wakeup }, consumer)
}

impl Producer {
    /// Puts an event into the queue, or counts why not. Wakes the worker only with the event that makes a batch
    /// worth sending: waking a parked thread costs more than all the rest.
    pub(crate) fn offer(&self, record: Record, lane: Lane) -> Result<(), RefusalReason> {
        let mut chunk = self.shards.lock_any();
        // Inside: who looks through the shards later finds each event whose sequence was drawn before.
        let Grant { sequence, is_due } = match self.ledger.admit(record.weight() as u64, lane) {
            Ok(admitted) => admitted,
            Err(reason) => {
                record.discard();
                drop(chunk);
                self.wake(); // what is pending may be less than the threshold, if the event is a large one
                return Err(reason);
            }
        };
        chunk.put(sequence, record);
        if chunk.is_full() {
            // Inside as well: who finds the shard without it finds it in the channel. There is a slot for it; should
            // the worker be gone, the ledger has settled its events.
            let _ = self.chunks.try_send(Box::new(chunk.renew()));
        }
        drop(chunk);
        if is_due {
            self.wake();
        }
        Ok(())
    }

    /// Wakes the worker.
    pub(crate) fn wake(&self) {
        let _ = self.wakeup.try_send(());
    }
}

impl Consumer {
    /// The sequence of the event that [`next`](Self::next) gives.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Whether no event is at hand: those that there are, if any, are still where callers put them.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunk.sequence().is_none() && self.others.is_empty()
    }

    /// Takes the next event. `None`: all that were let in before this was asked have been taken, unless the door is
    /// closed and a caller has not come out of it.
    pub(crate) fn next(&mut self) -> Option<QueuedEvent<'_>> {
        if self.chunk.sequence() != Some(self.next) && !self.turn() {
            return None;
        }
        self.next += 1;
        self.chunk.take()
    }

    /// Turns to the chunk that the next event is in; `false` where there is none.
    fn turn(&mut self) -> bool {
        let last = mem::take(&mut self.chunk);
        self.keep(last);
        while self.others.front().and_then(Chunk::sequence) != Some(self.next) {
            if !self.fetch_full() && !self.fetch() {
                return false;
            }
        }
        self.chunk = self.others.pop_front().unwrap_or_default();
        true
    }

    /// Takes the full chunks from the channel; `false` where there are none. The shards are left alone: their callers
    /// would have to begin new chunks.
    fn fetch_full(&mut self) -> bool {
        let before = self.others.len();
        self.chunks.try_iter().for_each(|chunk| insert(*chunk, &mut self.others));
        self.others.len() > before
    }

    /// Takes all chunks that there are; `false` where there are none. The full ones last: one that is filled meanwhile is
    /// among them. An event that is missing was let in while this looked elsewhere, and is found the next time.
    fn fetch(&mut self) -> bool {
        let before = self.others.len();
        let Self { ledger, shards, others, .. } = self;
        shards.take(|tries| wait_for_caller(ledger, tries)).for_each(|chunk| insert(chunk, others));
        let came = others.len() > before;
        self.fetch_full() || came
    }

    /// Goes on with the first event at hand, past those that callers have not put in yet; `false` where there is none.
    pub(crate) fn skip(&mut self) -> bool {
        let Some(sequence) = self.others.front().and_then(Chunk::sequence) else { return false };
        self.next = sequence;
        true
    }

    /// Takes a chunk that came.
    pub(crate) fn keep(&mut self, chunk: Chunk) {
        insert(chunk, &mut self.others);
    }
}

/// How long to leave a caller alone who does not come out.
pub(crate) const CALLER_WAIT: Duration = Duration::from_millis(1);

/// A caller is inside for less than it takes to say so, unless its thread lost its core there, or was stopped.
fn wait_for_caller(ledger: &Ledger, tries: usize) -> bool {
    const SOON: usize = 100;
    if tries < SOON {
        thread::yield_now();
        return true;
    }
    // Once the door is closed there is no time to lose with one who may never come out.
    let is_worth_it = ledger.deadline().is_none();
    if is_worth_it {
        ledger.pause(Instant::now() + CALLER_WAIT, None);
    }
    is_worth_it
}

/// Puts a chunk where its sequence belongs, unless it is empty: at one end, or not far from it.
fn insert(chunk: Chunk, others: &mut VecDeque<Chunk>) {
    if chunk.sequence().is_some() {
        let at = others.partition_point(|other| other.sequence() < chunk.sequence());
        others.insert(at, chunk);
    }
}

#[cfg(test)]
impl Producer {
    /// How many small events a test would find if it emptied the queue.
    pub(crate) fn len(&self) -> usize {
        self.shards.len() + self.chunks.len() * chunk::FULL
    }

    /// Stops where [`offer`](Self::offer) puts the event in, until what this gives is called.
    pub(crate) fn offer_half(&self, record: Record) -> impl FnOnce() {
        let mut chunk = self.shards.lock_any();
        let admitted = self.ledger.admit(record.weight() as u64, Lane::Ordinary).unwrap();
        move || chunk.put(admitted.sequence, record)
    }
}

#[cfg(test)]
mod tests;
