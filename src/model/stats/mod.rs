//! What became of the events: counts by reason.

use std::fmt;
use std::ops::Sub;

use serde::{Deserialize, Serialize};

/// Why an event was refused. Its number in the session is used up all the same, so a gap in `event_session_index` shows the
/// loss.
///
/// ```
/// use tinker_telemetry::RefusalReason;
///
/// assert_eq!(RefusalReason::QueueFull.to_string(), "queue_full");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
// As wide as the value beside it in a `Result`. As one byte it cost a call a twentieth of its time, because of the code
// that the compiler made for such results.
#[repr(usize)]
pub enum RefusalReason {
    /// As many events are pending as `max_queue_size` allows.
    QueueFull,
    /// As many bytes are pending as `max_queue_bytes` allows.
    QueueBytes,
    /// The event alone is larger than `max_event_bytes`.
    TooLarge,
    /// The data failed to serialise, or panicked while it did.
    InvalidData,
    /// The reporter had been stopped.
    Stopped,
    /// The call came from inside the reporter's own work, or from inside the serialisation of another event.
    Reentrant,
}

impl RefusalReason {
    pub(crate) const ALL: [Self; 6] = [
        Self::QueueFull,
        Self::QueueBytes,
        Self::TooLarge,
        Self::InvalidData,
        Self::Stopped,
        Self::Reentrant,
    ];

    /// The reason in `snake_case`, as [`Stats`] shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::TooLarge => "too_large",
            Self::InvalidData => "invalid_data",
            Self::Stopped => "stopped",
            Self::Reentrant => "reentrant",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an accepted event was given up.
///
/// ```
/// use tinker_telemetry::DropReason;
///
/// assert_eq!(DropReason::RetriesExhausted.to_string(), "retries_exhausted");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The server answered with a status that no retry can mend.
    Rejected,
    /// The server answered 401 or 403.
    Unauthorized,
    /// The event was sent alone and the server still answered 413, or `before_send` made it larger than `max_event_bytes`.
    TooLarge,
    /// Every retry was used up.
    RetriesExhausted,
    /// The reporter was stopped before the event could be delivered.
    Deadline,
    /// It was to be kept for the next run, and the spool's folder holds as much as it may.
    SpoolFull,
    /// The reporter itself failed.
    Internal,
    /// A dry run: the event was printed, and not sent.
    Printed,
    /// The builder's `before_send` returned nothing, or data nested more than 100 levels deep, or it panicked.
    Withheld,
}

impl DropReason {
    pub(crate) const ALL: [Self; 9] = [
        Self::Rejected,
        Self::Unauthorized,
        Self::TooLarge,
        Self::RetriesExhausted,
        Self::Deadline,
        Self::SpoolFull,
        Self::Internal,
        Self::Printed,
        Self::Withheld,
    ];

    /// The reason in `snake_case`, as [`Stats`] shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too_large",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Deadline => "deadline",
            Self::SpoolFull => "spool_full",
            Self::Internal => "internal",
            Self::Printed => "printed",
            Self::Withheld => "withheld",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Refusals, by reason.
///
/// ```
/// use tinker_telemetry::RefusalReason;
///
/// let refused = tinker_telemetry::Reporter::disabled().stats().refused;
/// assert_eq!((refused.total(), refused.by(RefusalReason::TooLarge)), (0, 0));
/// for (reason, count) in refused.iter().filter(|(_, count)| *count > 0) {
///     println!("{reason}: {count}");
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)] // a reason that is new here is missing in what an older version wrote
#[non_exhaustive]
pub struct Refused {
    /// See [`RefusalReason::QueueFull`].
    pub queue_full: u64,
    /// See [`RefusalReason::QueueBytes`].
    pub queue_bytes: u64,
    /// See [`RefusalReason::TooLarge`].
    pub too_large: u64,
    /// See [`RefusalReason::InvalidData`].
    pub invalid_data: u64,
    /// See [`RefusalReason::Stopped`].
    pub stopped: u64,
    /// See [`RefusalReason::Reentrant`].
    pub reentrant: u64,
}

impl Refused {
    /// How many were refused for this reason.
    pub fn by(&self, reason: RefusalReason) -> u64 {
        match reason {
            RefusalReason::QueueFull => self.queue_full,
            RefusalReason::QueueBytes => self.queue_bytes,
            RefusalReason::TooLarge => self.too_large,
            RefusalReason::InvalidData => self.invalid_data,
            RefusalReason::Stopped => self.stopped,
            RefusalReason::Reentrant => self.reentrant,
        }
    }

    /// How many were refused in all.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// The count of each reason, also where it is 0.
    pub fn iter(&self) -> impl Iterator<Item = (RefusalReason, u64)> + use<> {
        let refused = *self;
        RefusalReason::ALL.into_iter().map(move |reason| (reason, refused.by(reason)))
    }

    pub(crate) fn reasons(&self) -> impl fmt::Display {
        Reasons(RefusalReason::ALL.map(|reason| (reason.as_str(), self.by(reason))))
    }
}

/// Drops, by reason.
///
/// ```
/// use tinker_telemetry::DropReason;
///
/// let dropped = tinker_telemetry::Reporter::disabled().stats().dropped;
/// assert_eq!((dropped.total(), dropped.by(DropReason::Deadline)), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)] // a reason that is new here is missing in what an older version wrote
#[non_exhaustive]
pub struct Dropped {
    /// See [`DropReason::Rejected`].
    pub rejected: u64,
    /// See [`DropReason::Unauthorized`].
    pub unauthorized: u64,
    /// See [`DropReason::TooLarge`].
    pub too_large: u64,
    /// See [`DropReason::RetriesExhausted`].
    pub retries_exhausted: u64,
    /// See [`DropReason::Deadline`].
    pub deadline: u64,
    /// See [`DropReason::SpoolFull`].
    pub spool_full: u64,
    /// See [`DropReason::Internal`].
    pub internal: u64,
    /// See [`DropReason::Printed`].
    pub printed: u64,
    /// See [`DropReason::Withheld`].
    pub withheld: u64,
}

impl Dropped {
    /// How many were dropped for this reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::Rejected => self.rejected,
            DropReason::Unauthorized => self.unauthorized,
            DropReason::TooLarge => self.too_large,
            DropReason::RetriesExhausted => self.retries_exhausted,
            DropReason::Deadline => self.deadline,
            DropReason::SpoolFull => self.spool_full,
            DropReason::Internal => self.internal,
            DropReason::Printed => self.printed,
            DropReason::Withheld => self.withheld,
        }
    }

    pub(crate) fn add(&mut self, reason: DropReason, events: u64) {
        *match reason {
            DropReason::Rejected => &mut self.rejected,
            DropReason::Unauthorized => &mut self.unauthorized,
            DropReason::TooLarge => &mut self.too_large,
            DropReason::RetriesExhausted => &mut self.retries_exhausted,
            DropReason::Deadline => &mut self.deadline,
            DropReason::SpoolFull => &mut self.spool_full,
            DropReason::Internal => &mut self.internal,
            DropReason::Printed => &mut self.printed,
            DropReason::Withheld => &mut self.withheld,
        } += events;
    }

    /// How many were dropped in all.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// The count of each reason, also where it is 0.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + use<> {
        let dropped = *self;
        DropReason::ALL.into_iter().map(move |reason| (reason, dropped.by(reason)))
    }

    fn reasons(&self) -> impl fmt::Display {
        Reasons(DropReason::ALL.map(|reason| (reason.as_str(), self.by(reason))))
    }
}

/// One consistent snapshot of what became of the events.
///
/// In every snapshot `offered == accepted + refused.total()` and
/// `accepted == delivered + dropped.total() + spooled + pending`. `Display` is one line for an exit message:
///
/// ```
/// let stats = tinker_telemetry::Reporter::disabled().stats();
/// assert_eq!(stats.to_string(), "telemetry: 0 offered, 0 delivered");
/// ```
///
/// The difference of two snapshots is what happened between them. In it `pending` is how many more events are pending, and 0
/// if there are fewer, so the second equation may not hold.
///
/// ```
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// let before = reporter.stats();
/// // …
/// println!("in this epoch: {}", reporter.stats() - before);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)] // a reason that is new here is missing in what an older version wrote
#[non_exhaustive]
pub struct Stats {
    /// Events given to the reporter, including those that it made itself (session start and end).
    pub offered: u64,
    /// Events that were not accepted.
    pub refused: Refused,
    /// Events that were accepted. Each of them has exactly one fate.
    pub accepted: u64,
    /// Events that a 2xx answered.
    pub delivered: u64,
    /// Events given up.
    pub dropped: Dropped,
    /// Events kept in a file for the next run. Always 0 without a spool.
    pub spooled: u64,
    /// Accepted events without a fate yet: queued, in a batch, on the wire, or waiting for a retry.
    pub pending: u64,
    /// Events that earlier runs had kept, counted apart. Always 0 without a spool.
    pub replayed: Replayed,
}

/// What became of events that earlier runs, or other processes, had kept in the spool. None of them counts as offered or
/// accepted. In every snapshot `taken == delivered + dropped.total() + pending`.
///
/// ```
/// let replayed = tinker_telemetry::Reporter::disabled().stats().replayed;
/// assert_eq!((replayed.taken, replayed.delivered), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)] // a count that is new here is missing in what an older version wrote
#[non_exhaustive]
pub struct Replayed {
    /// Events that this reporter took over. Those that it could not send are left for a later run, and are not counted.
    pub taken: u64,
    /// Events that a 2xx answered.
    pub delivered: u64,
    /// Events given up.
    pub dropped: Dropped,
    /// Events that are about to be sent.
    pub pending: u64,
}

impl Stats {
    /// How many events did not arrive although the program wanted them to.
    pub(crate) fn lost(&self) -> u64 {
        self.refused.total() + self.dropped.total() - self.dropped.printed - self.dropped.withheld
    }

    /// The counts as they will be once everything pending is dropped for this reason.
    pub(crate) fn if_ended(mut self, reason: DropReason) -> Self {
        self.dropped.add(reason, std::mem::take(&mut self.pending));
        self
    }
}

impl Sub for Stats {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            offered: self.offered.saturating_sub(earlier.offered),
            refused: self.refused - earlier.refused,
            accepted: self.accepted.saturating_sub(earlier.accepted),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            dropped: self.dropped - earlier.dropped,
            spooled: self.spooled.saturating_sub(earlier.spooled),
            pending: self.pending.saturating_sub(earlier.pending),
            replayed: self.replayed - earlier.replayed,
        }
    }
}

impl Sub for Replayed {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            taken: self.taken.saturating_sub(earlier.taken),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            dropped: self.dropped - earlier.dropped,
            pending: self.pending.saturating_sub(earlier.pending),
        }
    }
}

impl Sub for Refused {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            queue_full: self.queue_full.saturating_sub(earlier.queue_full),
            queue_bytes: self.queue_bytes.saturating_sub(earlier.queue_bytes),
            too_large: self.too_large.saturating_sub(earlier.too_large),
            invalid_data: self.invalid_data.saturating_sub(earlier.invalid_data),
            stopped: self.stopped.saturating_sub(earlier.stopped),
            reentrant: self.reentrant.saturating_sub(earlier.reentrant),
        }
    }
}

impl Sub for Dropped {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        let mut dropped = Self::default();
        for (reason, count) in self.iter() {
            dropped.add(reason, count.saturating_sub(earlier.by(reason)));
        }
        dropped
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "telemetry: {} offered, {} delivered", self.offered, self.delivered)?;
        if self.spooled > 0 {
            write!(f, ", {} spooled", self.spooled)?;
        }
        if self.pending > 0 {
            write!(f, ", {} pending", self.pending)?;
        }
        if self.dropped.total() > 0 {
            write!(f, ", {} dropped ({})", self.dropped.total(), self.dropped.reasons())?;
        }
        if self.refused.total() > 0 {
            write!(f, ", {} refused ({})", self.refused.total(), self.refused.reasons())?;
        }
        if self.replayed.delivered > 0 {
            write!(f, ", {} of earlier runs delivered", self.replayed.delivered)?;
        }
        Ok(())
    }
}

/// The counts that are not 0, by reason: `2 rejected, 1 deadline`.
struct Reasons<const N: usize>([(&'static str, u64); N]);

impl<const N: usize> fmt::Display for Reasons<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (reason, count)) in self.0.iter().filter(|(_, count)| *count > 0).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
