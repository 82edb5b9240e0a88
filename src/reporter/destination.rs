//! Where events go: to the backend, or to standard error in a dry run.

use std::io::Stderr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::config;
use crate::print::Printer;
use crate::queue::ledger::Ledger;
use crate::reporter::spooling::Spooling;
use crate::transport::Transport;
use crate::transport::abort::Abort;
use crate::transport::client::{Http, Route};
use crate::transport::retry::Verdict;
use crate::wire::envelope::{Envelope, Request};
use crate::worker::keeper::Keeper;

/// From this a transport is made, in the process that started the reporter and in each of its forked children.
pub(super) enum Destination {
    Backend(Arc<Route>, Option<Spooling>),
    StandardError,
}

impl Destination {
    /// The spool, if there is one, and the route that its events take.
    pub(super) fn spooling(&self) -> Option<(&Spooling, &Arc<Route>)> {
        match self {
            Self::Backend(route, spooling) => spooling.as_ref().map(|spooling| (spooling, route)),
            Self::StandardError => None,
        }
    }

    /// What keeps the events of this envelope's sender.
    pub(super) fn keeper(&self, envelope: &Envelope, ledger: &Arc<Ledger>) -> Option<Keeper> {
        self.spooling().map(|(spooling, route)| spooling.keeper(envelope, ledger, route))
    }

    /// A transport of this process.
    pub(super) fn open(&self) -> Sink {
        match self {
            Self::Backend(route, _) => Sink::Backend(Http::new(Arc::clone(route))),
            Self::StandardError => Sink::StandardError(Printer::to_stderr(config::no_color())),
        }
    }

    /// Its name in a log line.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Backend(route, _) => route.destination(),
            Self::StandardError => "standard error".to_owned(),
        }
    }
}

/// The transport of a reporter.
pub(super) enum Sink {
    Backend(Http),
    StandardError(Printer<Stderr>),
}

impl Sink {
    /// `None` if there is nothing to abort.
    pub(super) fn abort_handle(&self) -> Option<Abort> {
        match self {
            Self::Backend(http) => Some(http.abort_handle()),
            Self::StandardError(_) => None,
        }
    }
}

impl Transport for Sink {
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        match self {
            Self::Backend(http) => http.post(request, retry, limit),
            Self::StandardError(printer) => printer.post(request, retry, limit),
        }
    }

    fn another(&self) -> Option<Self> {
        match self {
            Self::Backend(http) => http.another().map(Self::Backend),
            Self::StandardError(printer) => printer.another().map(Self::StandardError),
        }
    }
}
