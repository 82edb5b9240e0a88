//! The base URL. An accepted URL is a valid endpoint of telemetry, and the error of a refused one shows no secret.

#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tinker_telemetry::Config;
use tinker_telemetry::internals::endpoint;

/// Part of user info and queries. No other part of an input makes this text.
const CANARY: &str = "c4n4ry";
const PATH: &str = "/api/v1/telemetry";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    allow_insecure_http: bool,
    url: Url<'a>,
}

#[derive(Arbitrary, Debug)]
enum Url<'a> {
    Raw(&'a str),
    Built {
        scheme: u8,
        user: Option<&'a str>,
        host: Host<'a>,
        port: Port<'a>,
        path: &'a str,
        query: Option<Query<'a>>,
    },
}

#[derive(Arbitrary, Debug)]
enum Host<'a> {
    Known(u8),
    V4([u8; 4]),
    V6([u16; 8]),
    Raw(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Port<'a> {
    None,
    Number(u32),
    Raw(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Query<'a> {
    Query(&'a str),
    Fragment(&'a str),
}

const SCHEMES: [&str; 10] =
    ["http://", "https://", "HTTP://", "hTTps://", "ftp://", "//", "", "http:/", "http:", "http:///"];
const HOSTS: [&str; 10] = [
    "localhost",
    "LocalHost",
    "localhost.",
    "tinker.example",
    "127.0.0.1.example",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "127.1",
    "0x7f000001",
    "",
];

impl Url<'_> {
    fn text(&self) -> String {
        let Self::Built { scheme, user, host, port, path, query } = self else {
            let Self::Raw(text) = self else { unreachable!() };
            return (*text).to_owned();
        };
        let mut url = SCHEMES[usize::from(*scheme) % SCHEMES.len()].to_owned();
        if let Some(user) = user {
            // After a slash it would be part of the path.
            url += &format!("{}{CANARY}@", user.replace('/', ":"));
        }
        url += &match host {
            Host::Known(which) => HOSTS[usize::from(*which) % HOSTS.len()].to_owned(),
            Host::V4(bytes) => Ipv4Addr::from(*bytes).to_string(),
            Host::V6(parts) => format!("[{}]", Ipv6Addr::from(*parts)),
            Host::Raw(text) => (*text).to_owned(),
        };
        match port {
            Port::None => {}
            Port::Number(port) => url += &format!(":{port}"),
            Port::Raw(text) => url += &format!(":{text}"),
        }
        url += path;
        match query {
            None => {}
            Some(Query::Query(text)) => url += &format!("?{text}{CANARY}"),
            Some(Query::Fragment(text)) => url += &format!("#{text}{CANARY}"),
        }
        url
    }

    /// How often [`text`](Self::text) puts the canary where a secret may be.
    fn secrets(&self) -> usize {
        match self {
            Self::Built { user, query, .. } => usize::from(user.is_some()) + usize::from(query.is_some()),
            Self::Raw(_) => 0,
        }
    }
}

/// Whether the host is this machine for certain, by its text alone.
fn is_this_machine(host: &str) -> bool {
    let v4 = |part: &str| part.parse::<u8>().is_ok_and(|number| number.to_string() == part);
    host.eq_ignore_ascii_case("localhost")
        || host
            .strip_prefix("127.")
            .is_some_and(|rest| rest.split('.').count() == 3 && rest.split('.').all(v4))
        || host.strip_prefix('[').and_then(|host| host.strip_suffix(']')?.parse().ok())
            == Some(Ipv6Addr::LOCALHOST)
}

fn assert_is_valid_endpoint(endpoint: &str, base: &str, allow_insecure_http: bool) {
    let (scheme, rest) = endpoint.split_once("://").expect("a scheme");
    let (authority, path) = rest.split_at(rest.find('/').expect("a path"));
    let (host, port) = match authority
        .rfind(']')
        .map_or(authority.find(':'), |end| authority[end..].find(':').map(|at| end + at))
    {
        Some(colon) => (&authority[..colon], Some(&authority[colon + 1..])),
        None => (authority, None),
    };
    assert!(scheme == "http" || scheme == "https");
    assert!(!host.is_empty());
    assert!(!authority.contains('@'));
    assert!(endpoint.bytes().all(|byte| byte > b' ' && byte != 0x7f && !b"?#".contains(&byte)));
    assert!(path.ends_with(PATH));
    match host.strip_prefix('[') {
        Some(address) => {
            assert!(address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()))
        }
        None => assert!(!host.contains(['[', ']', ':'])),
    }
    if let Some(port) = port {
        assert!(
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        );
    }
    assert!(scheme == "https" || allow_insecure_http || is_this_machine(host));
    // The endpoint is the base URL and the path, with no other change.
    let (given, rest_given) = base.trim_end_matches('/').split_once("://").expect("a scheme");
    assert!(given.eq_ignore_ascii_case(scheme));
    assert_eq!(rest, format!("{rest_given}{PATH}"));
}

fuzz_target!(|input: Input<'_>| {
    let base = input.url.text();
    if base.matches(CANARY).count() > input.url.secrets() {
        return; // the fuzzer has found the word in a comparison, and put it where it is no secret
    }
    let config = Config::new("tml-1").base_url(&base).allow_insecure_http(input.allow_insecure_http);
    let read = endpoint(&config);
    let shown = format!("{config:?} {config:#?} {read:?}");
    match &read {
        Ok(endpoint) => assert_is_valid_endpoint(endpoint, &base, input.allow_insecure_http),
        Err(error) => assert!(!error.to_string().contains(CANARY), "{error}"),
    }
    if matches!(input.url, Url::Built { user: Some(_), .. } | Url::Built { query: Some(_), .. }) {
        assert!(read.is_err(), "{base:?} was accepted");
        assert!(!shown.contains(CANARY), "{shown}");
    }
});
