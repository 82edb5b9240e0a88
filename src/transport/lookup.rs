//! Name lookups that end in time, on a thread each, since the system's lookup cannot be interrupted.
//!
//! In place of ureq's own, which starts a thread for an address too, panics where the system has none to give, and
//! starts it in a way that may hang in a forked child.

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

/// ureq keeps no more; a name with more has enough of them that work.
const MAX_ADDRESSES: usize = 16;

type Found = io::Result<Vec<SocketAddr>>;

/// Where a lookup leaves what it found.
#[derive(Debug, Default)]
struct LookupResult {
    found: Mutex<Option<Found>>,
    is_there: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// The last lookup, if it is still to answer. A resolver that never does holds one thread, not one an attempt.
    unanswered: Mutex<Option<(String, Arc<LookupResult>)>>,
}

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port, timeout)?,
        };
        let mut addresses = self.empty();
        found.into_iter().take(MAX_ADDRESSES).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

impl Lookup {
    fn look_up(&self, host: &str, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match unanswered.take() {
            Some((asked, answer)) if asked == host => answer,
            _ => ask(host.to_owned(), port)?,
        };
        let Some(found) = answer.wait(*timeout.after) else {
            *unanswered = Some((host.to_owned(), answer));
            return Err(Error::Timeout(timeout.reason));
        };
        found.map_err(|_| Error::HostNotFound)
    }
}

fn ask(host: String, port: u16) -> io::Result<Arc<LookupResult>> {
    let answer = Arc::<LookupResult>::default();
    let told = Arc::clone(&answer);
    fork::start_thread("tinker-lookup", move || {
        let found = catch_panic(|| (host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        told.tell(found.unwrap_or_else(|| Err(io::ErrorKind::Other.into())));
    })?;
    Ok(answer)
}

impl LookupResult {
    fn tell(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.is_there.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<Found> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.is_there.wait_timeout_while(found, timeout, |found| found.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}
