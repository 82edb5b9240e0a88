//! Name lookups that end in time, on a thread each, since the system's lookup cannot be interrupted.
//!
//! In place of ureq's own, which starts a thread for an address too, panics where the system has none to give, and
//! starts it in a way that may hang in a forked child.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};

use http::Uri;
use http::uri::Scheme;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::fork;

/// ureq keeps no more; a name with more has enough of them that work.
const MOST_ADDRESSES: usize = 16;

type Found = io::Result<Vec<SocketAddr>>;

#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// The last lookup, if it is still to answer. A resolver that never does holds one thread, not one an attempt.
    unanswered: Mutex<Option<(String, Receiver<Found>)>>,
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
        found.into_iter().take(MOST_ADDRESSES).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

impl Lookup {
    fn look_up(&self, host: &str, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let told = match unanswered.take() {
            Some((asked, told)) if asked == host => told,
            _ => ask(host.to_owned(), port)?,
        };
        match told.recv_timeout(*timeout.after) {
            Ok(found) => found.map_err(|_| Error::HostNotFound),
            Err(RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
            Err(RecvTimeoutError::Timeout) => {
                *unanswered = Some((host.to_owned(), told));
                Err(Error::Timeout(timeout.reason))
            }
        }
    }
}

fn ask(host: String, port: u16) -> io::Result<Receiver<Found>> {
    let (tell, told) = mpsc::sync_channel(1);
    fork::start_thread("tinker-lookup", move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        let _ = tell.send(found); // nobody may wait any more
    })?;
    Ok(told)
}
