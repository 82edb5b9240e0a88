//! Delivers one batch: attempts, waits, halves, until each event has its fate.

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

/// What is decided about a batch, before its claim is settled.
enum BatchOutcome {
    Fate(Fate),
    /// The server finds the batch too large: its halves may fit.
    TooLarge([Batch; 2]),
    /// The server dislikes something in it.
    Disliked(Verdict),
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
    pub(crate) fn deliver(&mut self, batch: &Batch) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        self.deliver_claimed(&ledger, batch, ledger.claim(batch.load()))
    }

    fn deliver_claimed(&mut self, ledger: &Ledger, batch: &Batch, claim: Claim<'_>) -> Option<usize> {
        match self.attempt_until_decided(batch) {
            BatchOutcome::Fate(fate) => {
                self.settle(batch, claim, fate);
                None
            }
            BatchOutcome::TooLarge(halves) => {
                let claims = hand_over(ledger, claim, &halves).into_iter().zip(&halves);
                let sizes = claims.filter_map(|(claim, half)| self.deliver_claimed(ledger, half, claim));
                Some(sizes.min().unwrap_or(batch.json().len()))
            }
            BatchOutcome::Disliked(verdict) => {
                let rejected = self.isolate(ledger, batch, claim);
                self.outage_log.rejected(rejected, batch.len() as u64, &verdict);
                None
            }
        }
    }

    /// Finds the events that the server dislikes, so that the others of their batch are delivered. Sends both halves, and
    /// goes on in a half that fails if the other one is delivered. If both fail, the fault is likely in what all events
    /// share, and all are rejected: a wrong program costs three requests a batch, one bad event of a hundred about fourteen.
    /// Returns how many events were rejected.
    fn isolate(&mut self, ledger: &Ledger, disliked: &Batch, claim: Claim<'_>) -> u64 {
        let Some(halves) = disliked.split() else {
            claim.settle(Fate::Dropped(DropReason::Rejected));
            return 1;
        };
        let claims = hand_over(ledger, claim, &halves);
        let outcomes = [self.attempt_until_decided(&halves[0]), self.attempt_until_decided(&halves[1])];
        let is_delivered =
            outcomes.each_ref().map(|outcome| matches!(outcome, BatchOutcome::Fate(Fate::Delivered)));
        let mut rejected = 0;
        for (((half, claim), outcome), other_is_delivered) in
            halves.iter().zip(claims).zip(outcomes).zip([is_delivered[1], is_delivered[0]])
        {
            match outcome {
                BatchOutcome::Fate(fate) => self.settle(half, claim, fate),
                BatchOutcome::Disliked(_) if other_is_delivered => {
                    rejected += self.isolate(ledger, half, claim);
                }
                BatchOutcome::Disliked(_) => {
                    claim.settle(Fate::Dropped(DropReason::Rejected));
                    rejected += half.len() as u64;
                }
                BatchOutcome::TooLarge(quarters) => {
                    for (claim, quarter) in hand_over(ledger, claim, &quarters).into_iter().zip(&quarters) {
                        self.deliver_claimed(ledger, quarter, claim);
                    }
                }
            }
        }
        rejected
    }

    fn settle(&mut self, batch: &Batch, claim: Claim<'_>, fate: Fate) {
        self.note(fate, batch.len() as u64);
        claim.settle(fate);
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
        let mut attempt = 0;
        loop {
            let deadline = self.ledger.deadline();
            let Some(limit) = self.time_for_attempt(deadline) else {
                return BatchOutcome::Fate(Fate::Dropped(DropReason::Deadline));
            };
            let verdict = self.transport.post(&request, attempt, limit);
            fork::exit_if_forked(); // ureq has logged, and the program's logger may have forked
            let step = self.policy.next(attempt, &verdict, random_fraction());
            self.is_outage |= step.is_outage();
            match step {
                RetryStep::Delivered => return BatchOutcome::Fate(Fate::Delivered),
                RetryStep::Split => {
                    let halves = batch.split().map(BatchOutcome::TooLarge);
                    return halves
                        .unwrap_or(BatchOutcome::Fate(self.give_up(DropReason::TooLarge, &verdict)));
                }
                RetryStep::Isolate => return BatchOutcome::Disliked(verdict),
                RetryStep::GiveUp(reason) => return BatchOutcome::Fate(self.give_up(reason, &verdict)),
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

    fn give_up(&mut self, reason: DropReason, verdict: &Verdict) -> Fate {
        self.outage_log.attempt_failed(verdict);
        Fate::Dropped(reason)
    }

    fn note(&mut self, fate: Fate, events: u64) {
        match fate {
            Fate::Delivered => self.outage_log.batch_delivered(&self.ledger.refused()),
            Fate::Dropped(_) => self.outage_log.events_dropped(events),
        }
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

/// Claims both halves before either is sent, so that a panic in one leaves no event without a fate.
fn hand_over<'l>(ledger: &'l Ledger, whole: Claim<'_>, halves: &[Batch; 2]) -> [Claim<'l>; 2] {
    let claims = halves.each_ref().map(|half| ledger.claim(half.load()));
    whole.hand_over();
    claims
}

/// A number in 0..1 for the jitter. 0 if the system has no random number.
fn random_fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / 2_f64.powi(32)
}

#[cfg(test)]
mod tests;
