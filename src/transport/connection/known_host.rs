//! The addresses that a host had before a fork, for a child whose resolver hangs.
//!
//! The C library's resolver takes a lock that no fork handler resets (glibc's in `resolv_conf.c`; seen in one of some
//! hundred forks beside threads that look names up all the time). If another thread holds it at the moment of the fork,
//! every lookup of the child waits for ever. The child's connections then go to the addresses that its parent had found.

use std::net::SocketAddr;

use crate::process::fork::{ForkGeneration, ProcessCell};

/// The first host that each process found. A reporter needs one: that of its endpoint, or that of its proxy.
pub(in crate::transport) struct KnownHost(ProcessCell<Found>);

struct Found {
    host: String,
    addresses: Vec<SocketAddr>,
}

impl KnownHost {
    pub(in crate::transport) fn new() -> Self {
        Self(ProcessCell::new())
    }

    pub(super) fn note(&self, host: &str, addresses: &[SocketAddr]) {
        if self.0.get().is_none() {
            self.0.fill(Found { host: host.to_owned(), addresses: addresses.to_owned() });
        }
    }

    /// The addresses that the parent found. `None` in a process that is no child, or that has found a host itself.
    pub(super) fn of_parent(&self, host: &str) -> Option<&[SocketAddr]> {
        if ForkGeneration::current().is_first() || self.0.get().is_some() {
            return None;
        }
        let found = self.0.last().filter(|found| found.host == host)?;
        Some(&found.addresses)
    }
}
