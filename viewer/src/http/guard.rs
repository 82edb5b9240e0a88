//! Which requests may come in at all.
//!
//! A page of another site can make a browser send requests here, and by DNS rebinding under a name of its own. So the
//! name must be one of ours, and a browser's request must come from our own page.

use std::net::IpAddr;

use super::Head;

#[derive(Debug)]
pub struct Guard {
    only_loopback: bool,
    names: Vec<String>,
}

impl Guard {
    pub fn new(listen: IpAddr, names: Vec<String>) -> Self {
        Self { only_loopback: listen.is_loopback(), names }
    }

    /// Why a request is refused, if it is.
    pub fn refuses(&self, head: &Head) -> Option<&'static str> {
        let Some(host) = head.header("host") else { return Some("no Host header") };
        if !self.knows(host) {
            return Some("this Host is not known here; --allow-host NAME admits a name");
        }
        // An own page names the same host; a program names none.
        let foreign =
            head.header("origin").is_some_and(|origin| origin.strip_prefix("http://") != Some(host));
        let cross =
            head.header("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
        (foreign || cross).then_some("requests of other sites are refused")
    }

    /// An address cannot be rebound, so any will do where more than loopback is listened to.
    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || !self.only_loopback,
            Err(_) => {
                name.eq_ignore_ascii_case("localhost")
                    || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(guard: &Guard, headers: &[(&str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        guard.refuses(&Head { method: "GET".into(), target: "/".into(), headers, keep_alive: true }).is_some()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let guard = Guard::new(IpAddr::from([127, 0, 0, 1]), vec!["host.docker.internal".into()]);
        for host in ["127.0.0.1:8970", "localhost", "LocalHost:1", "[::1]:8970", "host.docker.internal:8970"]
        {
            assert!(!refuses(&guard, &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "evil.example:8970", "127.0.0.1.evil.example", "192.168.1.5:8970", ""] {
            assert!(refuses(&guard, &[("host", host)]), "{host}");
        }
        assert!(refuses(&guard, &[]));
        let open = Guard::new(IpAddr::from([0, 0, 0, 0]), vec![]);
        assert!(!refuses(&open, &[("host", "192.168.1.5:8970")]));
        assert!(refuses(&open, &[("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let guard = Guard::new(IpAddr::from([127, 0, 0, 1]), vec![]);
        let host = ("host", "127.0.0.1:8970");
        assert!(!refuses(&guard, &[host, ("origin", "http://127.0.0.1:8970")]));
        assert!(refuses(&guard, &[host, ("origin", "http://evil.example")]));
        assert!(refuses(&guard, &[host, ("origin", "http://127.0.0.1:3000")]));
        assert!(refuses(&guard, &[host, ("origin", "null")]));
        assert!(refuses(&guard, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!refuses(&guard, &[host, ("sec-fetch-site", "same-origin")]));
    }
}
