//! What the worker says in the program's log: one warning when trouble begins, one line when it ends, however many
//! events it costs in between.

use std::fmt;

use crate::model::stats::{Refused, Stats};
use crate::process::catch_panic::catch_panic;
use crate::process::fork;
use crate::transport::retry::{Response, Verdict};

#[expect(clippy::struct_excessive_bools, reason = "each is a trouble of its own")]
#[derive(Debug)]
pub(crate) struct OutageLog {
    host: String,
    /// Whether requests are failing; then refusals of a full queue are part of the same trouble.
    failing: bool,
    /// Whether the key is refused: a trouble of its own, since it does not pass unless somebody hears of it.
    unauthorized: bool,
    /// Whether events are being refused.
    refusing: bool,
    /// Whether the spool keeps nothing.
    keeping_nothing: bool,
    /// How many refusals the log has mentioned.
    logged: u64,
    /// How many there were before the trouble, which are no cost of it.
    refused_before: u64,
    dropped: u64,
}

impl OutageLog {
    pub(crate) fn new(host: String) -> Self {
        Self {
            host,
            failing: false,
            unauthorized: false,
            refusing: false,
            keeping_nothing: false,
            logged: 0,
            refused_before: 0,
            dropped: 0,
        }
    }

    /// A batch is about to be sent: if it fails, that costs what is refused from now on.
    pub(crate) fn begins(&mut self, refused: &Refused) {
        if !self.failing {
            self.refused_before = refused.total();
        }
    }

    /// An attempt did not deliver.
    pub(crate) fn failed(&mut self, verdict: &Verdict) {
        let was_failing = std::mem::replace(&mut self.failing, true);
        let is_known = match verdict {
            Verdict::Response(Response { status: 401 | 403, .. }) => {
                std::mem::replace(&mut self.unauthorized, true)
            }
            _ => was_failing,
        };
        if is_known {
            return;
        }
        let host = &self.host;
        write(|| match verdict {
            Verdict::Silence(cause) | Verdict::HungUp(cause) => {
                log::warn!("telemetry does not reach {host}: {cause}");
            }
            Verdict::Response(answer) => {
                log::warn!("telemetry to {host} got status {}", answer.status);
            }
        });
    }

    /// The spool could not keep events.
    pub(crate) fn keeps_nothing(&mut self, cause: &impl fmt::Display) {
        if !std::mem::replace(&mut self.keeping_nothing, true) {
            write(|| log::warn!("telemetry cannot keep events in its spool: {cause}"));
        }
    }

    /// The spool kept events.
    pub(crate) fn keeps(&mut self) {
        self.keeping_nothing = false;
    }

    /// Events were given up: a cost of the trouble, if there is any.
    pub(crate) fn dropped(&mut self, events: u64) {
        if self.failing {
            self.dropped += events;
        }
    }

    /// A batch was delivered.
    pub(crate) fn delivered(&mut self, refused: &Refused) {
        if !std::mem::replace(&mut self.failing, false) {
            return;
        }
        self.unauthorized = false;
        let missed = refused.total() - self.refused_before;
        self.logged += missed;
        let dropped = std::mem::take(&mut self.dropped);
        let host = &self.host;
        write(|| {
            log::info!("telemetry reaches {host} again; lost meanwhile: {dropped} dropped, {missed} refused");
        });
    }

    /// Looks at the refusals; once every flush interval.
    pub(crate) fn refusals(&mut self, refused: &Refused) {
        if self.failing {
            return; // the line that ends the trouble tells them
        }
        let fresh = refused.total() - std::mem::replace(&mut self.logged, refused.total());
        let was_refusing = std::mem::replace(&mut self.refusing, fresh > 0);
        if fresh > 0 && !was_refusing {
            let reasons = refused.reasons();
            write(|| log::warn!("telemetry refused events: {fresh} new ({reasons} since the start)"));
        }
    }

    /// The worker ends. A short program hears only now of what it lost.
    pub(crate) fn ends(&mut self, stats: &Stats) {
        self.refusals(&stats.refused);
        if stats.delivered < stats.offered {
            write(|| log::info!("{stats}"));
        }
    }
}

/// Writes to the program's log. The logger may do anything, and its panic or its fork is no fate of an event.
fn write(line: impl FnOnce()) {
    let _ = catch_panic(line);
    fork::exit_if_forked();
}

#[cfg(test)]
mod tests;
