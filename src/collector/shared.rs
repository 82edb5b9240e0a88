//! The state that the collector's threads share. It has one mutex, and one condvar that is notified of every change.

use std::collections::{HashMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Answer, Received};
use crate::model::event::Event;
use crate::process::fork::{ForkGeneration, watch};

pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    process: ForkGeneration,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) received: Vec<Arc<Received>>,
    /// How many of `received` were returned one by one.
    pub(super) returned: usize,
    /// How many events of `received` were answered with a 2xx. A wait for events reads it, and so need not count
    /// them.
    pub(super) accepted: usize,
    pub(super) script: VecDeque<Answer>,
    pub(super) default_answer: Answer,
    pub(super) holds: usize,
    /// The open connections by number. A connection's thread closes the socket before it removes it from here.
    pub(super) open: HashMap<u64, Arc<TcpStream>>,
    pub(super) connections: u64,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn accepted_events(&self) -> Vec<Event> {
        let accepted = self.received.iter().filter(|received| received.is_accepted());
        accepted.flat_map(|received| received.events()).cloned().collect()
    }

    pub(super) fn forget_received(&mut self) {
        self.received.clear();
        self.returned = 0;
        self.accepted = 0;
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        watch();
        Self { state: Mutex::default(), changed: Condvar::new(), process: ForkGeneration::current() }
    }

    /// Whether this process is a forked child of the one that started the collector. There, the collector has no thread,
    /// its lock may be closed for ever, and its sockets are the parent's.
    pub(super) fn is_of_parent(&self) -> bool {
        self.process != ForkGeneration::current()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the state and wakes every thread that waits for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits as long as the condition holds, for `timeout` at most.
    pub(super) fn wait_while(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        self.changed.wait_while_for(&mut state, |state| condition(state), timeout);
        state
    }

    /// Records a request and chooses its answer, in one step, so that both have the same order.
    pub(super) fn record(&self, mut received: Received) -> Answer {
        self.change(|state| {
            let answer = state.script.pop_front().unwrap_or_else(|| state.default_answer.clone());
            received.status = answer.status;
            if received.is_accepted() {
                state.accepted += received.events().len();
            }
            state.received.push(Arc::new(received));
            answer
        })
    }

    /// Waits until the answer is due. `false`: the collector was closed before.
    pub(super) fn wait_until_due(&self, answer: &Answer) -> bool {
        self.changed.wait_while(&mut self.lock(), |state| state.holds > 0 && !state.closed);
        !self.wait_while(answer.delay, |state| !state.closed).closed
    }

    /// Registers a connection and returns its number. `None` if the collector is closed.
    pub(super) fn open(&self, stream: &Arc<TcpStream>) -> Option<u64> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.connections += 1;
        let number = state.connections;
        state.open.insert(number, Arc::clone(stream));
        Some(number)
    }

    /// Ends every wait, and every read and write on a connection, from now on.
    pub(super) fn close(&self) {
        self.change(|state| {
            state.closed = true;
            for stream in state.open.values() {
                // It fails only if the client was faster.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}
