//! Breaks the attempts on the wire, from another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ureq::Agent;

use super::identity::credentials::Credentials;
use crate::process::catch_panic::catch_panic;

/// The client of one transport. Locked only to clone or replace it, never while it works.
type Client = Mutex<Agent>;

/// The clients that send, one for each transport of a reporter.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<Vec<Weak<Client>>>>);

impl Clients {
    fn add(&self, agent: Agent) -> SharedAgent {
        let client = Arc::new(Client::new(agent));
        let mut all = lock(&self.0);
        all.retain(|client| client.strong_count() > 0); // a transport may be gone, and another takes its place
        all.push(Arc::downgrade(&client));
        SharedAgent { client, all: self.clone() }
    }

    fn agents(&self) -> Vec<Agent> {
        let all = lock(&self.0).clone();
        all.iter().filter_map(Weak::upgrade).map(|client| lock(&client).clone()).collect()
    }
}

/// A poisoned lock is used like any other: nothing panics while it is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client of one transport, which an [`Abort`] reaches too.
pub(super) struct SharedAgent {
    client: Arc<Client>,
    all: Clients,
}

impl SharedAgent {
    pub(super) fn new(agent: Agent) -> Self {
        Clients::default().add(agent)
    }

    /// Adds the client of another transport. The same handle aborts both.
    pub(super) fn beside(&self, agent: Agent) -> Self {
        self.all.add(agent)
    }

    pub(super) fn get(&self) -> Agent {
        lock(&self.client).clone()
    }

    pub(super) fn replace(&self, agent: Agent) {
        *lock(&self.client) = agent;
    }

    pub(super) fn abort_handle(&self, credentials: Option<Credentials>) -> Abort {
        Abort { clients: self.all.clone(), credentials }
    }
}

/// Ends the attempts on the wire when a reporter has no time left for them.
#[derive(Clone)]
pub(crate) struct Abort {
    clients: Clients,
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
        for agent in self.clients.agents() {
            // ureq panics if a thread died with its lock. Then there is nothing to abort.
            let _ = catch_panic(|| agent.shutdown());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_reaches_the_clients_that_are_left_and_none_that_is_gone() {
        let first = SharedAgent::new(Agent::new_with_defaults());
        for _ in 0..100 {
            drop(first.beside(Agent::new_with_defaults()));
        }
        let _second = first.beside(Agent::new_with_defaults());
        let abort = first.abort_handle(None);
        assert_eq!((abort.clients.agents().len(), lock(&abort.clients.0).len()), (2, 2));
    }
}
