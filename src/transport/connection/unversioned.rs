//! The part of ureq's interface that may change in any minor version, in one file.
//!
//! ureq keeps its semantic version for everything but its module `unversioned`. A reporter needs that module for what
//! ureq offers nowhere else: name lookups that end in time and work in a forked child ([`Lookup`]), and a look at each
//! connection's bytes ([`Connection`]). The other files say what is done. This one only attaches it to ureq.
//!
//! `Cargo.toml` allows every later 3.x of ureq, so that a program builds beside any crate that needs one. If such a version
//! changes something here, this file is what has to follow. CI builds against the lowest version and the newest.

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Agent, Error};

use super::lookup::{Lookup, LookupError};
use super::{Connection, ConnectionWatch, cookies};

/// ureq keeps no more addresses. They are enough: any one of them that works will do.
const MAX_ADDRESSES: usize = 16;

/// A client that looks names up by `lookup`, and whose connections are watched by `watch`.
pub(in crate::transport) fn agent(config: Config, watch: &ConnectionWatch, lookup: &Lookup) -> Agent {
    let connector = DefaultConnector::default().chain(WatchingConnector(watch.clone()));
    Agent::with_parts(config, connector, LookupResolver(lookup.clone()))
}

#[derive(Debug)]
struct LookupResolver(Lookup);

impl Resolver for LookupResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.0.addresses(uri, *timeout.after).map_err(|error| match error {
            LookupError::NotFound => Error::HostNotFound,
            LookupError::TimedOut => Error::Timeout(timeout.reason),
            LookupError::Io(error) => Error::Io(error),
        })?;
        let mut resolved = self.empty();
        addresses.into_iter().take(MAX_ADDRESSES).for_each(|address| resolved.push(address));
        Ok(resolved)
    }
}

#[derive(Debug)]
struct WatchingConnector(ConnectionWatch);

impl<In: Transport> Connector<In> for WatchingConnector {
    type Out = WatchedTransport<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| WatchedTransport { inner, connection: self.0.open() }))
    }
}

/// A connection of ureq's, and what watches it. A tunnel through a proxy is two of them, one inside the other.
#[derive(Debug)]
struct WatchedTransport<In> {
    inner: In,
    connection: Connection,
}

impl<In: Transport> Transport for WatchedTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.connection.before_output(&mut self.inner.buffers().output()[..amount]);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        timeout.after = timeout.after.min(self.connection.time_left().into());
        if timeout.after.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        let has_input = self.inner.await_input(timeout)?;
        if has_input {
            self.connection.after_input();
            hide_cookies(self.inner.buffers());
        }
        Ok(has_input)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Input cannot be changed in place. It can be consumed, and appended again.
fn hide_cookies(buffers: &mut dyn Buffers) {
    let Some(input) = cookies::renamed(buffers.input()) else { return };
    buffers.input_consume(input.len());
    buffers.input_append_buf()[..input.len()].copy_from_slice(&input);
    buffers.input_appended(input.len());
}

#[cfg(test)]
mod tests {
    use ureq::unversioned::transport::LazyBuffers;

    use super::*;

    fn append(buffers: &mut LazyBuffers, bytes: &[u8]) {
        buffers.input_append_buf()[..bytes.len()].copy_from_slice(bytes);
        buffers.input_appended(bytes.len());
        hide_cookies(buffers);
    }

    #[test]
    fn a_cookie_is_hidden_across_reads_and_behind_consumed_bytes_of_a_full_buffer() {
        let (first, second) = (b"HTTP/1.1 200 OK\r\nset-coo", b"kie: a=b\r\n");
        let size = first.len() + second.len();
        let mut buffers = LazyBuffers::new(size, size);
        append(&mut buffers, b"consumed");
        buffers.input_consume(8);
        append(&mut buffers, first);
        append(&mut buffers, second);
        assert_eq!(buffers.input(), b"HTTP/1.1 200 OK\r\nno-cookies: a=b\r\n");
    }
}
