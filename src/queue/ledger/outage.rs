//! Whether it is of use to wait for a server. Pure: moments in, a moment out.
//!
//! An outage here is a server that does not answer at all. A server that answers is up, whatever it answers, and is
//! waited for. The rules:
//!
//! - An outage that begins while a thread waits has half a second to pass, if its first attempt failed quickly: the server
//!   may be restarting. The attempt after that decides. If the first attempt lasted a second or longer, it decides.
//! - In an outage that was known before, one attempt decides. It is made at once, and has a second at most.
//! - A wait that follows another one in vain, or a stop that does, has a tenth of a second for all this.

use std::time::{Duration, Instant};

/// How long a server that refused a connection has to come back. It delays the end of a program that is offline.
const RESTART: Duration = Duration::from_millis(500);

/// A server that has not answered for so long, while none answers, will not answer in time. A healthy one far away has
/// answered by then, TLS included.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same for a wait or a stop that follows a wait in vain.
const SHORT_PATIENCE: Duration = Duration::from_millis(100);

/// How long a wait that was in vain counts as the last one of the same program's end.
const RECENTLY: Duration = Duration::from_secs(1);

/// No wait is in vain before this time. A program that waits in a loop must neither busy the server nor its own core.
pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// What is known of a server that may not answer.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// When the first attempt failed of those that had no answer. `None`: the last one had an answer, or none was made.
    since: Option<Instant>,
    /// When an attempt of this outage last failed that had lasted as long as patience does.
    slow_failure: Option<Instant>,
    /// When the last attempt of those began that failed in this outage.
    last_failed: Option<Instant>,
    /// When an attempt last began.
    last_begun: Option<Instant>,
    answered: Option<Instant>,
    /// When a wait last ended in vain, if no attempt had an answer since.
    vain_wait: Option<Instant>,
}

impl Outage {
    pub(super) fn attempt_begins(&mut self, now: Instant) {
        self.last_begun = Some(now);
    }

    /// Whether no server answers.
    pub(super) fn is_known(&self) -> bool {
        self.since.is_some()
    }

    /// A server has answered.
    pub(super) fn answered(&mut self, now: Instant) {
        let (last_begun, answered) = (self.last_begun, Some(now));
        *self = Self { last_begun, answered, ..Self::default() };
    }

    /// An attempt had no answer. If another one had an answer meanwhile, that is no outage.
    pub(super) fn failed(&mut self, began: Instant, ended: Instant) {
        if self.answered.is_some_and(|answered| answered >= began) {
            return;
        }
        self.since.get_or_insert(ended);
        self.last_failed = self.last_failed.max(Some(began));
        if ended.saturating_duration_since(began) >= PATIENCE {
            self.slow_failure = Some(ended);
        }
    }

    /// When the attempt is due that decides about a wait that began at this moment. `None`: no attempt has failed.
    pub(super) fn decides_at(&self, wait_began: Instant) -> Option<Instant> {
        let since = self.since?;
        Some(if since <= wait_began { wait_began } else { since + RESTART })
    }

    /// When an attempt is due for a wait that began at this moment, and has not been made.
    pub(super) fn due_attempt(&self, wait_began: Instant) -> Option<Instant> {
        let at = self.decides_at(wait_began)?;
        (self.last_begun < Some(at)).then_some(at)
    }

    /// When a wait is in vain that began at this moment, if no server answers until then.
    pub(super) fn wait_ends_at(&self, wait_began: Instant) -> Option<Instant> {
        let decides_at = self.decides_at(wait_began)?;
        let end =
            if self.has_decided(wait_began) { wait_began } else { decides_at + self.patience(wait_began) };
        Some(end.max(wait_began + SHORTEST_WAIT))
    }

    /// When the last attempts of a reporter end that was closed at this moment, if no server answers until then.
    pub(super) fn stop_ends_at(&self, closed: Instant) -> Option<Instant> {
        self.since.map(|since| since.max(closed) + self.patience(closed))
    }

    /// A wait ends before its flush is done.
    pub(super) fn wait_failed(&mut self, wait_began: Instant, now: Instant) {
        let is_unanswered = self.answered.is_none_or(|answered| answered < wait_began);
        let was_long = now.saturating_duration_since(wait_began) >= PATIENCE;
        if self.has_decided(wait_began) || is_unanswered && was_long {
            self.vain_wait = Some(now);
        }
    }

    /// Whether an attempt has failed that decides about a wait that began at this moment.
    fn has_decided(&self, wait_began: Instant) -> bool {
        let decides_at = self.decides_at(wait_began);
        let has_failed = decides_at.is_some() && self.last_failed >= decides_at;
        has_failed || self.slow_failure >= Some(wait_began)
    }

    fn patience(&self, began: Instant) -> Duration {
        let is_recent = |vain: Instant| began.saturating_duration_since(vain) < RECENTLY;
        if self.vain_wait.is_some_and(is_recent) { SHORT_PATIENCE } else { PATIENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// An outage whose attempts began and failed at these moments, after `start`.
    fn outage(start: Instant, failures: &[(u32, u32)]) -> Outage {
        let mut outage = Outage::default();
        for (began, ended) in failures {
            outage.attempt_begins(start + *began * MS);
            outage.failed(start + *began * MS, start + *ended * MS);
        }
        outage
    }

    #[test]
    fn while_a_server_answers_no_wait_is_in_vain() {
        let start = Instant::now();
        let mut outage = outage(start, &[(10, 11), (20, 5020)]);
        assert!(outage.wait_ends_at(start).is_some() && outage.stop_ends_at(start).is_some());
        outage.answered(start + 6000 * MS);
        let ends = (outage.wait_ends_at(start), outage.stop_ends_at(start), outage.due_attempt(start));
        assert_eq!(ends, (None, None, None));
        outage.failed(start + 5900 * MS, start + 10_900 * MS);
        assert_eq!(outage.wait_ends_at(start), None, "an answer came during the attempt");
        outage.failed(start + 6001 * MS, start + 6002 * MS);
        assert!(outage.wait_ends_at(start).is_some(), "a new outage");
    }

    #[test]
    fn after_one_quick_failure_the_attempt_half_a_second_later_decides() {
        let start = Instant::now();
        let began_with = |failures: &[_]| outage(start, failures);
        let first = began_with(&[(10, 11)]);
        assert_eq!(first.due_attempt(start), Some(start + 511 * MS));
        assert_eq!(first.wait_ends_at(start), Some(start + 1511 * MS), "a mute attempt has a second");
        let sooner = began_with(&[(10, 11), (300, 301)]);
        assert_eq!(sooner.due_attempt(start), Some(start + 511 * MS), "one that was sooner does not count");
        let decided = began_with(&[(10, 11), (511, 512)]);
        assert_eq!((decided.due_attempt(start), decided.wait_ends_at(start)), (None, Some(start + 100 * MS)));
    }

    #[test]
    fn an_attempt_that_lasted_a_second_decides_at_once() {
        let start = Instant::now();
        let outage = outage(start, &[(0, 5000)]);
        assert_eq!(outage.wait_ends_at(start + 10 * MS), Some(start + 110 * MS));
    }

    #[test]
    fn in_a_known_outage_one_attempt_decides_and_has_a_second() {
        let start = Instant::now();
        let mut outage = outage(start, &[(10, 11)]);
        let later = start + 2000 * MS;
        assert_eq!(outage.due_attempt(later), Some(later));
        assert_eq!(outage.wait_ends_at(later), Some(later + 1000 * MS));
        outage.failed(start + 1990 * MS, later + MS);
        assert_eq!(outage.wait_ends_at(later), Some(later + 1000 * MS), "that attempt began before the wait");
        outage.attempt_begins(later);
        outage.failed(later, later + MS);
        assert_eq!(
            (outage.due_attempt(later), outage.wait_ends_at(later)),
            (None, Some(later + SHORTEST_WAIT))
        );
        assert_eq!(outage.stop_ends_at(later), Some(later + 1000 * MS));
    }

    #[test]
    fn after_a_wait_in_vain_the_next_wait_and_the_stop_have_a_tenth_of_a_second_but_not_much_later() {
        let start = Instant::now();
        let mut outage = outage(start, &[(0, 5000)]);
        outage.wait_failed(start, start + 5000 * MS);
        let ends_after = |began: Instant| {
            let ends = [outage.wait_ends_at(began), outage.stop_ends_at(began)];
            ends.map(|end| end.unwrap().duration_since(began))
        };
        assert_eq!(ends_after(start + 5900 * MS), [100 * MS; 2]);
        assert_eq!(ends_after(start + 6000 * MS), [1000 * MS; 2]);
    }

    #[test]
    fn a_wait_that_was_short_or_had_an_answer_is_not_in_vain() {
        let start = Instant::now();
        let patience_after = |took: Duration, answered: Option<Duration>| {
            let mut outage = Outage::default();
            outage.attempt_begins(start);
            if let Some(at) = answered {
                outage.answered(start + at);
            }
            outage.wait_failed(start, start + took);
            outage.attempt_begins(start + took);
            outage.failed(start + took, start + took);
            outage.patience(start + took)
        };
        assert_eq!(patience_after(1000 * MS, None), SHORT_PATIENCE);
        assert_eq!(patience_after(999 * MS, None), PATIENCE);
        assert_eq!(patience_after(1000 * MS, Some(MS)), PATIENCE);
    }
}
