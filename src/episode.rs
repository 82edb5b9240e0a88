//! What the worker says in the program's log: one warning when trouble begins, one line when it ends, however many
//! events it costs in between.

use crate::contain::contain;
use crate::fork::Process;
use crate::retry::{Answer, Verdict};
use crate::stats::Refused;

#[derive(Debug)]
pub(crate) struct Episode {
    host: String,
    home: Process,
    /// Whether requests are failing; then refusals of a full queue are part of the same trouble.
    failing: bool,
    /// Whether the key is refused: a trouble of its own, since it does not pass unless somebody hears of it.
    unauthorized: bool,
    /// Whether events are being refused.
    refusing: bool,
    refused: u64,
    dropped: u64,
}

impl Episode {
    pub(crate) fn new(host: String) -> Self {
        let home = Process::current();
        Self { host, home, failing: false, unauthorized: false, refusing: false, refused: 0, dropped: 0 }
    }

    /// An attempt did not deliver.
    pub(crate) fn failed(&mut self, verdict: &Verdict) {
        let was_failing = std::mem::replace(&mut self.failing, true);
        let is_known = match verdict {
            Verdict::Answer(Answer { status: 401 | 403, .. }) => {
                std::mem::replace(&mut self.unauthorized, true)
            }
            _ => was_failing,
        };
        if is_known {
            return;
        }
        let host = &self.host;
        self.say(|| match verdict {
            Verdict::Silence(cause) => log::warn!("telemetry does not reach {host}: {cause}"),
            Verdict::Answer(answer) => {
                log::warn!("telemetry to {host} is answered with status {}", answer.status);
            }
        });
    }

    /// Events were given up.
    pub(crate) fn dropped(&mut self, events: u64) {
        self.dropped += events;
    }

    /// A batch was delivered.
    pub(crate) fn delivered(&mut self, refused: &Refused) {
        if !std::mem::replace(&mut self.failing, false) {
            return;
        }
        self.unauthorized = false;
        let missed = refused.total() - std::mem::replace(&mut self.refused, refused.total());
        let dropped = std::mem::take(&mut self.dropped);
        let host = &self.host;
        self.say(|| {
            log::info!("telemetry reaches {host} again; {dropped} events were dropped and {missed} refused");
        });
    }

    /// Looks at the refusals; once every flush interval.
    pub(crate) fn refusals(&mut self, refused: &Refused) {
        if self.failing {
            return; // the line that ends the trouble tells them
        }
        let fresh = refused.total() - std::mem::replace(&mut self.refused, refused.total());
        let was_refusing = std::mem::replace(&mut self.refusing, fresh > 0);
        if fresh > 0 && !was_refusing {
            let reasons = refused.reasons();
            self.say(|| log::warn!("telemetry refused {fresh} events ({reasons} since the start)"));
        }
    }

    /// Writes to the program's log. Its logger may do anything, panic or fork too, which is no fate of an event.
    fn say(&self, line: impl FnOnce()) {
        let _ = contain(line);
        self.home.end_copies();
    }
}

#[cfg(test)]
#[path = "episode_tests.rs"]
mod lines;
