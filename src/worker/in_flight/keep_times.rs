//! When the worker keeps in the spool what senders have not delivered. Pure.

use std::time::{Duration, Instant};

/// If a program waits, and an attempt has had no answer for so long, its batch is kept. A healthy server far away has
/// answered by then, TLS included.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How soon to look again for an attempt that is about to begin.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What it takes to write what is pending, and each event of it, on a busy machine.
const TO_WRITE: Duration = Duration::from_millis(2);
const TO_WRITE_EVENT: Duration = Duration::from_micros(10);

#[derive(Debug, Default)]
pub(in crate::worker) struct KeepTimes {
    /// Since when a thread waits for a flush or for the end, as far as the worker has seen.
    awaited_since: Option<Instant>,
    /// Since when the reporter is closed, likewise.
    closed_since: Option<Instant>,
    /// Whether the worker has written since what was not sent.
    is_written: bool,
}

impl KeepTimes {
    /// Notes whether a thread waits.
    pub(in crate::worker) fn see(&mut self, is_awaited: bool, now: Instant) {
        self.awaited_since = is_awaited.then(|| self.awaited_since.unwrap_or(now));
    }

    /// Until when batches are sent, after a close with this deadline. The time after it is for writing what is pending.
    pub(in crate::worker) fn send_until(&mut self, deadline: Instant, pending: u64, now: Instant) -> Instant {
        let closed = *self.closed_since.get_or_insert(now);
        let events = u32::try_from(pending).unwrap_or(u32::MAX);
        let to_write = TO_WRITE.saturating_add(TO_WRITE_EVENT.saturating_mul(events));
        let half = deadline.saturating_duration_since(closed) / 2;
        deadline.checked_sub(to_write.min(half)).unwrap_or(deadline)
    }

    /// Since when the reporter is closed, as far as the worker has seen.
    pub(in crate::worker) fn closed_since(&self) -> Option<Instant> {
        self.closed_since
    }

    /// Attempts that began at this moment or before have waited long enough for their answer. `None`: no program waits, or
    /// it began a moment ago.
    pub(in crate::worker) fn unanswered_since(&self, now: Instant) -> Option<Instant> {
        let awaited = self.awaited_since?;
        now.checked_sub(ANSWER_WAIT).filter(|since| *since >= awaited)
    }

    /// When an attempt has waited long enough that began at this moment. Without one, when to look whether one has begun: no
    /// report tells it. `None`: no program waits.
    pub(in crate::worker) fn unanswered_at(&self, began: Option<Instant>, now: Instant) -> Option<Instant> {
        let awaited = self.awaited_since?;
        Some(began.map_or(now + LOOK_AGAIN, |began| began.max(awaited) + ANSWER_WAIT))
    }

    /// When to write what is not sent yet, so that there is less to do at the end: half-way to it. `None` if that was done.
    pub(in crate::worker) fn write_at(&self, send_until: Instant) -> Option<Instant> {
        let closed = self.closed_since.filter(|_| !self.is_written)?;
        Some(closed + send_until.saturating_duration_since(closed) / 2)
    }

    pub(in crate::worker) fn mark_written(&mut self) {
        self.is_written = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn there_is_time_to_write_every_event_but_at_most_half_of_all() {
        let closed = Instant::now();
        let until = |timeout: Duration, pending| {
            KeepTimes::default().send_until(closed + timeout, pending, closed).duration_since(closed)
        };
        assert_eq!(until(300 * MS, 0), 298 * MS);
        assert_eq!(until(300 * MS, 10_000), 198 * MS);
        assert_eq!(until(100 * MS, 10_000), 50 * MS);
        assert_eq!(until(Duration::ZERO, 10_000), Duration::ZERO);
        assert_eq!(until(300 * MS, u64::MAX), 150 * MS);
    }

    #[test]
    fn an_answer_has_a_second_from_when_a_program_waits_for_it() {
        let began = Instant::now();
        let mut times = KeepTimes::default();
        assert_eq!(times.unanswered_at(Some(began), began), None);
        assert_eq!(times.unanswered_since(began + 5000 * MS), None);
        times.see(true, began + 100 * MS);
        times.see(true, began + 200 * MS);
        assert_eq!(times.unanswered_at(Some(began), began), Some(began + 1100 * MS));
        assert_eq!(times.unanswered_at(None, began), Some(began + LOOK_AGAIN), "none has begun");
        assert_eq!(times.unanswered_since(began + 1099 * MS), None);
        assert_eq!(times.unanswered_since(began + 1100 * MS), Some(began + 100 * MS));
        times.see(false, began + 300 * MS);
        assert_eq!(times.unanswered_at(Some(began), began), None);
    }

    #[test]
    fn what_is_not_sent_is_written_once_half_way_from_the_close_to_the_end() {
        let closed = Instant::now();
        let mut times = KeepTimes::default();
        assert_eq!(times.closed_since(), None);
        assert_eq!(times.write_at(closed + 300 * MS), None, "the reporter is open");
        let end = times.send_until(closed + 300 * MS, 0, closed);
        times.send_until(closed + 300 * MS, 0, closed + 200 * MS);
        assert_eq!(times.closed_since(), Some(closed), "the first look counts");
        assert_eq!(times.write_at(end), Some(closed + 149 * MS));
        times.mark_written();
        assert_eq!(times.write_at(end), None);
    }
}
