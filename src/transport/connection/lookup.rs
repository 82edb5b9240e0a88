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

use crate::process::catch_panic::catch_panic;
use crate::process::fork;

type Addresses = io::Result<Vec<SocketAddr>>;

/// The lookups of one client. Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::transport) struct Lookup(Arc<Mutex<Option<PendingLookup>>>);

/// A lookup that has not ended: its host, and its result to be. The next attempt waits for the same one, so a resolver
/// that never answers holds one thread, not one for each attempt.
#[derive(Debug)]
struct PendingLookup {
    host: String,
    result: Arc<LookupResult>,
}

#[derive(Debug)]
pub(super) enum LookupError {
    NotFound,
    TimedOut,
    Io(io::Error),
}

impl Lookup {
    /// The addresses of the URI's host, at least one.
    pub(super) fn addresses(&self, uri: &Uri, limit: Duration) -> Result<Vec<SocketAddr>, LookupError> {
        let host = uri.host().ok_or(LookupError::NotFound)?;
        let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
            Err(_) => self.look_up(host, port, limit),
        }
    }

    fn look_up(&self, host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, LookupError> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match last.take() {
            Some(pending) if pending.host == host => pending.result,
            _ => start(host.to_owned(), port).map_err(LookupError::Io)?,
        };
        match result.wait(limit) {
            Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Some(_) => Err(LookupError::NotFound),
            None => {
                *last = Some(PendingLookup { host: host.to_owned(), result });
                Err(LookupError::TimedOut)
            }
        }
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
