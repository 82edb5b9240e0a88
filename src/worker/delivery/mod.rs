//! One batch until its fate: attempts, waits, halves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::stats::DropReason;
use crate::process::fork;
use crate::queue::ledger::{Claim, Fate, Ledger};
use crate::transport::Transport;
use crate::transport::retry::{RetryPolicy, RetryStep, Verdict};
use crate::wire::batch::Batch;
use crate::wire::envelope::{Envelope, Request};
use crate::wire::ids::Ids;
use crate::worker::keeper::Keeper;
use crate::worker::outage_log::OutageLog;

/// What it takes to write what is pending into the spool, and each event of it.
const TO_WRITE: Duration = Duration::from_millis(2);
const TO_WRITE_EVENT: Duration = Duration::from_micros(1);

pub(crate) struct Delivery<T> {
    ledger: Arc<Ledger>,
    transport: T,
    envelope: Envelope,
    policy: RetryPolicy,
    http_timeout: Duration,
    pub(super) outage_log: OutageLog,
    keys: Ids,
    /// Whether an attempt of the last batch failed in a way that may pass.
    is_outage: bool,
    /// `None` without a spool.
    keeper: Option<Keeper>,
}

/// What a batch came to, before its claim is settled.
enum BatchOutcome {
    Fate(Fate),
    Halves([Batch; 2]),
}

impl<T: Transport> Delivery<T> {
    /// Sends through `transport`, and settles what it sends in `ledger`. Each attempt may take `http_timeout`.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        transport: T,
        envelope: Envelope,
        policy: RetryPolicy,
        http_timeout: Duration,
        outage_log: OutageLog,
    ) -> Self {
        let (keys, is_outage, keeper) = (Ids::new(), false, None);
        Self { ledger, transport, envelope, policy, http_timeout, outage_log, keys, is_outage, keeper }
    }

    /// Keeps in the spool what would be dropped because it could not be sent in time.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn with_keeper(mut self, keeper: Option<Keeper>) -> Self {
        self.keeper = keeper;
        self
    }

    pub(super) fn close_spool(&mut self) {
        self.keeper = None;
    }

    pub(super) fn has_keeper(&self) -> bool {
        self.keeper.is_some()
    }

    /// Writes events that wait to be sent into the spool, so that they outlive the process.
    pub(super) fn write_ahead(&mut self, batch: &mut Batch) {
        self.write(batch, None);
    }

    /// Whether the batch is in the spool.
    fn write(&mut self, batch: &mut Batch, key: Option<&str>) -> bool {
        let Some(keeper) = self.keeper.as_mut().filter(|_| !batch.is_empty()) else { return false };
        match keeper.write(batch, key) {
            Ok(()) => {
                self.outage_log.keeps();
                true
            }
            Err(error) => {
                self.outage_log.keeps_nothing(&error);
                false
            }
        }
    }

    /// The fate of a batch that could not be sent.
    fn keep(&mut self, batch: &mut Batch, key: &str, reason: DropReason) -> BatchOutcome {
        let kept = self.keeper.as_mut().map(|keeper| keeper.keep(batch, key, reason));
        BatchOutcome::Fate(match kept {
            None => Fate::Dropped(reason),
            Some(Ok(())) => {
                self.outage_log.keeps();
                Fate::Spooled
            }
            Some(Err((reason, error))) => {
                self.outage_log.keeps_nothing(&error);
                Fate::Dropped(reason)
            }
        })
    }

    /// Sends a batch, and returns when every event of it has its fate. Gives the smallest size that the server found
    /// too large for several events together, if there was one.
    pub(crate) fn deliver(&mut self, batch: &mut Batch) -> Option<usize> {
        let ledger = Arc::clone(&self.ledger);
        let claim = ledger.claim(batch.load());
        self.deliver_claimed(batch, claim)
    }

    fn deliver_claimed(&mut self, batch: &mut Batch, claim: Claim<'_>) -> Option<usize> {
        let [mut first, mut second] = match self.attempt_until_decided(batch) {
            BatchOutcome::Halves(halves) => halves,
            BatchOutcome::Fate(fate) => {
                self.note(fate, batch.len() as u64);
                claim.settle(fate);
                return None;
            }
        };
        // Both halves are claimed before either is sent: what strikes one leaves no event unaccounted.
        let ledger = Arc::clone(&self.ledger);
        let claims = [ledger.claim(first.load()), ledger.claim(second.load())];
        claim.hand_over();
        let [first_claim, second_claim] = claims;
        let of_halves =
            [self.deliver_claimed(&mut first, first_claim), self.deliver_claimed(&mut second, second_claim)];
        Some(of_halves.into_iter().flatten().min().unwrap_or(batch.json().len()))
    }

    fn attempt_until_decided(&mut self, batch: &mut Batch) -> BatchOutcome {
        let Ok(key) = self.keys.next() else {
            return BatchOutcome::Fate(Fate::Dropped(DropReason::Internal));
        };
        let request = self.envelope.seal(batch, key);
        let writes_first = self.keeper.as_ref().is_some_and(Keeper::is_write_ahead) || self.ledger.is_fatal();
        let is_written = writes_first && self.write(batch, Some(&request.idempotency_key));
        let outcome = self.attempt_until_answered(batch, &request);
        let is_over = matches!(outcome, BatchOutcome::Fate(Fate::Delivered | Fate::Dropped(_)));
        if let Some(keeper) = self.keeper.as_mut().filter(|_| is_written && is_over) {
            keeper.done(batch, &request.idempotency_key);
        }
        outcome
    }

    fn attempt_until_answered(&mut self, batch: &mut Batch, request: &Request) -> BatchOutcome {
        if std::mem::take(&mut self.is_outage) {
            self.ledger.wait_before_next_batch(Instant::now() + self.policy.spread(random_fraction()));
        }
        self.outage_log.begins(&self.ledger.refused());
        let mut attempt = 0;
        loop {
            let deadline = self.ledger.deadline();
            let Some(limit) = self.time_for_attempt(deadline) else {
                return self.keep(batch, &request.idempotency_key, DropReason::Deadline);
            };
            let verdict = self.transport.post(request, attempt, limit);
            fork::exit_if_forked(); // ureq logs too
            let step = self.policy.next(attempt, &verdict, random_fraction());
            self.is_outage |= step.is_outage();
            match step {
                RetryStep::Delivered => return BatchOutcome::Fate(Fate::Delivered),
                RetryStep::Split => {
                    let halves = batch.split().map(BatchOutcome::Halves);
                    return halves
                        .unwrap_or(BatchOutcome::Fate(self.give_up(DropReason::TooLarge, &verdict)));
                }
                RetryStep::GiveUp(DropReason::RetriesExhausted) => {
                    self.outage_log.failed(&verdict);
                    return self.keep(batch, &request.idempotency_key, DropReason::RetriesExhausted);
                }
                RetryStep::GiveUp(reason) => return BatchOutcome::Fate(self.give_up(reason, &verdict)),
                RetryStep::Retry(wait) => {
                    self.outage_log.failed(&verdict);
                    if !self.wait(wait, &verdict, deadline) {
                        return self.keep(batch, &request.idempotency_key, DropReason::Deadline);
                    }
                    attempt += 1;
                }
            }
        }
    }

    fn give_up(&mut self, reason: DropReason, verdict: &Verdict) -> Fate {
        self.outage_log.failed(verdict);
        Fate::Dropped(reason)
    }

    fn note(&mut self, fate: Fate, events: u64) {
        match fate {
            Fate::Delivered => {
                self.outage_log.delivered(&self.ledger.refused());
                if let Some(keeper) = &mut self.keeper {
                    keeper.release();
                }
            }
            Fate::Spooled => {}
            Fate::Dropped(_) => self.outage_log.dropped(events),
        }
    }

    /// What an attempt may take; `None` once the deadline has passed. With a spool it ends before the deadline, so that
    /// what is left can be written.
    fn time_for_attempt(&self, deadline: Option<Instant>) -> Option<Duration> {
        let Some(deadline) = deadline else { return Some(self.http_timeout) };
        let mut left = deadline.saturating_duration_since(Instant::now());
        if self.keeper.is_some() {
            let events = u32::try_from(self.ledger.stats().pending).unwrap_or(u32::MAX);
            let to_write = TO_WRITE + TO_WRITE_EVENT.saturating_mul(events);
            if left <= to_write {
                return None;
            }
            left -= to_write;
        }
        (!left.is_zero()).then(|| left.min(self.http_timeout))
    }

    /// Waits before a retry; a close since the caller saw `deadline` cuts it short, to a last attempt. `false`: there
    /// is no use in waiting, because the deadline comes first, or because a program waits to end and nobody is there:
    /// a machine that is offline must not cost it seconds.
    fn wait(&self, wait: Duration, verdict: &Verdict, deadline: Option<Instant>) -> bool {
        let until = Instant::now() + wait;
        if self.keeper.is_some() && matches!(verdict, Verdict::Silence(_)) {
            // The next run can send it. The program need not wait for that.
            self.ledger.pause_unless_awaited(until);
            return !self.ledger.is_awaited();
        }
        let is_somebody_there = !matches!(verdict, Verdict::Silence(_));
        let worth_it = deadline.is_none_or(|deadline| is_somebody_there && until < deadline);
        if worth_it {
            self.ledger.pause(until, deadline);
        }
        worth_it
    }
}

/// A number in 0..1 for the jitter; 0 where the system has none to give.
fn random_fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / 2_f64.powi(32)
}

#[cfg(test)]
mod tests;
