//! Ticks at a fixed interval.
//!
//! crossbeam's own ticker keeps the time of its next tick in an `AtomicCell`, which for a value of this size takes one of
//! the process's sequence locks. A fork can catch such a lock closed, and the child's worker then spins for ever. (Seen
//! within 20 to 53 forks with a short interval, and within 2 200 with the default one.) So each tick here is a channel of
//! its own that delivers once: it holds nothing but a flag and a time.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never};

pub(crate) struct Ticker {
    /// Delivers the next tick.
    pub(super) next: Receiver<Instant>,
    /// `None` if a test feeds the ticks.
    schedule: Option<Schedule>,
}

struct Schedule {
    due: Instant,
    interval: Duration,
}

impl Ticker {
    pub(crate) fn every(interval: Duration) -> Self {
        let schedule = Schedule { due: Instant::now(), interval };
        let mut ticker = Self { next: never(), schedule: Some(schedule) };
        ticker.rearm();
        ticker
    }

    /// One that has no ticks.
    pub(crate) fn never() -> Self {
        Self { next: never(), schedule: None }
    }

    #[cfg(test)]
    pub(super) fn by_hand(ticks: Receiver<Instant>) -> Self {
        Self { next: ticks, schedule: None }
    }

    /// Prepares the tick after one that was received. It keeps to the schedule. If the worker was busy for longer than an
    /// interval, the next tick is due at once, and the others that it missed are left out.
    pub(super) fn rearm(&mut self) {
        let Some(schedule) = &mut self.schedule else { return };
        // An interval that no clock can hold never ends.
        let Some(due) = schedule.due.checked_add(schedule.interval) else {
            self.next = never();
            return;
        };
        schedule.due = due.max(Instant::now());
        self.next = at(schedule.due);
    }
}

#[cfg(test)]
mod tests;
