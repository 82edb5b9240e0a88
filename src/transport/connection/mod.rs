//! What stands between the HTTP client and each of its connections.
//!
//! The client offers no other place for three things that only a connection can see:
//!
//! - when bytes leave: there the secrets take the place of the asterisks that the client has logged ([`Redactor`]);
//! - whether a kept connection was dead before it carried the request ([`Attempt`]);
//! - how long each read may take: the client gives each read of a proxy's answer all the time that connecting may take.
//!
//! A fork is noticed here too: the client has logged by then, and the program's logger may have forked.

mod attempt;
mod redactor;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::process::fork;
use attempt::Attempt;
use redactor::Redactor;
pub(super) use redactor::Secrets;

/// Wraps each connection that the client makes. All connections of a client share the attempt.
#[derive(Clone, Debug)]
pub(super) struct ConnectionWrapper {
    attempt: Attempt,
    redactor: Redactor,
}

impl ConnectionWrapper {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self { attempt: Attempt::new(), redactor: Redactor::new(secrets) }
    }

    pub(super) fn attempt(&self) -> &Attempt {
        &self.attempt
    }
}

impl<In: Transport> Connector<In> for ConnectionWrapper {
    type Out = WrappedConnection<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let made_for = self.attempt.number();
        Ok(chained.map(|inner| WrappedConnection { inner, wrapper: self.clone(), made_for }))
    }
}

/// One connection. A tunnel through a proxy is two of them, one inside the other.
#[derive(Debug)]
pub(super) struct WrappedConnection<In> {
    inner: In,
    wrapper: ConnectionWrapper,
    /// The number of the attempt that it was made for. It is older than the current one in a kept connection.
    made_for: u64,
}

impl<In: Transport> Transport for WrappedConnection<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        fork::exit_if_forked();
        self.wrapper.redactor.restore(&mut self.inner.buffers().output()[..amount]);
        self.wrapper.attempt.sends_over_connection_of(self.made_for);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        timeout.after = timeout.after.min(self.wrapper.attempt.time_left().into());
        if timeout.after.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        let has_come = self.inner.await_input(timeout)?;
        if has_come {
            self.wrapper.attempt.receives();
        }
        Ok(has_come)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
