//! Watches an attempt from within its connection: whether that had carried an earlier one, and whether a byte came back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// The client's, and in each of its connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Mutex<Attempt>>);

/// The attempt under way.
#[derive(Debug, Default)]
struct Attempt {
    number: u64,
    is_swallowed: bool,
}

impl Watch {
    pub(super) fn begin(&self) {
        let mut attempt = self.attempt();
        *attempt = Attempt { number: attempt.number + 1, is_swallowed: false };
    }

    /// Whether it was sent over a connection of an earlier attempt, and no byte came back.
    pub(super) fn is_swallowed(&self) -> bool {
        self.attempt().is_swallowed
    }

    fn attempt(&self) -> MutexGuard<'_, Attempt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Watched<In>>, Error> {
        let made_for = self.attempt().number;
        Ok(chained.map(|connection| Watched { connection, watch: self.clone(), made_for }))
    }
}

/// A connection that tells what is sent and what comes back. A tunnel is two of them, one within the other.
#[derive(Debug)]
pub(super) struct Watched<In> {
    connection: In,
    watch: Watch,
    /// The attempt that it was made for.
    made_for: u64,
}

impl<In: Transport> Transport for Watched<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let mut attempt = self.watch.attempt();
        attempt.is_swallowed = attempt.number > self.made_for;
        drop(attempt);
        self.connection.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let has_come = self.connection.await_input(timeout)?;
        if has_come {
            self.watch.attempt().is_swallowed = false;
        }
        Ok(has_come)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}
