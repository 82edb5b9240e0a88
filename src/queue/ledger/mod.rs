//! Counts what became of each event. It has the only mutex and condvar on which a caller waits for the worker, and on
//! which the worker waits for time to pass.
//!
//! Nothing slow happens under the lock. How much is pending is not stored here: it is what the [`Admission`] holds. A
//! settled event leaves the admission under this lock, so a snapshot taken under it always adds up.
//!
//! The mutex and the condvar are the standard library's, because a forked child waits here too, and each of these
//! keeps its own waiters. `parking_lot` keeps all waiters of a process in one table. In a child that table names its
//! parent's waiters, whose stacks are gone. The child then dies (`tests/process/fork.rs` has seen it), or it waits
//! for ever for the lock of a bucket.

mod outage;
mod waiter;

use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::stats::{DropReason, Dropped, RefusalReason, Refused, Replayed, Stats};
use crate::queue::admission::{Admission, Grant, Lane, Load};
use outage::{Outage, SHORTEST_WAIT};
pub(crate) use waiter::Waiter;

/// What became of accepted events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// So many are dropped as `rejected`; more than there are count as all. The others are delivered.
    DeliveredBut {
        rejected: u64,
    },
    Dropped(DropReason),
    /// Kept in a file for the next run.
    Spooled,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    admission: Admission,
    /// One count for each of [`RefusalReason::ALL`], in that order. Atomic, so that a refusal does not take the lock.
    refused: [AtomicU64; RefusalReason::ALL.len()],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    delivered: u64,
    dropped: Dropped,
    spooled: u64,
    replayed: Replayed,
    /// The number of the last flush that was asked for. The first one has number 1.
    flushes_asked: u64,
    /// The last flush whose events all have their fate.
    flushes_done: u64,
    /// When each thread began its wait that waits for a flush.
    waiting: Vec<Instant>,
    outage: Outage,
    /// How many batches are on their way.
    on_their_way: usize,
    /// The next attempt of each of them that waits before it.
    retries: Vec<Retry>,
    /// The flush of a fatal exception. Until it is done, batches are written to the spool before they are sent.
    fatal_flush: u64,
    /// Set by the first close. A later close may only bring it forward.
    deadline: Option<Instant>,
    closed: Option<Instant>,
    /// The worker has ended, or was given up. What was pending has its fate, and nothing changes any more.
    finished: bool,
    /// A thread is about to log the final counts, or has done so.
    log_claimed: bool,
    /// The final counts are in the log, or never will be.
    logged: bool,
}

impl Fate {
    /// Whether the server has accepted events.
    pub(crate) fn is_delivery(self) -> bool {
        matches!(self, Self::Delivered | Self::DeliveredBut { .. })
    }
}

impl State {
    fn count(&mut self, fate: Fate, events: u64) {
        match fate {
            Fate::Delivered => self.delivered += events,
            Fate::DeliveredBut { rejected } => {
                let rejected = rejected.min(events);
                self.delivered += events - rejected;
                self.dropped.add(DropReason::Rejected, rejected);
            }
            Fate::Dropped(reason) => self.dropped.add(reason, events),
            Fate::Spooled => self.spooled += events,
        }
    }
}

impl Ledger {
    pub(crate) fn new(admission: Admission) -> Self {
        Self { admission, refused: Default::default(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes room for one event, or counts the refusal. See [`Admission::admit`].
    pub(crate) fn admit(&self, bytes: u64, lane: Lane) -> Result<Grant, RefusalReason> {
        self.admission.admit(bytes, lane).inspect_err(|reason| self.refuse(*reason))
    }

    /// How many events were admitted so far, which is the sequence of the next one.
    pub(crate) fn admitted(&self) -> u64 {
        self.admission.admitted()
    }

    /// Whether there may be room for an event. See [`Admission::is_open`].
    #[inline]
    pub(crate) fn is_open(&self, lane: Lane) -> Result<(), RefusalReason> {
        self.admission.is_open(lane)
    }

    pub(crate) fn refuse(&self, reason: RefusalReason) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were refused so far.
    #[inline]
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn refused(&self) -> Refused {
        let count = |reason: RefusalReason| self.refused[reason as usize].load(Ordering::Relaxed);
        Refused {
            queue_full: count(RefusalReason::QueueFull),
            queue_bytes: count(RefusalReason::QueueBytes),
            too_large: count(RefusalReason::TooLarge),
            invalid_data: count(RefusalReason::InvalidData),
            stopped: count(RefusalReason::Stopped),
            reentrant: count(RefusalReason::Reentrant),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.admission.is_closed()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.admission.is_due()
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.pending().events > 0
    }

    /// What is accepted and has no fate yet.
    pub(crate) fn pending(&self) -> Load {
        self.admission.pending()
    }

    /// Takes responsibility for events that the worker took out of the queue.
    pub(crate) fn claim(&self, load: Load) -> Claim<'_> {
        Claim { ledger: self, load }
    }

    fn settle(&self, load: Load, fate: Fate) {
        let mut state = self.state();
        if state.finished {
            return; // `finish` settled them
        }
        self.admission.release(load);
        state.count(fate, load.events);
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state();
        let pending = self.admission.pending().events;
        let accepted = state.delivered + state.dropped.total() + state.spooled + pending;
        let refused = self.refused();
        Stats {
            offered: accepted + refused.total(),
            refused,
            accepted,
            delivered: state.delivered,
            dropped: state.dropped,
            spooled: state.spooled,
            pending,
            replayed: state.replayed,
        }
    }

    /// Counts what becomes of events that earlier runs had kept.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn count_replayed(&self, count: impl FnOnce(&mut Replayed)) {
        count(&mut self.state().replayed);
    }

    /// Asks for a flush and returns its number. The worker sees it when it is woken.
    pub(crate) fn ask_flush(&self) -> u64 {
        let mut state = self.state();
        state.flushes_asked += 1;
        self.changed.notify_all();
        state.flushes_asked
    }

    pub(crate) fn flushes_asked(&self) -> u64 {
        self.state().flushes_asked
    }

    /// Notes that every event accepted before these flushes were asked for has its fate.
    pub(crate) fn flushes_done(&self, up_to: u64) {
        self.state().flushes_done = up_to;
        self.changed.notify_all();
    }

    /// A thread is about to wait for a flush. To be called before it asks for one.
    pub(crate) fn waiter(&self) -> Waiter<'_> {
        let began = Instant::now();
        self.state().waiting.push(began);
        self.changed.notify_all(); // a batch may be waiting before a retry
        Waiter { ledger: self, began }
    }

    /// Whether a thread waits for a flush or for the end.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state();
        state.is_awaited()
    }

    /// Waits until `until`, or until a thread waits for a flush or for the end.
    pub(crate) fn pause_unless_awaited(&self, until: Instant) {
        self.wait(until, |state| state.finished || state.is_awaited());
    }

    /// The program fails. Until the next flush is done, batches are written to the spool before they are sent.
    pub(crate) fn set_fatal(&self) {
        let mut state = self.state();
        state.fatal_flush = state.flushes_asked + 1;
    }

    pub(crate) fn is_fatal(&self) -> bool {
        let state = self.state();
        state.fatal_flush > state.flushes_done
    }

    /// Events that count as spooled were delivered all the same, or most of them.
    pub(crate) fn deliver_spooled(&self, events: u64, fate: Fate) {
        let mut state = self.state();
        if !state.finished {
            state.spooled -= events;
            state.count(fate, events);
        }
    }

    /// Refuses later events, and gives the worker until `deadline` for the pending ones. An earlier deadline stays.
    pub(crate) fn close(&self, deadline: Instant) {
        let mut state = self.state();
        self.admission.close();
        state.closed.get_or_insert_with(Instant::now);
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self.changed.notify_all();
    }

    /// When the worker must have finished; `None` before the close.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// Until when batches are sent; `None` before the close. It is the deadline, or sooner if no server answers.
    pub(crate) fn send_until(&self) -> Option<Instant> {
        self.state().send_until()
    }

    /// A batch is on its way, as long as the result lives.
    pub(crate) fn send(&self) -> OnItsWay<'_> {
        self.state().on_their_way += 1;
        OnItsWay(self)
    }

    pub(crate) fn attempt_begins(&self) {
        self.state().outage.attempt_begins(Instant::now());
    }

    /// A server has answered an attempt.
    pub(crate) fn attempt_answered(&self) {
        let mut state = self.state();
        let was_outage = state.outage.is_known();
        state.outage.answered(Instant::now());
        if was_outage {
            self.changed.notify_all(); // batches may be waiting for that
        }
    }

    /// No server has answered an attempt.
    pub(crate) fn attempt_failed(&self, began: Instant, ended: Instant) {
        self.state().outage.failed(began, ended);
        self.changed.notify_all();
    }

    /// Waits before a retry, until `until`, or until the deadline differs from `known`. If no server answers, a thread that
    /// waits for a flush has an attempt sooner, one in all, whichever batch it is of. If that has an answer, the other
    /// batches have theirs too.
    pub(crate) fn pause_before_retry(
        &self,
        until: Instant,
        known: Option<Instant>,
        has_server: bool,
    ) -> Pause {
        let mut state = self.state();
        let retry = Retry { at: until, is_of_outage: !has_server && state.outage.is_known() };
        state.retries.push(retry);
        self.changed.notify_all();
        let pause = loop {
            let now = Instant::now();
            if state.finished || state.deadline != known || now >= until {
                break Pause::Over;
            }
            let sooner = if retry.is_of_outage { state.due_attempt(now) } else { None };
            if sooner.is_some_and(|at| at <= now) {
                state.outage.attempt_begins(now); // no other batch has it too
                break Pause::CutShort;
            }
            let next = sooner.map_or(until, |at| at.min(until));
            state = self.wait_for_change(state, next);
        };
        if let Some(place) = state.retries.iter().position(|other| *other == retry) {
            state.retries.swap_remove(place);
        }
        pause
    }

    /// Waits until `until`, or until the deadline differs from `known`, the one that the caller knows.
    pub(crate) fn pause(&self, until: Instant, known: Option<Instant>) {
        self.wait(until, |state| state.finished || state.deadline != known);
    }

    /// Waits until `until`, or until a flush is asked for or the reporter closes.
    pub(crate) fn wait_before_next_batch(&self, until: Instant) {
        let is_wanted = |state: &State| state.flushes_asked > state.flushes_done || state.deadline.is_some();
        self.wait(until, |state| state.finished || is_wanted(state));
    }

    pub(crate) fn wait_finished(&self, deadline: Instant) -> bool {
        self.wait(deadline, |state| state.finished)
    }

    /// The same, but no longer than batches are sent.
    pub(crate) fn wait_finished_or_in_vain(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        loop {
            let end = state.send_until().map_or(deadline, |end| end.min(deadline));
            if state.finished || Instant::now() >= end {
                return state.finished;
            }
            state = self.wait_for_change(state, end);
        }
    }

    /// Drops everything that is pending, for this reason, and wakes all waiting threads. Nothing changes afterwards: a
    /// worker that was given up may still get a response, but its events are already counted.
    pub(crate) fn finish(&self, reason: DropReason) {
        let mut state = self.state();
        if state.finished {
            return;
        }
        state.finished = true;
        self.admission.close(); // before the count, so that no event is admitted after it
        let rest = self.admission.pending();
        self.admission.release(rest);
        state.dropped.add(reason, rest.events);
        self.changed.notify_all();
    }

    /// Whether the caller is the thread that logs the final counts. True for the first caller only.
    pub(crate) fn claim_log(&self) -> bool {
        let was_claimed = mem::replace(&mut self.state().log_claimed, true);
        self.changed.notify_all();
        !was_claimed
    }

    /// Waits until a thread is about to log the final counts.
    pub(crate) fn wait_log_claimed(&self, deadline: Instant) {
        self.wait(deadline, |state| state.log_claimed);
    }

    /// The final counts are in the log, or no thread will write them.
    pub(crate) fn mark_logged(&self) {
        self.state().logged = true;
        self.changed.notify_all();
    }

    /// Waits until the final counts are in the log. A wait in vain is not repeated: the drop after a `stop` would wait again
    /// for a logger that is stuck.
    pub(crate) fn wait_logged(&self, deadline: Instant) {
        self.wait(deadline, |state| state.logged);
        self.state().logged = true;
    }

    fn wait(&self, deadline: Instant, until: impl Fn(&State) -> bool) -> bool {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.state(), timeout, |state| !until(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until(&state)
    }

    /// Waits until something changes, or until `until`.
    fn wait_for_change<'a>(&self, state: MutexGuard<'a, State>, until: Instant) -> MutexGuard<'a, State> {
        let timeout = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// A poisoned lock is used like any other: each change is complete before anything under the lock can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events that the worker took out of the queue. Each gets its fate here exactly once. If a claim is dropped without
/// one, by a panic for example, its events are dropped as `internal`.
#[must_use = "a claim that is dropped counts its events as lost"]
pub(crate) struct Claim<'a> {
    ledger: &'a Ledger,
    load: Load,
}

impl Claim<'_> {
    pub(crate) fn events(&self) -> u64 {
        self.load.events
    }

    pub(crate) fn settle(self, fate: Fate) {
        let settled = ManuallyDrop::new(self);
        settled.ledger.settle(settled.load, fate);
    }

    /// Gives a part of the events their fate.
    pub(crate) fn settle_part(&mut self, part: Load, fate: Fate) {
        self.load = self.load.without(part);
        self.ledger.settle(part, fate);
    }

    /// Ends the claim: its events are in another one, or will be.
    pub(crate) fn hand_over(self) {
        mem::forget(self);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.ledger.settle(self.load, Fate::Dropped(DropReason::Internal));
    }
}

impl State {
    fn is_awaited(&self) -> bool {
        !self.waiting.is_empty() || self.deadline.is_some()
    }

    /// See [`Ledger::send_until`].
    fn send_until(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let in_vain = self.closed.and_then(|closed| self.outage.stop_ends_at(closed));
        Some(in_vain.map_or(deadline, |end| end.min(deadline)))
    }

    /// When a batch that waits for the end of an outage has its next attempt, sooner than the retry: if a thread waits.
    fn due_attempt(&self, now: Instant) -> Option<Instant> {
        if !self.outage.is_known() {
            return (!self.waiting.is_empty()).then_some(now);
        }
        self.waiting.iter().filter_map(|began| self.outage.due_attempt(*began)).min()
    }

    /// When a wait for a flush ends, if nothing happens until then.
    fn wait_ends_at(&self, began: Instant, deadline: Instant) -> Instant {
        let comes_too_late = |retry: &Retry| {
            let at =
                if retry.is_of_outage { self.outage.decides_at(began).unwrap_or(began) } else { retry.at };
            at.min(retry.at) >= deadline
        };
        let are_all_paused = self.on_their_way > 0 && self.retries.len() == self.on_their_way;
        let end = if are_all_paused && self.retries.iter().all(comes_too_late) {
            Some(began + SHORTEST_WAIT)
        } else {
            self.outage.wait_ends_at(began)
        };
        end.map_or(deadline, |end| end.min(deadline))
    }
}

/// An attempt that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retry {
    at: Instant,
    /// The last attempt had no answer, and none had since.
    is_of_outage: bool,
}

/// How a wait before a retry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    Over,
    /// A thread waits, and an attempt is to tell it whether a server answers. It comes before the retry.
    CutShort,
}

/// A batch on its way, as long as this lives.
pub(crate) struct OnItsWay<'a>(&'a Ledger);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.state().on_their_way -= 1;
    }
}

#[cfg(test)]
impl Ledger {
    /// Waits for a flush until the deadline at most, whatever the server does. `true`: it is done.
    pub(crate) fn wait_flushed(&self, flush: u64, deadline: Instant) -> bool {
        self.wait(deadline, |state| state.finished || state.flushes_done >= flush)
    }

    /// Whether a batch waits before a retry.
    pub(crate) fn is_paused(&self) -> bool {
        !self.state().retries.is_empty()
    }
}

#[cfg(test)]
mod tests;
