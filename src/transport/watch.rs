//! Watches an attempt from within its connection: whether that had carried an earlier one, whether a byte came back,
//! and how much time is left: ureq gives each read of a proxy's answer all the time that connecting may take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// The client's, and in each of its connections.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Attempt>>);

/// The attempt under way.
#[derive(Debug)]
struct Attempt {
    number: u64,
    end: Instant,
    is_swallowed: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Attempt { number: 0, end: Instant::now(), is_swallowed: false })))
    }

    pub(super) fn begin(&self, end: Instant) {
        let mut attempt = self.attempt();
        *attempt = Attempt { number: attempt.number + 1, end, is_swallowed: false };
    }

    /// Whether it was sent over a connection of an earlier attempt, and no byte came back.
    pub(super) fn is_swallowed(&self) -> bool {
        self.attempt().is_swallowed
    }

    /// The timeout, within what is left of the attempt.
    fn in_time(&self, mut timeout: NextTimeout) -> Result<NextTimeout, Error> {
        let left = self.attempt().end.saturating_duration_since(Instant::now());
        timeout.after = timeout.after.min(left.into());
        if timeout.after.is_zero() { Err(Error::Timeout(timeout.reason)) } else { Ok(timeout) }
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
        let has_come = self.connection.await_input(self.watch.in_time(timeout)?)?;
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
