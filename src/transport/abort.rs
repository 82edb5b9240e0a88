//! Breaks the attempt on the wire, from another thread.

use std::sync::{Arc, Mutex, PoisonError};

use ureq::Agent;

use crate::process::catch_panic::catch_panic;
use crate::process::fork;

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
pub(crate) struct Abort(SharedAgent);

impl Abort {
    /// Returns at once: the connections are shut down on a thread of their own. ureq writes to the program's log while
    /// it does that, and holds a lock that it also holds where it logs elsewhere. The caller of `stop` may hold the
    /// logger's lock, or have a logger that is stuck.
    pub(crate) fn abort(&self) {
        let agent = self.0.get();
        // ureq panics if a thread died with its lock. Then there is nothing to break. Where the system gives no thread,
        // the attempt ends by itself, at its time limit.
        let shut_down = move || _ = catch_panic(|| agent.shutdown());
        let _ = fork::start_thread("tinker-abort", shut_down);
    }
}
