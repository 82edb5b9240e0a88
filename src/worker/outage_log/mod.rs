//! The worker's lines in the program's log: one warning when an outage begins and one line when it ends, however many
//! events are lost in between.

use std::time::{Duration, Instant};

use crate::failure::text::cut;
use crate::model::stats::{Refused, Stats};
use crate::process::program_log::write;
use crate::transport::retry::{Response, Verdict};

#[derive(Debug)]
pub(crate) struct OutageLog {
    host: String,
    /// Requests are failing. Refusals by a full queue are part of this outage.
    is_failing: bool,
    /// The server refuses the key. This has a warning of its own, even during an outage: only a person can mend it.
    is_unauthorized: bool,
    /// Events are being refused.
    is_refusing: bool,
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

/// A program whose data the server does not accept usually goes on sending such data. Its log has another warning only after
/// this time without a rejection.
const REJECTION_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A text of the server in a line of the log: a sentence or two.
const MAX_MESSAGE: usize = 400;

/// Notes the time. Whether nothing of the kind was logged for a while.
fn is_first(last: &mut Option<Instant>, now: Instant) -> bool {
    last.replace(now).is_none_or(|last| now.saturating_duration_since(last) > REJECTION_PAUSE)
}

impl OutageLog {
    pub(crate) fn new(host: String) -> Self {
        Self {
            host,
            is_failing: false,
            is_unauthorized: false,
            is_refusing: false,
            last_rejection: None,
            last_remark: None,
            logged_refusals: 0,
            refused_before: 0,
            dropped: 0,
        }
    }

    /// A batch is about to be sent. If it fails, the refusals from now on belong to that outage.
    pub(crate) fn batch_begins(&mut self, refused: &Refused) {
        if !self.is_failing {
            self.refused_before = refused.total();
        }
    }

    /// An attempt did not deliver.
    pub(crate) fn attempt_failed(&mut self, verdict: &Verdict) {
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
    pub(crate) fn events_rejected(&mut self, status: u16, now: Instant) {
        if is_first(&mut self.last_rejection, now) {
            let host = &self.host;
            write(|| log::warn!("telemetry to {host} got status {status}"));
        }
    }

    /// The server accepted a request, or most of it, and said why not all or what could be better. One line for any number
    /// of such answers, with the text of the first.
    pub(crate) fn partly_accepted(&mut self, verdict: &Verdict, now: Instant) {
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
    pub(crate) fn events_dropped(&mut self, events: u64) {
        if self.is_failing {
            self.dropped += events;
        }
    }

    /// A batch was delivered.
    pub(crate) fn batch_delivered(&mut self, refused: &Refused) {
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
