//! Breaks the attempts on the wire, from another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::Agent;

use super::identity::credentials::Credentials;
use crate::process::catch_panic::catch_panic;

/// The clients that send, one for each transport of a reporter. Locked only to clone, add or replace one, never while one
/// works.
#[derive(Clone, Default)]
struct Agents(Arc<Mutex<Vec<Agent>>>);

impl Agents {
    fn lock(&self) -> MutexGuard<'_, Vec<Agent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, agent: Agent) -> SharedAgent {
        let mut agents = self.lock();
        agents.push(agent);
        SharedAgent { place: agents.len() - 1, agents: self.clone() }
    }
}

/// The client of one transport.
pub(super) struct SharedAgent {
    agents: Agents,
    place: usize,
}

impl SharedAgent {
    pub(super) fn new(agent: Agent) -> Self {
        Agents::default().add(agent)
    }

    /// Adds the client of another transport. The same handle aborts both.
    pub(super) fn beside(&self, agent: Agent) -> Self {
        self.agents.add(agent)
    }

    pub(super) fn get(&self) -> Agent {
        self.agents.lock()[self.place].clone()
    }

    pub(super) fn replace(&self, agent: Agent) {
        self.agents.lock()[self.place] = agent;
    }

    pub(super) fn abort_handle(&self, credentials: Option<Credentials>) -> Abort {
        Abort { agents: self.agents.clone(), credentials }
    }
}

/// Ends the attempts on the wire when a reporter has no time left for them.
#[derive(Clone)]
pub(crate) struct Abort {
    agents: Agents,
    credentials: Option<Credentials>,
}

impl Abort {
    /// Kills the command that is asked for a key, if there is one: a program that exits now would leave it behind. Waits for
    /// nothing and logs nothing, so any thread may do it.
    pub(crate) fn kill_command(&self) {
        self.credentials.iter().for_each(Credentials::close);
    }

    /// Shuts the connections down. To be called on a thread of the crate's own: ureq writes to the program's log meanwhile,
    /// and holds a lock that it also holds where it logs elsewhere. The caller of `stop` may hold the logger's lock, or
    /// have a logger that is stuck.
    pub(crate) fn abort(&self) {
        let agents = self.agents.lock().clone();
        for agent in agents {
            // ureq panics if a thread died with its lock. Then there is nothing to abort.
            let _ = catch_panic(|| agent.shutdown());
        }
    }
}
