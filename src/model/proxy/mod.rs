//! The proxy on the way to the endpoint, read as curl reads it. Pure: the values of variables come in as text.

use std::net::{IpAddr, Ipv6Addr};

use http::uri::Uri;

use crate::model::error::StartError;

/// The variables that name a proxy for an `https://` endpoint. The first that is set wins. Lower case comes first, as in
/// curl.
pub(crate) const FOR_HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// The same for `http://`. `HTTP_PROXY` is not among them: under CGI it holds a request's `Proxy` header.
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

/// The setter of [`Config`](crate::Config), where an `origin` is not a variable.
pub(crate) const SETTER: &str = "proxy";

impl Proxy {
    /// Reads a proxy's URL; `origin` is the setter or the variable that it came from.
    ///
    /// As curl: without a scheme it is `http://`, without a port 1080, or 443 for `https://`. Unlike curl, which
    /// ignores a path, a URL with one is refused: it is likely to be the rest of a password with a `/` in it. `socks://` is
    /// SOCKS 5, which desktops mean by it; curl takes it for SOCKS 4.
    pub(crate) fn parse(origin: &'static str, url: &str) -> Result<Self, StartError> {
        let invalid = |reason| StartError::InvalidProxy { origin, reason };
        if url.is_empty() {
            return Err(invalid("is empty"));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" | "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => 1080,
            "https" if cfg!(feature = "tls") => 443,
            "https" => return Err(invalid("is https, and this program was built without the feature `tls`")),
            _ => {
                return Err(invalid(
                    "is neither http://, https:// nor socks4://, socks4a://, socks5://, socks5h://",
                ));
            }
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
        if credentials.is_some() && scheme.starts_with("socks4") {
            return Err(invalid("has a user name, which SOCKS 4 has no place for"));
        }
        let credentials = credentials.map(|user| format!("{user}@")).unwrap_or_default();
        Ok(Self { origin, url: format!("{scheme}://{credentials}{place}"), place })
    }

    /// The whole URL, with its secrets.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port, for a log line.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The error if the HTTP client does not take what was checked here.
    pub(crate) fn refused(&self) -> StartError {
        StartError::InvalidProxy { origin: self.origin, reason: "is not a URL that can be used" }
    }
}

/// What is wrong with the host of a text that is a URL otherwise.
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
/// one with `/bits` every address of that network. `*` matches everything. Nothing else has a meaning, as in curl: no
/// ports, no `*.example.com`.
pub(crate) fn is_exempt(host: &str, list: &str) -> bool {
    let address = parse_address(host);
    let mut entries = list.split([',', ' ', '\t', '\r', '\n']).filter(|entry| !entry.is_empty());
    entries.any(|entry| match (entry, address) {
        ("*", _) => true,
        (entry, Some(address)) => is_in_network(address, entry),
        (entry, None) => is_in_domain(host, entry),
    })
}

/// The IP address that a URL's host is. `None` if it is a name.
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
mod tests;
