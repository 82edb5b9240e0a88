//! Delivers one batch: attempts, waits, halves, until each event has its fate.
//!
//! A batch is split for two reasons. After a 413 both halves are sent, and split again, until they are small enough. After a
//! 400 or a 422 one event may be what the server does not accept. Then both halves are sent too. If one of them passes,
//! the search goes on in the other. If both fail, the fault is in no single event, and both are dropped. So one bad event
//! among a hundred costs itself and some fourteen requests, and a program that sends nothing acceptable costs three
//! requests a batch.

mod claimed;
pub(crate) mod outstanding;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::model::stats::DropReason;
use crate::process::fork;
use crate::queue::ledger::{Fate, Ledger, Pause};
use crate::transport::Transport;
use crate::transport::retry::{RetryPolicy, RetryStep, Verdict};
use crate::wire::batch::Batch;
use crate::wire::envelope::{Envelope, Request, idempotency_key};
use crate::wire::ids::Ids;
use crate::worker::outage_log::Progress;
use claimed::{ClaimedBatch, Split};
use outstanding::{EntryId, Outstanding};

/// Sends one batch at a time. Several of them send several batches at a time.
pub(crate) struct Delivery<T> {
    ledger: Arc<Ledger>,
    transport: T,
    envelope: Envelope,
    policy: RetryPolicy,
    http_timeout: Duration,
    keys: Box<Ids>,
    /// Whether an attempt of a batch failed in a way that a later attempt may not, and no batch was begun since. All
    /// deliveries of a reporter share it.
    is_outage: Arc<AtomicBool>,
    /// `None` without a spool.
    outstanding: Option<Arc<Outstanding>>,
}

/// What is decided about a batch, before its claim is settled.
#[derive(Clone, Copy)]
enum BatchOutcome {
    Fate(Fate),
    /// The server answered 413.
    TooLarge,
    /// The server answered with this status, perhaps because of one event.
    Rejected(u16),
    /// The worker has kept the events in the spool meanwhile.
    Kept,
}

/// What the worker did with a batch that it could keep.
enum Offer {
    NotMade,
    Taken,
    Refused,
}

impl BatchOutcome {
    fn has_passed(self) -> bool {
        match self {
            Self::TooLarge => true,
            Self::Fate(fate) => fate.is_delivery(),
            Self::Rejected(_) | Self::Kept => false,
        }
    }
}

impl<T: Transport> Delivery<T> {
    /// Sends through `transport` and settles in `ledger`. Each attempt may take `http_timeout`.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        transport: T,
        envelope: Envelope,
        policy: RetryPolicy,
        http_timeout: Duration,
    ) -> Self {
        let (keys, is_outage) = (Box::new(Ids::new()), Arc::default());
        Self { ledger, transport, envelope, policy, http_timeout, keys, is_outage, outstanding: None }
    }

    /// Leaves what cannot be sent in time to the worker, which keeps it in the spool.
    pub(super) fn with_outstanding(self, outstanding: Arc<Outstanding>) -> Self {
        Self { outstanding: Some(outstanding), ..self }
    }

    /// Another one, which can send at the same time. `None` if the transport is to send one request at a time.
    pub(super) fn another(&self) -> Option<Self> {
        Some(Self {
            ledger: Arc::clone(&self.ledger),
            transport: self.transport.another()?,
            envelope: self.envelope.clone(),
            keys: Box::new(Ids::new()),
            is_outage: Arc::clone(&self.is_outage),
            outstanding: self.outstanding.clone(),
            ..*self
        })
    }

    /// Whether the next batch will wait for a random moment, because an attempt of an earlier one failed.
    pub(super) fn follows_outage(&self) -> bool {
        self.is_outage.load(Ordering::Relaxed)
    }

    /// Sends a batch and returns when each of its events has its fate. Reports what happens meanwhile, before the fate. If
    /// the server found several events together too large, returns the smallest such size.
    ///
    /// With a spool the batch has an entry among those that are outstanding. What cannot be sent in time then has no fate yet:
    /// the worker finds it there.
    pub(crate) fn deliver(
        &mut self,
        batch: Batch,
        entry: Option<EntryId>,
        report: Report<'_>,
    ) -> Option<usize> {
        let (ledger, outstanding) = (Arc::clone(&self.ledger), self.outstanding.clone());
        let entry = outstanding.as_deref().zip(entry);
        let _on_its_way = ledger.send();
        self.deliver_claimed(ClaimedBatch::new(batch, &ledger, entry), report)
    }

    fn deliver_claimed(&mut self, mut claimed: ClaimedBatch<'_>, report: Report<'_>) -> Option<usize> {
        let outcome = self.attempt_until_decided(&mut claimed, report);
        self.settle(claimed, outcome, report)
    }

    /// Gives the events their fate, which may take further requests.
    fn settle(
        &mut self,
        claimed: ClaimedBatch<'_>,
        outcome: BatchOutcome,
        report: Report<'_>,
    ) -> Option<usize> {
        match outcome {
            BatchOutcome::Fate(fate) => {
                end(claimed, fate, report);
                None
            }
            BatchOutcome::Kept => {
                claimed.leave();
                None
            }
            BatchOutcome::TooLarge => self.deliver_halves(claimed, report),
            BatchOutcome::Rejected(status) => self.isolate(claimed, status, report),
        }
    }

    fn deliver_halves(&mut self, claimed: ClaimedBatch<'_>, report: Report<'_>) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        let size = claimed.batch.json().len();
        match claimed.split(&ledger) {
            Ok(halves) => {
                let too_large = halves.map(|half| self.deliver_claimed(half, report));
                Some(too_large.into_iter().flatten().min().unwrap_or(size))
            }
            Err(Split::Single(single)) => {
                give_up(single, DropReason::TooLarge, 413, report);
                None
            }
            Err(Split::Kept) => None,
        }
    }

    /// Looks for the events that the server does not accept, in a batch that it rejected.
    fn isolate(&mut self, claimed: ClaimedBatch<'_>, status: u16, report: Report<'_>) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        let halves = match claimed.split(&ledger) {
            Ok(halves) => halves,
            Err(Split::Single(single)) => {
                give_up(single, DropReason::Rejected, status, report);
                return None;
            }
            Err(Split::Kept) => return None,
        };
        let (mut too_large, mut has_passed, mut rejected) = (Vec::new(), false, Vec::new());
        for mut half in halves {
            let outcome = self.attempt_until_decided(&mut half, report);
            has_passed |= outcome.has_passed();
            match outcome {
                BatchOutcome::Rejected(status) => rejected.push((half, status)),
                outcome => too_large.extend(self.settle(half, outcome, report)),
            }
        }
        for (half, status) in rejected {
            if has_passed {
                too_large.extend(self.isolate(half, status, report));
            } else {
                give_up(half, DropReason::Rejected, status, report);
            }
        }
        too_large.into_iter().min()
    }

    fn attempt_until_decided(&mut self, claimed: &mut ClaimedBatch<'_>, report: Report<'_>) -> BatchOutcome {
        let key = claimed.batch.key().map(str::to_owned);
        let Some(key) = key.or_else(|| self.keys.next().map(idempotency_key).ok()) else {
            return BatchOutcome::Fate(Fate::Dropped(DropReason::Internal));
        };
        let request = self.envelope.seal(&mut claimed.batch, key);
        if self.is_outage.swap(false, Ordering::Relaxed) {
            self.ledger.wait_before_next_batch(Instant::now() + self.policy.spread(random_fraction()));
        }
        report(Progress::BatchBegins);
        let outcome = self.attempt_until_answered(&request, claimed, report);
        if !matches!(outcome, BatchOutcome::Fate(_)) {
            self.envelope.open(request, &mut claimed.batch); // it is to be split
        }
        outcome
    }

    fn attempt_until_answered(
        &mut self,
        request: &Request,
        claimed: &ClaimedBatch<'_>,
        report: Report<'_>,
    ) -> BatchOutcome {
        let (mut attempt, mut pauses) = (0, 0);
        // When the retry is due that an attempt for a waiting program comes before.
        let mut retry_at = None;
        loop {
            let deadline = self.ledger.deadline();
            let Some(limit) = self.time_for_attempt() else {
                return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline));
            };
            if !claimed.attempt_begins(&request.idempotency_key) {
                return BatchOutcome::Kept;
            }
            self.ledger.attempt_begins();
            let started = Instant::now();
            let verdict = self.transport.post(request, attempt + u32::from(retry_at.is_some()), limit);
            let ended = Instant::now();
            claimed.attempt_ends();
            fork::exit_if_forked(); // ureq has logged, and the program's logger may have forked
            if verdict.has_no_answer() && self.is_over() {
                // The deadline cut the attempt, which may have gone well. That is no news of the server.
                return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline));
            }
            if pauses < MAX_PAUSES && is_of_a_pause(&verdict, ended - started, limit) {
                pauses += 1;
                continue; // the same attempt once more
            }
            self.note_in_ledger(&verdict, started, ended);
            let has_server = !matches!(verdict, Verdict::NoAnswer(_));
            let step = match retry_at.take() {
                // It costs the batch no attempt: a program that waits often must not lose events by that.
                Some(retry_at) if !has_server && ended < retry_at => RetryStep::Retry(retry_at - ended),
                sooner => {
                    attempt += u32::from(sooner.is_some());
                    self.policy.next(attempt, &verdict, random_fraction())
                }
            };
            if step.is_outage() {
                self.is_outage.store(true, Ordering::Relaxed);
            }
            match step {
                RetryStep::Delivered => {
                    report(Progress::BatchDelivered { started, ended });
                    return BatchOutcome::Fate(Fate::Delivered);
                }
                RetryStep::DeliveredBut { rejected } => {
                    report(Progress::BatchDelivered { started, ended });
                    report(Progress::PartlyAccepted { verdict, at: ended });
                    return BatchOutcome::Fate(Fate::DeliveredBut { rejected });
                }
                RetryStep::Split => return BatchOutcome::TooLarge,
                RetryStep::Isolate(status) => return BatchOutcome::Rejected(status),
                RetryStep::GiveUp(reason) => {
                    report(Progress::AttemptFailed { verdict, started, ended });
                    return BatchOutcome::Fate(Fate::Dropped(reason));
                }
                RetryStep::Retry(wait) => {
                    report(Progress::AttemptFailed { verdict, started, ended });
                    let until = Instant::now() + wait;
                    if !has_server && self.has_working_spool() {
                        match self.wait_or_offer(until, claimed, report) {
                            Offer::NotMade => {
                                attempt += 1;
                                continue;
                            }
                            Offer::Taken => return BatchOutcome::Kept,
                            Offer::Refused => self.ledger.attempt_failed(started, ended),
                        }
                    }
                    match self.wait(until, has_server, deadline) {
                        Some(Pause::Over) => attempt += 1,
                        Some(Pause::CutShort) => retry_at = Some(until),
                        None => return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline)),
                    }
                }
            }
        }
    }

    /// Notes whether a server has answered, for programs that wait. With a spool they need not know: the worker keeps what
    /// has no answer.
    fn note_in_ledger(&self, verdict: &Verdict, started: Instant, ended: Instant) {
        match verdict {
            Verdict::NoAnswer(_) if self.has_working_spool() => {}
            Verdict::NoAnswer(_) => self.ledger.attempt_failed(started, ended),
            _ => self.ledger.attempt_answered(),
        }
    }

    fn has_working_spool(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| !outstanding.is_spool_failing())
    }

    /// Whether the time after a close is over.
    fn is_over(&self) -> bool {
        self.ledger.send_until().is_some_and(|end| Instant::now() + DEADLINE_SLACK >= end)
    }

    /// How long an attempt may take. `None` once the time after a close is over.
    fn time_for_attempt(&self) -> Option<Duration> {
        let Some(end) = self.ledger.send_until() else { return Some(self.http_timeout) };
        let left = end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(self.http_timeout))
    }

    /// Waits before a retry, where no server can be reached and there is a spool. A program need not wait for that: the next
    /// run can send the batch.
    fn wait_or_offer(&self, until: Instant, claimed: &ClaimedBatch<'_>, report: Report<'_>) -> Offer {
        self.ledger.pause_unless_awaited(until);
        if !self.ledger.is_awaited() {
            return Offer::NotMade;
        }
        if claimed.offer(until, || report(Progress::BatchOffered)) { Offer::Refused } else { Offer::Taken }
    }

    /// Waits before a retry. A `stop` after the caller read `deadline` ends the wait, and the retry is the last attempt.
    /// `None` if a wait is of no use: the deadline comes first, or a program waits to end and no server answers. A
    /// machine that is offline must not cost it seconds.
    fn wait(&self, until: Instant, has_server: bool, deadline: Option<Instant>) -> Option<Pause> {
        let is_of_use = deadline.is_none_or(|deadline| has_server && until < deadline);
        is_of_use.then(|| self.ledger.pause_before_retry(until, deadline, has_server))
    }
}

/// What is called with each step of a delivery, on the thread of the delivery.
pub(super) type Report<'a> = &'a mut dyn FnMut(Progress);

/// Gives the events this fate. With a spool they are not dropped only because they could not be sent in time.
fn end(claimed: ClaimedBatch<'_>, fate: Fate, report: Report<'_>) {
    let claimed = match fate {
        Fate::Dropped(reason @ (DropReason::RetriesExhausted | DropReason::Deadline)) => {
            match claimed.give_up(reason) {
                Ok(()) => return,
                Err(claimed) => claimed,
            }
        }
        _ => claimed,
    };
    if matches!(fate, Fate::Dropped(_)) && !claimed.is_kept() {
        report(Progress::EventsDropped(claimed.batch.len() as u64));
    }
    claimed.settle(fate);
}

/// Drops events because of the status that the server answered to them.
fn give_up(claimed: ClaimedBatch<'_>, reason: DropReason, status: u16, report: Report<'_>) {
    report(Progress::EventsRejected(status));
    if !claimed.is_kept() {
        report(Progress::EventsDropped(claimed.batch.len() as u64));
    }
    claimed.settle(Fate::Dropped(reason));
}

/// An attempt that is cut by the deadline can end this much before it.
const DEADLINE_SLACK: Duration = Duration::from_millis(2);

/// An attempt that lasts this much longer than its limit was paused: the process was suspended meanwhile, or had no core.
/// That does not count what the system adds: Linux ends the wait of a socket up to an eighth too late (its timer wheel).
const PAUSE: Duration = Duration::from_millis(100);
const TIMER_SLACK: u32 = 8;

/// How many attempts of one batch may be left out of the count: a machine may be paused again and again.
const MAX_PAUSES: u32 = 3;

/// Whether there was no answer because the process was paused during the attempt. The answer may have come meanwhile, and
/// the time was over when the process saw it. That says nothing about the server, so the attempt does not count. While a
/// program stops, it would be the last.
fn is_of_a_pause(verdict: &Verdict, took: Duration, limit: Duration) -> bool {
    verdict.has_no_answer() && took > limit + limit / TIMER_SLACK + PAUSE
}

/// A number in 0..1 for the jitter. 0 if the system has no random number.
fn random_fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / 2_f64.powi(32)
}

#[cfg(test)]
mod tests;
