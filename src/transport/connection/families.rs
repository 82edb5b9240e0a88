//! Which addresses come first, those of IPv6 or those of IPv4.
//!
//! ureq tries a host's addresses one after the other, as long as each is refused or cannot be reached. If the system does
//! not allow a connection, it gives up. That is so where a program may use one family only: then the addresses of the
//! other come first in the next lookups.

use std::net::SocketAddr;

#[derive(Debug, Default)]
pub(super) struct Families {
    /// The family whose addresses come first. `None`: as the system sorts them.
    first: Option<Family>,
    /// The family of the first address of the last lookup, if there were addresses of both.
    last: Option<Family>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Families {
    pub(super) fn sort(&mut self, addresses: &mut [SocketAddr]) {
        if let Some(first) = self.first {
            addresses.sort_by_key(|address| Family::of(address) != first);
        }
        self.last = addresses.first().map(Family::of).filter(|first| {
            addresses.iter().any(|address| Family::of(address) != *first) // there are both
        });
    }

    /// The system did not allow a connection to the last addresses. Puts the other family first from now on. `false` if
    /// they had no address of another family.
    pub(super) fn prefer_other(&mut self) -> bool {
        let Some(last) = self.last else { return false };
        self.first = Some(last.other());
        true
    }
}

impl Family {
    fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_family_comes_first_and_each_keeps_its_order() {
        let host = ["[::1]:80", "[::2]:80", "1.1.1.1:80", "2.2.2.2:80"].map(|text| text.parse().unwrap());
        let mut families = Families::default();
        assert!(!families.prefer_other(), "nothing was looked up");
        let mut sort = |prefer: bool| {
            let mut addresses = host;
            assert_eq!(prefer, prefer && families.prefer_other());
            families.sort(&mut addresses);
            addresses
        };
        assert_eq!(sort(false), host);
        let ipv4_first = [host[2], host[3], host[0], host[1]];
        assert_eq!((sort(true), sort(false)), (ipv4_first, ipv4_first));
        assert_eq!(sort(true), host, "IPv4 is not allowed either");
    }

    #[test]
    fn a_host_of_one_family_has_no_other() {
        let mut families = Families::default();
        families.sort(&mut ["[::1]:80".parse().unwrap(), "[::2]:80".parse().unwrap()]);
        assert!(!families.prefer_other());
        families.sort(&mut []);
        assert!(!families.prefer_other());
    }
}
