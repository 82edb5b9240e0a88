//! Breaks the attempt on the wire, from another thread.

use std::sync::{Arc, Mutex, PoisonError};

use ureq::Agent;

use crate::process::catch_panic::catch_panic;

/// The client that sends. Locked only to clone or to replace it, never while it works.
#[derive(Clone)]
pub(super) struct SharedAgent(Arc<Mutex<Agent>>);

impl SharedAgent {
    pub(super) fn new(agent: Agent) -> Self {
        Self(Arc::new(Mutex::new(agent)))
    }

    pub(super) fn get(&self) -> Agent {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, agent: Agent) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = agent;
    }

    pub(super) fn abort_handle(&self) -> Abort {
        Abort(self.clone())
    }
}

/// Ends the attempt on the wire when a reporter has no time left for it.
#[derive(Clone)]
pub(crate) struct Abort(SharedAgent);

impl Abort {
    /// Shuts the connections down. To be called on a thread of the crate's own: ureq writes to the program's log meanwhile,
    /// and holds a lock that it also holds where it logs elsewhere. The caller of `stop` may hold the logger's lock, or
    /// have a logger that is stuck.
    pub(crate) fn abort(&self) {
        let agent = self.0.get();
        // ureq panics if a thread died with its lock. Then there is nothing to abort.
        let _ = catch_panic(|| agent.shutdown());
    }
}
