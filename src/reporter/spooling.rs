//! Puts the spool into a reporter: where it is, what keeps, and what replays.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::tick;

use crate::model::config::Endpoint;
use crate::queue::ledger::Ledger;
use crate::session::pipeline::Pipeline;
use crate::spool::keeper::Keeper;
use crate::spool::replay::{self, BatchLimits, Replay, ReplayState};
use crate::spool::settings::Spool;
use crate::spool::store::Store;
use crate::transport::client::{Http, Route};
use crate::wire::envelope::Envelope;
use crate::worker::{WRITE_GRACE, Worker};

/// A program that ends waits so long for a server, because what it has not sent is kept.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(300);
/// The same for one that fails: it has written first.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A reporter's spool.
#[derive(Clone)]
pub(super) struct Spooling {
    store: Store,
    write_ahead: Option<Duration>,
    pub(super) limits: BatchLimits,
    pub(super) http_timeout: Duration,
}

impl Spooling {
    pub(super) fn new(
        spool: &Spool,
        endpoint: &Endpoint,
        http_timeout: Duration,
        limits: BatchLimits,
    ) -> Self {
        let store = Store::new(spool.clone(), endpoint.base_url(), endpoint.api_key());
        Self { store, write_ahead: spool.interval(), limits, http_timeout }
    }

    /// What keeps the events of this envelope's sender.
    pub(super) fn keeper(&self, envelope: &Envelope, ledger: &Arc<Ledger>, route: &Arc<Route>) -> Keeper {
        let start_replay = self.replay(ledger, route);
        Keeper::new(self.store.clone(), envelope, self.write_ahead.is_some(), Box::new(start_replay))
    }

    /// Starts to send what earlier runs kept.
    pub(super) fn replay(&self, ledger: &Arc<Ledger>, route: &Arc<Route>) -> impl Fn() + Send + use<> {
        let (spooling, ledger, route) = (self.clone(), Arc::clone(ledger), Arc::clone(route));
        let state = Arc::<ReplayState>::default();
        move || {
            let (spooling, ledger, route) = (spooling.clone(), Arc::clone(&ledger), Arc::clone(&route));
            replay::start(&state, move || Replay {
                store: spooling.store,
                ledger,
                transport: Http::new(route),
                http_timeout: spooling.http_timeout,
                limits: spooling.limits,
            });
        }
    }

    /// Gives both ends what a spool needs of them.
    pub(super) fn join(&self, (pipeline, worker): (Pipeline, Worker<Http>)) -> (Pipeline, Worker<Http>) {
        let worker = match self.write_ahead {
            Some(interval) => worker.write_ahead_at(tick(interval)),
            None => worker,
        };
        (pipeline.with_write_grace(WRITE_GRACE), worker)
    }
}
