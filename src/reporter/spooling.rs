//! The spool of a reporter: what keeps events and what replays them, made for its endpoint. Without the feature there is
//! never one, and the compiler knows it.

use std::time::Duration;

#[cfg(not(all(feature = "spool", unix)))]
pub(super) use absent::Spooling;
#[cfg(all(feature = "spool", unix))]
pub(super) use present::Spooling;

/// How long a fatal exception waits, and how long the last drop. The exception is written before it is sent, and what is
/// not sent is kept, so a program need not wait longer for a server.
pub(super) const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(300));

#[cfg(all(feature = "spool", unix))]
mod present {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::model::config::{Endpoint, Protocol};
    use crate::queue::ledger::Ledger;
    use crate::reporter::destination::Sink;
    use crate::session::pipeline::Pipeline;
    use crate::spool::keeper::Keeper;
    use crate::spool::replay::replays::Replays;
    use crate::spool::replay::{BatchLimits, Replay};
    use crate::spool::settings::Spool;
    use crate::spool::store::Store;
    use crate::transport::client::{Http, Route};
    use crate::wire::envelope::Envelope;
    use crate::worker::ticker::Ticker;
    use crate::worker::{WRITE_GRACE, Worker};

    #[derive(Clone)]
    pub(in crate::reporter) struct Spooling {
        store: Store,
        write_ahead: Option<Duration>,
        limits: BatchLimits,
        http_timeout: Duration,
        protocol: Protocol,
    }

    impl Spooling {
        pub(in crate::reporter) fn new(
            spool: &Spool,
            endpoint: &Endpoint,
            http_timeout: Duration,
            limits: BatchLimits,
        ) -> Self {
            let store = Store::new(spool.clone(), endpoint.base_url(), &endpoint.account());
            let protocol = endpoint.protocol.clone();
            Self { store, write_ahead: spool.interval(), limits, http_timeout, protocol }
        }

        /// What keeps the events of this envelope's sender.
        pub(in crate::reporter) fn keeper(
            &self,
            envelope: &Envelope,
            ledger: &Arc<Ledger>,
            route: &Arc<Route>,
        ) -> Keeper {
            let replays = self.replays(ledger, route);
            Keeper::new(self.store.clone(), envelope, self.write_ahead.is_some(), replays)
        }

        /// What sends the events that earlier runs kept.
        fn replays(&self, ledger: &Arc<Ledger>, route: &Arc<Route>) -> Replays {
            let (spooling, ledger, route) = (self.clone(), Arc::clone(ledger), Arc::clone(route));
            let replay = move || Replay {
                store: spooling.store.clone(),
                ledger: Arc::clone(&ledger),
                transport: Http::new(Arc::clone(&route)),
                http_timeout: spooling.http_timeout,
                limits: spooling.limits,
                protocol: spooling.protocol.clone(),
            };
            Replays::new(move || replay().run())
        }

        /// Gives both ends what a spool needs of them.
        pub(in crate::reporter) fn join(
            &self,
            pipeline: Pipeline,
            worker: Worker<Sink>,
        ) -> (Pipeline, Worker<Sink>) {
            let worker = match self.write_ahead {
                Some(interval) => worker.write_ahead_at(Ticker::every(interval)),
                None => worker,
            };
            (pipeline.with_write_grace(WRITE_GRACE), worker)
        }
    }
}

#[cfg(not(all(feature = "spool", unix)))]
mod absent {
    use std::sync::Arc;

    use crate::queue::ledger::Ledger;
    use crate::reporter::destination::Sink;
    use crate::session::pipeline::Pipeline;
    use crate::transport::client::Route;
    use crate::wire::envelope::Envelope;
    use crate::worker::Worker;
    use crate::worker::keeper::Keeper;

    pub(in crate::reporter) enum Spooling {}

    impl Spooling {
        pub(in crate::reporter) fn keeper(&self, _: &Envelope, _: &Arc<Ledger>, _: &Arc<Route>) -> Keeper {
            match *self {}
        }

        pub(in crate::reporter) fn join(&self, _: Pipeline, _: Worker<Sink>) -> (Pipeline, Worker<Sink>) {
            match *self {}
        }
    }
}
