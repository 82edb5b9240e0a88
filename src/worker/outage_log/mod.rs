//! The worker's lines in the program's log: one warning when an outage begins and one line when it ends, however many
//! events are lost in between.
//!
//! Several batches may be on their way at the same time, and what becomes of them may be known in any order. An attempt
//! that began before an outage says nothing of its end, and one that began before the end does not begin another. All
//! lines are written on the worker's thread, so none needs a lock, and they come in order.

use std::fmt;
use std::time::{Duration, Instant};

use crate::failure::text::cut;
use crate::model::stats::{Refused, Stats};
use crate::process::program_log::write;
use crate::transport::retry::{Response, Verdict};

/// What happens to a batch on its way.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A batch is about to be sent. If it fails, the refusals from now on belong to that outage.
    BatchBegins,
    /// An attempt did not deliver.
    AttemptFailed {
        verdict: Verdict,
        started: Instant,
        ended: Instant,
    },
    BatchDelivered {
        started: Instant,
        ended: Instant,
    },
    /// The server accepted the batch, or most of it, and said something about it.
    PartlyAccepted {
        verdict: Verdict,
        at: Instant,
    },
    /// The server rejected events because of what they are, with this status. This is no outage: other events pass.
    EventsRejected(u16),
    /// So many events were dropped.
    EventsDropped(u64),
    /// With a spool: a sender waits whether the worker can keep its batch. The log says nothing of that.
    BatchOffered,
}

#[derive(Debug)]
pub(crate) struct OutageLog {
    host: String,
    /// Requests are failing. Refusals by a full queue are part of this outage.
    is_failing: bool,
    /// When the attempt ended that began or ended the last outage.
    changed: Option<Instant>,
    /// The server refuses the key. This has a warning of its own, even during an outage: only a person can mend it.
    is_unauthorized: bool,
    /// Events are being refused.
    is_refusing: bool,
    /// When the spool last could not keep events.
    last_spool_failure: Option<Instant>,
    /// When the server last rejected events.
    last_rejection: Option<Instant>,
    /// When the server last accepted a request and said something about it.
    last_remark: Option<Instant>,
    /// How many refusals are in the log.
    logged_refusals: u64,
    /// How many refusals there were before the outage.
    refused_before: u64,
    /// How many events the outage has cost.
    dropped: u64,
}

/// A program whose data the server does not accept usually goes on sending such data, and a disk that is full stays so. The log
/// has another warning only after this time without one of these.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// A text of the server in a line of the log: a sentence or two.
const MAX_MESSAGE: usize = 400;

/// Notes the time. Whether nothing of the kind was logged for a while.
fn is_first(last: &mut Option<Instant>, now: Instant) -> bool {
    last.replace(now).is_none_or(|last| now.saturating_duration_since(last) > QUIET)
}

impl OutageLog {
    pub(crate) fn new(host: String) -> Self {
        Self {
            host,
            is_failing: false,
            changed: None,
            is_unauthorized: false,
            is_refusing: false,
            last_spool_failure: None,
            last_rejection: None,
            last_remark: None,
            logged_refusals: 0,
            refused_before: 0,
            dropped: 0,
        }
    }

    /// Whether there is an outage: the last that is known of the server is an attempt that failed.
    pub(crate) fn is_outage(&self) -> bool {
        self.is_failing
    }

    pub(crate) fn note(&mut self, progress: &Progress, refused: &Refused) {
        let was_failing = self.is_failing;
        match progress {
            Progress::BatchBegins => self.batch_begins(refused),
            Progress::AttemptFailed { verdict, started, ended } => {
                if was_failing || self.is_news(*started) {
                    self.attempt_failed(verdict);
                }
                self.note_change(was_failing, *ended);
            }
            Progress::BatchDelivered { started, ended } => {
                if self.is_news(*started) {
                    self.batch_delivered(refused);
                }
                self.note_change(was_failing, *ended);
            }
            Progress::PartlyAccepted { verdict, at } => self.partly_accepted(verdict, *at),
            Progress::EventsRejected(status) => self.events_rejected(*status, Instant::now()),
            Progress::EventsDropped(events) => self.events_dropped(*events),
            Progress::BatchOffered => {}
        }
    }

    /// Whether an attempt that began then may be the next change.
    fn is_news(&self, started: Instant) -> bool {
        self.changed.is_none_or(|changed| started >= changed)
    }

    fn note_change(&mut self, was_failing: bool, ended: Instant) {
        if self.is_failing != was_failing {
            self.changed = Some(ended);
        }
    }

    /// See [`Progress::BatchBegins`].
    fn batch_begins(&mut self, refused: &Refused) {
        if !self.is_failing {
            self.refused_before = refused.total();
        }
    }

    /// An attempt did not deliver.
    fn attempt_failed(&mut self, verdict: &Verdict) {
        if *verdict == Verdict::Printed {
            return; // this is no failure: a dry run does not deliver
        }
        let was_failing = std::mem::replace(&mut self.is_failing, true);
        let is_logged = match verdict {
            Verdict::Response(Response { status: 401 | 403, .. }) => {
                std::mem::replace(&mut self.is_unauthorized, true)
            }
            _ => was_failing,
        };
        if is_logged {
            return;
        }
        let host = &self.host;
        write(|| match verdict {
            Verdict::Printed | Verdict::PartialSuccess { .. } => {}
            Verdict::NotPrinted => log::warn!("telemetry cannot be printed to standard error"),
            Verdict::NoAnswer(cause) | Verdict::Disconnect(cause) => {
                log::warn!("telemetry does not reach {host}: {cause}");
            }
            Verdict::Response(response) => {
                log::warn!("telemetry to {host} got status {}", response.status);
            }
        });
    }

    /// The server rejected events because of what they are. This is no outage: other events pass.
    fn events_rejected(&mut self, status: u16, now: Instant) {
        if is_first(&mut self.last_rejection, now) {
            let host = &self.host;
            write(|| log::warn!("telemetry to {host} got status {status}"));
        }
    }

    /// The spool could not keep events. On a full disk some may still fit, so what it keeps meanwhile is no end of that.
    pub(super) fn spool_failed(&mut self, cause: &impl fmt::Display, now: Instant) {
        if is_first(&mut self.last_spool_failure, now) {
            write(|| log::warn!("telemetry cannot keep events in its spool: {cause}"));
        }
    }

    /// The server accepted a request, or most of it, and said why not all or what could be better. One line for any number
    /// of such answers, with the text of the first.
    fn partly_accepted(&mut self, verdict: &Verdict, now: Instant) {
        let Verdict::PartialSuccess { rejected, message } = verdict else { return };
        let last = if *rejected > 0 { &mut self.last_rejection } else { &mut self.last_remark };
        if !is_first(last, now) {
            return;
        }
        let host = &self.host;
        // The text is the server's: no line break of it may look like another line of the log.
        let message = cut(message.escape_debug(), MAX_MESSAGE);
        write(|| match rejected {
            0 => log::warn!("telemetry to {host} was accepted with a remark: {message}"),
            rejected => log::warn!("telemetry to {host} was accepted but for {rejected} events: {message}"),
        });
    }

    /// Events were dropped.
    fn events_dropped(&mut self, events: u64) {
        if self.is_failing {
            self.dropped += events;
        }
    }

    /// A batch was delivered.
    fn batch_delivered(&mut self, refused: &Refused) {
        if !std::mem::replace(&mut self.is_failing, false) {
            return;
        }
        self.is_unauthorized = false;
        let refused = refused.total() - self.refused_before;
        self.logged_refusals += refused;
        let dropped = std::mem::take(&mut self.dropped);
        let host = &self.host;
        write(|| {
            log::info!(
                "telemetry reaches {host} again; lost meanwhile: {dropped} dropped, {refused} refused"
            );
        });
    }

    /// Looks for refusals. Called once every flush interval.
    pub(crate) fn check_refusals(&mut self, refused: &Refused) {
        if self.is_failing {
            return; // the line at the end of the outage has them
        }
        let new = refused.total() - std::mem::replace(&mut self.logged_refusals, refused.total());
        let was_refusing = std::mem::replace(&mut self.is_refusing, new > 0);
        if new > 0 && !was_refusing {
            let reasons = refused.reasons();
            write(|| log::warn!("telemetry refused events: {new} new ({reasons} since the start)"));
        }
    }

    /// The worker ends. A short program finds its losses in the log only now.
    pub(crate) fn finish(&mut self, stats: &Stats) {
        self.check_refusals(&stats.refused);
        write_counts(stats);
    }
}

/// The final counts: a warning if events were lost, and nothing if all were delivered.
pub(crate) fn write_counts(stats: &Stats) {
    if stats.lost() > 0 {
        write(|| log::warn!("{stats}"));
    } else if stats.delivered < stats.offered {
        write(|| log::info!("{stats}"));
    }
}

#[cfg(test)]
mod tests;
