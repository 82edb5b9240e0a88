//! Delivers one batch: attempts, waits, halves, until each event has its fate.
//!
//! A batch is split for two reasons. After a 413 both halves are sent, and split again, until they are small enough. After a
//! 400 or a 422 one event may be what the server does not accept. Then both halves are sent too. If one of them passes,
//! the search goes on in the other. If both fail, the fault is in no single event, and both are dropped. So one bad event
//! among a hundred costs itself and some fourteen requests, and a program that sends nothing acceptable costs three
//! requests a batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::stats::DropReason;
use crate::process::fork;
use crate::queue::ledger::{Claim, Fate, Ledger};
use crate::transport::Transport;
use crate::transport::retry::{RetryPolicy, RetryStep, Verdict};
use crate::wire::batch::Batch;
use crate::wire::envelope::Envelope;
use crate::wire::ids::Ids;
use crate::worker::outage_log::OutageLog;

pub(crate) struct Delivery<T> {
    ledger: Arc<Ledger>,
    transport: T,
    envelope: Envelope,
    policy: RetryPolicy,
    http_timeout: Duration,
    pub(super) outage_log: OutageLog,
    keys: Ids,
    /// Whether an attempt of the last batch failed in a way that a later attempt may not.
    is_outage: bool,
}

/// A batch, and the responsibility for its events.
struct ClaimedBatch<'a> {
    batch: Batch,
    claim: Claim<'a>,
}

impl<'a> ClaimedBatch<'a> {
    /// Two halves, or the batch itself if it has one event. Both halves are claimed at once, so a panic while one of them
    /// is sent leaves no event without a claim.
    fn split(self, ledger: &'a Ledger) -> Result<[Self; 2], Self> {
        let Some(halves) = self.batch.split() else { return Err(self) };
        let halves = halves.map(|batch| Self { claim: ledger.claim(batch.load()), batch });
        self.claim.hand_over();
        Ok(halves)
    }
}

/// What is decided about a batch, before its claim is settled.
#[derive(Clone, Copy)]
enum BatchOutcome {
    Fate(Fate),
    /// The server accepted the batch, but for so many of its events.
    DeliveredBut {
        rejected: u64,
    },
    /// The server answered 413.
    TooLarge,
    /// The server answered with this status, perhaps because of one event.
    Rejected(u16),
}

impl BatchOutcome {
    fn is_rejected_or_dropped(self) -> bool {
        matches!(self, Self::Rejected(_) | Self::Fate(Fate::Dropped(_)))
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
        outage_log: OutageLog,
    ) -> Self {
        let (keys, is_outage) = (Ids::new(), false);
        Self { ledger, transport, envelope, policy, http_timeout, outage_log, keys, is_outage }
    }

    /// Sends a batch and returns when each of its events has its fate. If the server found several events together too
    /// large, returns the smallest such size.
    pub(crate) fn deliver(&mut self, batch: Batch) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        let claim = ledger.claim(batch.load());
        self.deliver_claimed(ClaimedBatch { batch, claim })
    }

    fn deliver_claimed(&mut self, claimed: ClaimedBatch<'_>) -> Option<usize> {
        let outcome = self.attempt_until_decided(&claimed.batch);
        self.settle(claimed, outcome)
    }

    /// Gives the events their fate, which may take further requests.
    fn settle(&mut self, claimed: ClaimedBatch<'_>, outcome: BatchOutcome) -> Option<usize> {
        match outcome {
            BatchOutcome::Fate(fate) => {
                match fate {
                    Fate::Delivered => self.outage_log.batch_delivered(&self.ledger.refused()),
                    Fate::Dropped(_) => self.outage_log.events_dropped(claimed.batch.len() as u64),
                }
                claimed.claim.settle(fate);
                None
            }
            BatchOutcome::DeliveredBut { rejected } => {
                self.outage_log.batch_delivered(&self.ledger.refused());
                claimed.claim.settle_but(Fate::Delivered, rejected, Fate::Dropped(DropReason::Rejected));
                None
            }
            BatchOutcome::TooLarge => self.deliver_halves(claimed),
            BatchOutcome::Rejected(status) => self.isolate(claimed, status),
        }
    }

    fn deliver_halves(&mut self, claimed: ClaimedBatch<'_>) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        let size = claimed.batch.json().len();
        match claimed.split(&ledger) {
            Ok(halves) => {
                let too_large = halves.map(|half| self.deliver_claimed(half));
                Some(too_large.into_iter().flatten().min().unwrap_or(size))
            }
            Err(single) => {
                self.give_up(single, DropReason::TooLarge, 413);
                None
            }
        }
    }

    /// Looks for the events that the server does not accept, in a batch that it rejected.
    fn isolate(&mut self, claimed: ClaimedBatch<'_>, status: u16) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        let halves = match claimed.split(&ledger) {
            Ok(halves) => halves,
            Err(single) => {
                self.give_up(single, DropReason::Rejected, status);
                return None;
            }
        };
        let (mut too_large, mut has_passed, mut rejected) = (Vec::new(), false, Vec::new());
        for half in halves {
            let outcome = self.attempt_until_decided(&half.batch);
            has_passed |= !outcome.is_rejected_or_dropped();
            match outcome {
                BatchOutcome::Rejected(status) => rejected.push((half, status)),
                outcome => too_large.extend(self.settle(half, outcome)),
            }
        }
        for (half, status) in rejected {
            if has_passed {
                too_large.extend(self.isolate(half, status));
            } else {
                self.give_up(half, DropReason::Rejected, status);
            }
        }
        too_large.into_iter().min()
    }

    /// Drops events because of the status that the server answered to them.
    fn give_up(&mut self, claimed: ClaimedBatch<'_>, reason: DropReason, status: u16) {
        self.outage_log.events_rejected(status, Instant::now());
        self.outage_log.events_dropped(claimed.batch.len() as u64);
        claimed.claim.settle(Fate::Dropped(reason));
    }

    fn attempt_until_decided(&mut self, batch: &Batch) -> BatchOutcome {
        let Ok(key) = self.keys.next() else {
            return BatchOutcome::Fate(Fate::Dropped(DropReason::Internal));
        };
        let request = self.envelope.seal(batch, key);
        if std::mem::take(&mut self.is_outage) {
            self.ledger.wait_before_next_batch(Instant::now() + self.policy.spread(random_fraction()));
        }
        self.outage_log.batch_begins(&self.ledger.refused());
        let (mut attempt, mut pauses) = (0, 0);
        loop {
            let deadline = self.ledger.deadline();
            let Some(limit) = self.time_for_attempt(deadline) else {
                return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline));
            };
            let started = Instant::now();
            let verdict = self.transport.post(&request, attempt, limit);
            fork::exit_if_forked(); // ureq has logged, and the program's logger may have forked
            if verdict.has_no_answer() && self.is_over() {
                // The deadline cut the attempt, which may have gone well. That is no news of the server.
                return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline));
            }
            if pauses < MAX_PAUSES && is_of_a_pause(&verdict, started.elapsed(), limit) {
                pauses += 1;
                continue; // the same attempt once more
            }
            let step = self.policy.next(attempt, &verdict, random_fraction());
            self.is_outage |= step.is_outage();
            match step {
                RetryStep::Delivered => return BatchOutcome::Fate(Fate::Delivered),
                RetryStep::DeliveredBut { rejected } => {
                    self.outage_log.partly_accepted(&verdict, Instant::now());
                    return BatchOutcome::DeliveredBut { rejected };
                }
                RetryStep::Split => return BatchOutcome::TooLarge,
                RetryStep::Isolate(status) => return BatchOutcome::Rejected(status),
                RetryStep::GiveUp(reason) => {
                    self.outage_log.attempt_failed(&verdict);
                    return BatchOutcome::Fate(Fate::Dropped(reason));
                }
                RetryStep::Retry(wait) => {
                    self.outage_log.attempt_failed(&verdict);
                    if !self.wait(wait, &verdict, deadline) {
                        return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline));
                    }
                    attempt += 1;
                }
            }
        }
    }

    /// Whether the deadline of a stop has passed.
    fn is_over(&self) -> bool {
        self.ledger.deadline().is_some_and(|deadline| Instant::now() + DEADLINE_SLACK >= deadline)
    }

    /// How long an attempt may take. `None` once the deadline has passed.
    fn time_for_attempt(&self, deadline: Option<Instant>) -> Option<Duration> {
        let Some(deadline) = deadline else { return Some(self.http_timeout) };
        let left = deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(self.http_timeout))
    }

    /// Waits before a retry. A `stop` after the caller read `deadline` ends the wait, and the retry is the last attempt.
    /// `false` if a wait is of no use: the deadline comes first, or a program waits to end and no server answers. A
    /// machine that is offline must not cost it seconds.
    fn wait(&self, wait: Duration, verdict: &Verdict, deadline: Option<Instant>) -> bool {
        let until = Instant::now() + wait;
        let has_server = !matches!(verdict, Verdict::NoAnswer(_));
        let is_of_use = deadline.is_none_or(|deadline| has_server && until < deadline);
        if is_of_use {
            self.ledger.pause(until, deadline);
        }
        is_of_use
    }
}

/// An attempt that is cut by the deadline can end this much before it.
const DEADLINE_SLACK: Duration = Duration::from_millis(2);

/// An attempt that lasts this much longer than its limit was paused: the process was suspended meanwhile, or had no core.
const PAUSE: Duration = Duration::from_millis(100);

/// A batch has no more attempts than this that do not count, on a machine that is paused again and again.
const MAX_PAUSES: u32 = 3;

/// Whether there was no answer because the process was paused during the attempt. The answer may have come meanwhile, and
/// the time was over when the process saw it. That says nothing about the server, so the attempt does not count. While a
/// program stops, it would be the last.
fn is_of_a_pause(verdict: &Verdict, took: Duration, limit: Duration) -> bool {
    verdict.has_no_answer() && took > limit + PAUSE
}

/// A number in 0..1 for the jitter. 0 if the system has no random number.
fn random_fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / 2_f64.powi(32)
}

#[cfg(test)]
mod tests;
