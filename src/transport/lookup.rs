//! Name lookups that end in time. The system's lookup cannot be interrupted, so each has a thread of its own.
//!
//! This replaces ureq's own lookup. That one starts a thread for an address too, panics if the system has no thread to
//! give, and starts the thread in a way that may hang in a forked child.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::process::catch_panic::catch_panic;
use crate::process::fork;

/// ureq keeps no more. They are enough: any one of them that works will do.
const MAX_ADDRESSES: usize = 16;

type Addresses = io::Result<Vec<SocketAddr>>;

/// The lookups of one client.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// The host of the last lookup and its result to be, if it has not ended. The next attempt waits for the same one:
    /// a resolver that never answers holds one thread, not one for each attempt.
    pending: Mutex<Option<(String, Arc<LookupResult>)>>,
}

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let addresses = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port, timeout)?,
        };
        let mut resolved = self.empty();
        addresses.into_iter().take(MAX_ADDRESSES).for_each(|address| resolved.push(address));
        if resolved.is_empty() { Err(Error::HostNotFound) } else { Ok(resolved) }
    }
}

impl Lookup {
    fn look_up(&self, host: &str, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match pending.take() {
            Some((pending_host, result)) if pending_host == host => result,
            _ => start(host.to_owned(), port)?,
        };
        let Some(addresses) = result.wait(*timeout.after) else {
            *pending = Some((host.to_owned(), result));
            return Err(Error::Timeout(timeout.reason));
        };
        addresses.map_err(|_| Error::HostNotFound)
    }
}

fn start(host: String, port: u16) -> io::Result<Arc<LookupResult>> {
    let result = Arc::<LookupResult>::default();
    let on_thread = Arc::clone(&result);
    fork::start_thread("tinker-lookup", move || {
        let addresses = catch_panic(|| (host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        on_thread.set(addresses.unwrap_or_else(|| Err(io::ErrorKind::Other.into())));
    })?;
    Ok(result)
}

/// The result of one lookup, once it has ended.
#[derive(Debug, Default)]
struct LookupResult {
    addresses: Mutex<Option<Addresses>>,
    is_set: Condvar,
}

impl LookupResult {
    fn set(&self, addresses: Addresses) {
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
        self.is_set.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<Addresses> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.is_set.wait_timeout_while(addresses, timeout, |addresses| addresses.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}
