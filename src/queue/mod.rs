//! The bounded queue and the bell beside it, cut in two: the intake for callers, the outlet for the worker.
//!
//! Callers gather events in runs, which go through the bounded channel when they are full; the worker takes those
//! that are not full from where they are made, when it is time to send. The tickets put all in order again.
//!
//! The bell has room for one ring: a bell that has been rung is ringing already, so a ring never waits behind
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
use crate::payload::record::{Queued, Record};
use crate::queue::admission::{Admitted, Lane, RESERVED_EVENTS, SESSION_EVENTS};
use crate::queue::chunk::Run;
use crate::queue::ledger::Ledger;
use crate::queue::shards::Shards;

#[derive(Debug)]
pub(crate) struct Intake {
    ledger: Arc<Ledger>,
    shards: Arc<Shards>,
    /// Boxed, since there are slots for as many as can be.
    runs: Sender<Box<Run>>,
    bell: Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) runs: Receiver<Box<Run>>,
    pub(crate) bell: Receiver<()>,
    ledger: Arc<Ledger>,
    shards: Arc<Shards>,
    /// The ticket of the next event.
    next: u64,
    /// The run of the last one.
    run: Run,
    /// The others that came, by the tickets of their next events.
    others: VecDeque<Run>,
}

/// A queue with a slot for every full run of the events that the ledger's door lets in.
pub(crate) fn queue(ledger: Arc<Ledger>, max_queue_size: usize) -> (Intake, Outlet) {
    let (runs, outlet_runs) = bounded((max_queue_size + RESERVED_EVENTS + SESSION_EVENTS) / chunk::LEAST);
    let (bell, outlet_bell) = bounded(1);
    let shards = Arc::<Shards>::default();
    let outlet = Outlet {
        runs: outlet_runs,
        bell: outlet_bell,
        ledger: Arc::clone(&ledger),
        shards: Arc::clone(&shards),
        next: 0,
        run: Run::default(),
        others: VecDeque::new(),
    };
    (Intake { ledger, shards, runs, bell }, outlet)
}

impl Intake {
    /// Puts an event into the queue, or counts why not. Wakes the worker only with the event that makes a batch
    /// worth sending: waking a parked thread costs more than all the rest.
    pub(crate) fn offer(&self, record: Record, lane: Lane) -> Result<(), RefusalReason> {
        let mut run = self.shards.run();
        // Inside: who looks through the shards later finds each event whose ticket was drawn before.
        let Admitted { ticket, is_due } = match self.ledger.admit(record.weight() as u64, lane) {
            Ok(admitted) => admitted,
            Err(reason) => {
                record.discard();
                drop(run);
                self.ring(); // what is pending may be less than the threshold, if the event is a large one
                return Err(reason);
            }
        };
        run.put(ticket, record);
        if run.is_full() {
            // Inside as well: who finds the shard without it finds it in the channel. There is a slot for it; should
            // the worker be gone, the ledger has settled its events.
            let _ = self.runs.try_send(Box::new(run.renew()));
        }
        drop(run);
        if is_due {
            self.ring();
        }
        Ok(())
    }

    /// Wakes the worker.
    pub(crate) fn ring(&self) {
        let _ = self.bell.try_send(());
    }
}

impl Outlet {
    /// The ticket of the event that [`next`](Self::next) gives.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.next
    }

    /// Whether no event is at hand: those that there are, if any, are still where callers put them.
    pub(crate) fn is_empty(&self) -> bool {
        self.run.ticket().is_none() && self.others.is_empty()
    }

    /// Takes the next event. `None`: all that were let in before this was asked have been taken, unless the door is
    /// closed and a caller has not come out of it.
    pub(crate) fn next(&mut self) -> Option<Queued<'_>> {
        if self.run.ticket() != Some(self.next) && !self.turn() {
            return None;
        }
        self.next += 1;
        self.run.take()
    }

    /// Turns to the run that the next event is in; `false` where there is none.
    fn turn(&mut self) -> bool {
        let last = mem::take(&mut self.run);
        self.keep(last);
        while self.others.front().and_then(Run::ticket) != Some(self.next) {
            if !self.fetch_full() && !self.fetch() {
                return false;
            }
        }
        self.run = self.others.pop_front().unwrap_or_default();
        true
    }

    /// Takes the full runs from the channel; `false` where there are none. The shards are left alone: their callers
    /// would have to begin new runs.
    fn fetch_full(&mut self) -> bool {
        let before = self.others.len();
        self.runs.try_iter().for_each(|run| insert(*run, &mut self.others));
        self.others.len() > before
    }

    /// Takes all runs that there are; `false` where there are none. The full ones last: one that is filled meanwhile is
    /// among them. An event that is missing was let in while this looked elsewhere, and is found the next time.
    fn fetch(&mut self) -> bool {
        let before = self.others.len();
        let Self { ledger, shards, others, .. } = self;
        shards.take(|tries| wait_for_caller(ledger, tries)).for_each(|run| insert(run, others));
        let came = others.len() > before;
        self.fetch_full() || came
    }

    /// Goes on with the first event at hand, past those that callers have not put in yet; `false` where there is none.
    pub(crate) fn skip(&mut self) -> bool {
        let Some(ticket) = self.others.front().and_then(Run::ticket) else { return false };
        self.next = ticket;
        true
    }

    /// Takes a run that came.
    pub(crate) fn keep(&mut self, run: Run) {
        insert(run, &mut self.others);
    }
}

/// How long to leave a caller alone who does not come out.
pub(crate) const A_WHILE: Duration = Duration::from_millis(1);

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
        ledger.pause(Instant::now() + A_WHILE, None);
    }
    is_worth_it
}

/// Puts a run where its ticket belongs, unless it is empty: at one end, or not far from it.
fn insert(run: Run, others: &mut VecDeque<Run>) {
    if run.ticket().is_some() {
        let at = others.partition_point(|other| other.ticket() < run.ticket());
        others.insert(at, run);
    }
}

#[cfg(test)]
impl Intake {
    /// How many small events a test would find if it emptied the queue.
    pub(crate) fn len(&self) -> usize {
        self.shards.len() + self.runs.len() * chunk::FULL
    }

    /// Stops where [`offer`](Self::offer) puts the event in, until what this gives is called.
    pub(crate) fn offer_half(&self, record: Record) -> impl FnOnce() {
        let mut run = self.shards.run();
        let admitted = self.ledger.admit(record.weight() as u64, Lane::Ordinary).unwrap();
        move || run.put(admitted.ticket, record)
    }
}

#[cfg(test)]
mod tests;
