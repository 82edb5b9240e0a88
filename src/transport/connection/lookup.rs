//! Name lookups that end in time. The system's lookup cannot be interrupted, so each has a thread of its own.
//!
//! This replaces ureq's own lookup. That one starts a thread for an address too, panics if the system has no thread to
//! give, and starts the thread in a way that may hang in a forked child.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;

use super::families::Families;
use super::known_host::KnownHost;
use crate::failure::http_error::{OwnWords, has_no_kind};
use crate::process::catch_panic::catch_panic;
use crate::process::fork;

type Addresses = io::Result<Vec<SocketAddr>>;

/// The lookups of one client. Clones share them.
#[derive(Clone)]
pub(in crate::transport) struct Lookup(Arc<Shared>);

struct Shared {
    /// The last lookup, if it has not ended.
    pending: Mutex<Option<PendingLookup>>,
    families: Mutex<Families>,
    known_host: Arc<KnownHost>,
}

/// How long a child waits for its resolver at most, if it knows addresses without it. Half of the attempt's time is left for the
/// request.
const PATIENCE: Duration = Duration::from_secs(1);

/// A lookup that has not ended: its host, and its result to be. The next attempt waits for the same one, so a resolver
/// that never answers holds one thread, not one for each attempt.
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
    pub(in crate::transport) fn new(known_host: Arc<KnownHost>) -> Self {
        Self(Arc::new(Shared { pending: Mutex::default(), families: Mutex::default(), known_host }))
    }

    /// The addresses of the URI's host, at least one.
    pub(super) fn addresses(&self, uri: &Uri, limit: Duration) -> Result<Vec<SocketAddr>, LookupError> {
        let host = uri.host().ok_or(LookupError::NotFound)?;
        let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let mut addresses = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port, limit)?,
        };
        lock(&self.0.families).sort(&mut addresses);
        Ok(addresses)
    }

    /// The system did not allow a connection to the last addresses. See [`Families::prefer_other`].
    pub(in crate::transport) fn prefer_other_family(&self) -> bool {
        lock(&self.0.families).prefer_other()
    }

    fn look_up(&self, host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, LookupError> {
        let mut last = lock(&self.0.pending);
        let result = match last.take() {
            Some(pending) if pending.host == host => pending.result,
            _ => start(host.to_owned(), port).map_err(|_| LookupError::Io(io::Error::other(NO_THREAD)))?,
        };
        let of_parent = self.0.known_host.of_parent(host);
        match result.wait(of_parent.map_or(limit, |_| PATIENCE.min(limit / 2))) {
            Some(Ok(addresses)) if !addresses.is_empty() => {
                self.0.known_host.note(host, &addresses);
                Ok(addresses)
            }
            // The system's own error, not that of its resolver.
            Some(Err(error)) if error.raw_os_error().is_some() => Err(LookupError::Io(error)),
            Some(_) => Err(LookupError::NotFound),
            None => {
                *last = Some(PendingLookup { host: host.to_owned(), result });
                of_parent.map(<[_]>::to_vec).ok_or(LookupError::TimedOut)
            }
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

const NO_THREAD: OwnWords = OwnWords("the system gives no thread for a name lookup");

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(host: String, port: u16) -> io::Result<Arc<LookupResult>> {
    let result = Arc::<LookupResult>::default();
    let on_thread = Arc::clone(&result);
    fork::start_thread("tinker-lookup", move || {
        let addresses = catch_panic(|| (host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        let addresses = addresses.unwrap_or_else(|| Err(io::ErrorKind::Other.into()));
        on_thread.set(addresses.map_err(|error| lack_of_descriptors().unwrap_or(error)));
    })?;
    Ok(result)
}

/// A resolver that gets no file descriptor reports that there is no such host. If no socket can be made here either,
/// that is the true reason.
fn lack_of_descriptors() -> Option<io::Error> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err().filter(has_no_kind)
}

/// The result of one lookup, once it has ended.
#[derive(Default)]
struct LookupResult {
    addresses: Mutex<Option<Addresses>>,
    is_set: Condvar,
}

impl LookupResult {
    fn set(&self, addresses: Addresses) {
        *lock(&self.addresses) = Some(addresses);
        self.is_set.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<Addresses> {
        let addresses = lock(&self.addresses);
        let waited = self.is_set.wait_timeout_while(addresses, timeout, |addresses| addresses.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}
