//! The worker's lines in the program's log: one warning when an outage begins and one line when it ends, however many
//! events are lost in between.

use crate::model::stats::{Refused, Stats};
use crate::process::catch_panic::catch_panic;
use crate::process::fork;
use crate::transport::retry::{Response, Verdict};

#[derive(Debug)]
pub(crate) struct OutageLog {
    host: String,
    /// Requests are failing. Refusals by a full queue are part of this outage.
    is_failing: bool,
    /// The server refuses the key. This has a warning of its own, even during an outage: only a person can mend it.
    is_unauthorized: bool,
    /// The status for single events that is in the log. One is enough.
    logged_dislike: Option<u16>,
    /// Events are being refused.
    is_refusing: bool,
    /// How many refusals are in the log.
    logged_refusals: u64,
    /// How many refusals there were before the outage.
    refused_before: u64,
    /// How many events the outage has cost.
    dropped: u64,
}

impl OutageLog {
    pub(crate) fn new(host: String) -> Self {
        Self {
            host,
            is_failing: false,
            is_unauthorized: false,
            logged_dislike: None,
            is_refusing: false,
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
            Verdict::Printed => {}
            Verdict::NotPrinted => log::warn!("telemetry cannot be printed to standard error"),
            Verdict::NoAnswer(cause) | Verdict::Disconnect(cause) => {
                log::warn!("telemetry does not reach {host}: {cause}");
            }
            Verdict::Response(response) => {
                log::warn!("telemetry to {host} got status {}", response.status);
            }
        });
    }

    /// Of a batch that the server disliked, so many events were rejected. If it was all of them, the requests themselves
    /// are wrong. If it was some, these events are, which is worth one warning in a reporter's life.
    pub(crate) fn rejected(&mut self, events: u64, of: u64, verdict: &Verdict) {
        if events == of {
            self.attempt_failed(verdict);
            self.events_dropped(events);
            return;
        }
        let Verdict::Response(Response { status, .. }) = verdict else { return };
        if events == 0 || self.logged_dislike.replace(*status).is_some() {
            return;
        }
        let host = &self.host;
        write(|| {
            log::warn!("telemetry to {host} got status {status} for {events} of {of} events in a batch");
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
        if stats.delivered < stats.offered {
            write(|| log::info!("{stats}"));
        }
    }
}

/// Writes to the program's log. The logger may panic or fork, and neither may cost an event.
fn write(line: impl FnOnce()) {
    let _ = catch_panic(line);
    fork::exit_if_forked();
}

#[cfg(test)]
mod tests;
