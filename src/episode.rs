//! What the worker says in the program's log: one warning when trouble begins, one line when it ends, however many
//! events it costs in between.

use crate::fork::Process;
use crate::retry::Verdict;
use crate::stats::Refused;

#[derive(Debug)]
pub(crate) struct Episode {
    host: String,
    home: Process,
    /// Whether requests are failing; then refusals of a full queue are part of the same trouble.
    failing: bool,
    /// Whether events are being refused.
    refusing: bool,
    refused: u64,
    dropped: u64,
}

impl Episode {
    pub(crate) fn new(host: String) -> Self {
        let home = Process::current();
        Self { host, home, failing: false, refusing: false, refused: 0, dropped: 0 }
    }

    /// An attempt did not deliver.
    pub(crate) fn failed(&mut self, verdict: &Verdict) {
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        let host = &self.host;
        match verdict {
            Verdict::Silence(cause) => log::warn!("telemetry does not reach {host}: {cause}"),
            Verdict::Answer(answer) => {
                log::warn!("telemetry to {host} is answered with status {}", answer.status);
            }
        }
        self.home.end_copies(); // the program's logger may do anything
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
        let missed = refused.total() - std::mem::replace(&mut self.refused, refused.total());
        let dropped = std::mem::take(&mut self.dropped);
        log::info!(
            "telemetry reaches {} again; {dropped} events were dropped and {missed} refused",
            self.host
        );
        self.home.end_copies();
    }

    /// Looks at the refusals; once every flush interval.
    pub(crate) fn refusals(&mut self, refused: &Refused) {
        if self.failing {
            return; // the line that ends the trouble tells them
        }
        let fresh = refused.total() - std::mem::replace(&mut self.refused, refused.total());
        let was_refusing = std::mem::replace(&mut self.refusing, fresh > 0);
        if fresh > 0 && !was_refusing {
            log::warn!("telemetry refuses events: {fresh} of them so far ({refused:?} since the start)");
            self.home.end_copies();
        }
    }
}
