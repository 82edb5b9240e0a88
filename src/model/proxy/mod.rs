//! The proxy on the way to the endpoint, read as curl reads it. Pure: what the variables hold comes in as text.

use std::net::{IpAddr, Ipv6Addr};

use http::uri::Uri;

use crate::model::error::StartError;

/// The variables that name a proxy for an `https://` endpoint, the first that is set wins. Lower case first, as curl.
pub(crate) const FOR_HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// The same for `http://`. Not `HTTP_PROXY`: under CGI that is what a request's `Proxy` header says.
pub(crate) const FOR_HTTP: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];
/// The variables that name the hosts to reach without a proxy.
pub(crate) const EXCEPT: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A proxy that requests are tunnelled through. No `Debug`: its URL may hold a password.
#[derive(Clone)]
pub(crate) struct Proxy {
    origin: &'static str,
    /// Scheme, credentials, host and port, all of them checked.
    url: String,
    /// Host and port.
    place: String,
}

impl Proxy {
    /// Reads a proxy's URL; `origin` is the setter or the variable that it came from.
    ///
    /// As curl: without a scheme it is `http://`, without a port 1080, or 443 for `https://`. Unlike curl, which
    /// ignores a path, a URL with one is refused: it is likely to be the rest of a password with a `/` in it.
    pub(crate) fn parse(origin: &'static str, url: &str) -> Result<Self, StartError> {
        let invalid = |reason| StartError::InvalidProxy { origin, reason };
        if url.is_empty() {
            return Err(invalid("is empty"));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 1080,
            "https" if cfg!(feature = "tls") => 443,
            "https" => return Err(invalid("is https, and this program was built without the feature `tls`")),
            socks if socks.starts_with("socks") => {
                return Err(invalid("is a SOCKS proxy; only HTTP ones are supported"));
            }
            _ => return Err(invalid("is neither http:// nor https://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(invalid(
                "has more than a host and a port (in a password `/`, `?` and `#` are written %2F, %3F and %23)",
            ));
        }
        let uri: Uri = format!("{scheme}://{rest}").parse().map_err(|_| invalid("is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| invalid("has no host"))?;
        let host = authority.host();
        check_host(host).map_err(invalid)?;
        let (credentials, place) =
            rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        let port = match place.strip_prefix(host) {
            Some("") => default_port,
            Some(port) => {
                port.strip_prefix(':').and_then(parse_port).ok_or_else(|| invalid("has an invalid port"))?
            }
            None => return Err(invalid("is not a URL")),
        };
        let place = format!("{host}:{port}");
        let credentials = credentials.map(|user| format!("{user}@")).unwrap_or_default();
        Ok(Self { origin, url: format!("{scheme}://{credentials}{place}"), place })
    }

    /// The whole of it, secrets too.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port, for a log line.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong where the HTTP client does not take what was checked here.
    pub(crate) fn refused(&self) -> StartError {
        StartError::InvalidProxy { origin: self.origin, reason: "is not a URL that can be used" }
    }
}

/// What is wrong with a URL's host, beyond what makes it no URL.
pub(crate) fn check_host(host: &str) -> Result<(), &'static str> {
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match in_brackets.map(str::parse::<Ipv6Addr>) {
        Some(Err(_)) => Err("has brackets around what is no IPv6 address"),
        None if host.is_empty() => Err("has no host"),
        None if host.contains(['[', ']', ':']) => Err("has a bracket or a colon in the middle of its host"),
        _ => Ok(()),
    }
}

/// A port as URLs write it, which is stricter than `parse`: no sign.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// Whether a list such as `NO_PROXY` exempts the host.
///
/// Entries are separated by commas or white space. A name matches itself and every name below it, with or without
/// a dot before it; case and a trailing dot do not matter. An IP address matches the same address in any spelling,
/// one with `/bits` every address of that network. `*` matches everything. Nothing else means anything, ports
/// and `*.example.com` included, as with curl.
pub(crate) fn is_exempt(host: &str, list: &str) -> bool {
    let address = parse_address(host);
    let mut entries = list.split([',', ' ', '\t', '\r', '\n']).filter(|entry| !entry.is_empty());
    entries.any(|entry| match (entry, address) {
        ("*", _) => true,
        (entry, Some(address)) => is_in_network(address, entry),
        (entry, None) => is_in_domain(host, entry),
    })
}

/// The address that a URL's host is, if it is one.
fn parse_address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn is_in_domain(host: &str, entry: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let domain = entry.strip_suffix('.').unwrap_or(entry).to_ascii_lowercase();
    let domain = domain.strip_prefix('.').unwrap_or(&domain);
    let before = host.strip_suffix(domain).filter(|_| !domain.is_empty());
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_in_network(address: IpAddr, entry: &str) -> bool {
    let (network, bits) =
        entry.split_once('/').map_or((entry, None), |(network, bits)| (network, Some(bits)));
    let (address, network, width) = match (address, network.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) => {
            (u128::from(address.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let Some(bits) = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width)) else {
        return false;
    };
    // Shifting by the full width is an overflow: then no bit is compared.
    let rest = |bits_of: u128| bits_of.checked_shr(width - bits).unwrap_or_default();
    rest(address) == rest(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<(String, String), String> {
        let proxy = Proxy::parse("HTTPS_PROXY", url).map_err(|error| error.to_string())?;
        Ok((proxy.url().to_owned(), proxy.place().to_owned()))
    }

    #[test]
    fn a_proxy_is_http_on_port_1080_unless_it_says_otherwise() {
        let table = [
            ("proxy", "http://proxy:1080", "proxy:1080"),
            ("proxy:3128", "http://proxy:3128", "proxy:3128"),
            ("http://proxy", "http://proxy:1080", "proxy:1080"),
            ("http://proxy/", "http://proxy:1080", "proxy:1080"),
            ("HTTP://Proxy:8888/", "http://Proxy:8888", "Proxy:8888"),
            ("http://10.0.0.1:1", "http://10.0.0.1:1", "10.0.0.1:1"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128", "[fd00::1]:3128"),
            ("[fd00::1]", "http://[fd00::1]:1080", "[fd00::1]:1080"),
            ("me:hush@proxy:1", "http://me:hush@proxy:1", "proxy:1"),
            ("http://me@proxy", "http://me@proxy:1080", "proxy:1080"),
            ("http://me:h%40sh%2F@proxy:1", "http://me:h%40sh%2F@proxy:1", "proxy:1"),
            ("http://me:h@sh@proxy:1", "http://me:h@sh@proxy:1", "proxy:1"),
            ("http://proxy:hush@proxy:1", "http://proxy:hush@proxy:1", "proxy:1"),
        ];
        for (url, whole, place) in table {
            assert_eq!(parsed(url).unwrap(), (whole.to_owned(), place.to_owned()), "{url:?}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn an_https_proxy_is_on_port_443() {
        assert_eq!(parsed("https://proxy").unwrap().0, "https://proxy:443");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn an_https_proxy_needs_the_feature() {
        assert!(parsed("https://proxy").unwrap_err().contains("`tls`"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_being_shown() {
        let bad = [
            "",
            "/",
            "http://",
            "http:///",
            "://canary",
            "ftp://canary",
            "socks5://me:canary@proxy",
            "SOCKS4a://canary",
            "socks://canary",
            "http://canary@",
            "http://me:canary@:1",
            "http://can ary",
            "http://can\nary",
            "http://cänary",
            "http://proxy:canary",
            "http://proxy:",
            "http://proxy:0",
            "http://proxy:65536",
            "http://proxy:+1",
            "http://[fd00::1",
            "http://[fd00::1]3128",
            "http://[]",
            "http://[canary]",
            "http://[10.0.0.1]",
            "http://me:canary/12@proxy",
            "http://me:12/canary@proxy",
            "http://me:12?canary@proxy",
            "http://me:12#canary@proxy",
            "http://proxy/canary",
            "\u{fffd}canary",
        ];
        for url in bad {
            let error = parsed(url).unwrap_err();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("can"), "{url:?}: {error}");
        }
    }

    #[test]
    fn names_are_exempt_with_all_that_is_below_them() {
        let exempt = [
            ("example.com", "example.com"),
            ("example.com", ".example.com"),
            ("a.example.com", "example.com"),
            ("a.b.example.com", ".example.com"),
            ("EXAMPLE.com", "example.COM"),
            ("example.com.", "example.com"),
            ("example.com", "example.com."),
            ("a.example.com.", ".example.com."),
            ("intranet", "intranet"),
            ("a.dev", "dev"),
            ("example.com", "*"),
            ("10.0.0.1", "*"),
            ("example.com", " * "),
        ];
        for (host, list) in exempt {
            assert!(is_exempt(host, list), "{host} in {list:?}");
        }
        let not = [
            ("example.com", ""),
            ("example.com", " , ,"),
            ("example.com", "."),
            ("example.com", ".."),
            ("nonexample.com", "example.com"),
            ("nonexample.com", ".example.com"),
            ("example.com", "a.example.com"),
            ("example.com.org", "example.com"),
            ("example.com", "example"),
            ("example.com", "*.com"),
            ("a.example.com", "*.example.com"),
            ("example.com", "example.com:443"),
            ("example.com", "http://example.com"),
            ("example.com", "example.com/32"),
            ("example.com", "0.0.0.0/0"),
        ];
        for (host, list) in not {
            assert!(!is_exempt(host, list), "{host} in {list:?}");
        }
    }

    #[test]
    fn entries_are_separated_by_commas_and_white_space() {
        let lists =
            ["a.com,b.com,c.com", "a.com, b.com , c.com", "a.com b.com c.com", "\ta.com,,b.com\n,c.com ,"];
        for list in lists {
            for host in ["a.com", "b.com", "x.c.com"] {
                assert!(is_exempt(host, list), "{host} in {list:?}");
            }
            assert!(!is_exempt("d.com", list), "{list:?}");
        }
        assert!(!is_exempt("a.comb.com", "a.com b.com c.com".replace(' ', "").as_str()));
    }

    #[test]
    fn addresses_are_exempt_by_value_and_by_network() {
        let exempt = [
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3", "10.1.2.2/31"),
            ("10.1.2.3", "192.168.0.0/16, 10.1.0.0/16"),
            ("10.1.2.3", "0.0.0.0/0"),
            ("[fd00::1]", "fd00::1"),
            ("[fd00:0::1]", "fd00::0001"),
            ("[fd00::1]", "fd00::/8"),
            ("[fd00::1]", "fd00::1/128"),
            ("[fd00::1]", "fc00::/7"),
            ("[fd00::1]", "::/0"),
        ];
        for (host, list) in exempt {
            assert!(is_exempt(host, list), "{host} in {list:?}");
        }
        let not = [
            ("10.1.2.3", "10.1.2.4"),
            ("10.1.2.3", "10.2.0.0/16"),
            ("10.1.2.3", "10.1.2.4/31"),
            ("10.1.2.3", "10.0.0.0/33"),
            ("10.1.2.3", "10.0.0.0/"),
            ("10.1.2.3", "10.0.0.0/-8"),
            ("10.1.2.3", "10.0.0.0/x"),
            ("10.1.2.3", "1.2.3"),
            ("10.1.2.3", ".2.3"),
            ("10.1.2.3", "::/0"),
            ("10.1.2.3", "::ffff:10.1.2.3"),
            ("10.1.2.3", "10.1.2.3:443"),
            ("10.example.com", "10.0.0.0/8"),
            ("[fd00::1]", "fd00::2"),
            ("[fd00::1]", "fe00::/7"),
            ("[fd00::1]", "fd00::/129"),
            ("[fd00::1]", "[fd00::1]"),
            ("[fd00::1]", "0.0.0.0/0"),
        ];
        for (host, list) in not {
            assert!(!is_exempt(host, list), "{host} in {list:?}");
        }
    }
}
