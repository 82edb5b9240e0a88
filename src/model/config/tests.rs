//! A table for each variable and each rule of the configuration.

use std::collections::HashMap;
use std::ffi::OsString;

use super::environment::{Mode, mode_of};
use super::*;
use crate::model::error::StartError;

const KEY: &str = "tml-canary-5f1e";

/// A base URL that can be used without the feature `tls` too, as the default one cannot.
const LOCAL: &str = "http://localhost";

fn environment<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    move |name| variables.get(name).map(OsString::from)
}

/// The environment of a process that has none, so that these tests pass behind any proxy.
fn nothing(_: &str) -> Option<OsString> {
    None
}

fn header(variables: &[(&str, &str)], name: &str) -> Option<String> {
    let config = Config::from_variables(environment(variables)).base_url(LOCAL);
    let endpoint = config.validate_in(nothing).ok()?;
    endpoint.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn uri_of(config: &Config) -> Result<String, String> {
    config.validate_in(nothing).map(|endpoint| endpoint.uri.to_string()).map_err(|error| error.to_string())
}

#[test]
fn tinker_api_key_is_trimmed_and_has_no_default() {
    assert_eq!(header(&[("TINKER_API_KEY", " tml-1\n")], "x-api-key").unwrap(), "tml-1");
    for unset in [&[][..], &[("TINKER_API_KEY", "")], &[("TINKER_API_KEY", "  ")]] {
        let error = Config::from_variables(environment(unset)).validate_in(nothing).err().unwrap();
        assert!(matches!(error, StartError::MissingApiKey));
        assert!(error.to_string().contains("TINKER_API_KEY"));
    }
}

#[test]
fn tinker_base_url_is_the_backend_unless_set() {
    let uri = |url| {
        uri_of(&Config::from_variables(environment(&[("TINKER_API_KEY", KEY), ("TINKER_BASE_URL", url)])))
    };
    let default = "https://tinker.thinkingmachines.dev/services/tinker-prod/api/v1/telemetry";
    if cfg!(feature = "tls") {
        assert_eq!(uri("").unwrap(), default);
    } else {
        let error = uri("").unwrap_err();
        assert!(error.contains("base_url") && error.contains("`tls`"), "{error}");
    }
    assert_eq!(uri(" http://localhost:1/x/ ").unwrap(), "http://localhost:1/x/api/v1/telemetry");
}

#[test]
fn every_variable_is_read_without_quotes_around_it() {
    let table = [
        (r#""tml-1""#, Some("tml-1")),
        ("'tml-1'", Some("tml-1")),
        (r#" " tml-1 " "#, Some("tml-1")),
        (r#"""#, Some(r#"""#)),
        (r#""tml-1"#, Some(r#""tml-1"#)),
        (r#""tml-1'"#, Some(r#""tml-1'"#)),
        (r#""'tml-1'""#, Some("'tml-1'")),
        (r#""""#, None),
        ("' '", None),
    ];
    for (value, read) in table {
        let key = header(&[("TINKER_API_KEY", value)], "x-api-key");
        assert_eq!(key.as_deref(), read, "{value}");
    }
    let quoted = [
        ("TINKER_API_KEY", "'tml-1'"),
        ("TINKER_BASE_URL", r#""http://tinker.example""#),
        ("CLOUDFLARE_ACCESS_CLIENT_ID", "'id'"),
        ("CLOUDFLARE_ACCESS_CLIENT_SECRET", "'hush'"),
        ("http_proxy", r#""a:1""#),
        ("NO_PROXY", "'x.org'"),
    ];
    let config = Config::from_variables(environment(&quoted)).allow_insecure_http(true);
    let endpoint = config.validate_in(environment(&quoted)).unwrap();
    assert_eq!(endpoint.uri, "http://tinker.example/api/v1/telemetry");
    assert_eq!(endpoint.headers["cf-access-client-secret"], "hush");
    assert_eq!(endpoint.proxy.unwrap().url(), "http://a:1");
    assert_eq!(mode_of(environment(&[("TINKER_TELEMETRY", r#""off""#)])), Mode::Off);
    assert_eq!(mode_of(environment(&[("DO_NOT_TRACK", "'1'")])), Mode::Off);
}

#[test]
fn cloudflare_access_needs_both_halves() {
    let (id, secret) =
        (("CLOUDFLARE_ACCESS_CLIENT_ID", "id.access"), ("CLOUDFLARE_ACCESS_CLIENT_SECRET", "hush"));
    let key = ("TINKER_API_KEY", KEY);
    assert_eq!(header(&[key, id, secret], "CF-Access-Client-Id").unwrap(), "id.access");
    assert_eq!(header(&[key, id, secret], "CF-Access-Client-Secret").unwrap(), "hush");
    assert_eq!(header(&[key], "CF-Access-Client-Id"), None);
    for half in [id, secret] {
        let error = Config::from_variables(environment(&[key, half])).validate_in(nothing).err().unwrap();
        assert!(error.to_string().contains("cloudflare_access"), "{error}");
    }
}

#[test]
fn tinker_telemetry_is_on_unless_it_clearly_or_unclearly_says_otherwise() {
    let mode = |value| mode_of(environment(&[("TINKER_TELEMETRY", value)]));
    for on in ["", "1", "true", "yes", "on", " TRUE ", "Yes", "oN\t"] {
        assert_eq!(mode(on), Mode::Send, "{on:?}");
    }
    for off in ["0", "false", "no", "off", " False", "NO", "2", "maybe", "ture", "-1", "\u{fffd}"] {
        assert_eq!(mode(off), Mode::Off, "{off:?}");
    }
    for print in ["print", " PRINT "] {
        assert_eq!(mode(print), Mode::Print, "{print:?}");
    }
    assert_eq!(mode_of(environment(&[])), Mode::Send);
}

#[test]
fn do_not_track_switches_off_what_would_be_sent_and_leaves_what_is_printed() {
    let mode =
        |value, telemetry| mode_of(environment(&[("DO_NOT_TRACK", value), ("TINKER_TELEMETRY", telemetry)]));
    for asked in ["1", " 1 ", "true", "YES", "on", "please"] {
        assert_eq!(mode(asked, "on"), Mode::Off, "{asked:?}");
        assert_eq!(mode(asked, "print"), Mode::Print, "{asked:?}");
    }
    for not_asked in ["", " ", "0", "false", "No", "off"] {
        assert_eq!(mode(not_asked, "on"), Mode::Send, "{not_asked:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_named_by_validation() {
    use std::os::unix::ffi::OsStringExt;
    let config = Config::from_variables(|name| {
        (name == "TINKER_API_KEY").then(|| OsString::from_vec(vec![b't', b'm', 0xff]))
    });
    assert!(matches!(config.validate_in(nothing), Err(StartError::InvalidApiKey)));
}

#[test]
fn a_key_that_cannot_stand_in_a_header_is_refused() {
    for key in ["with\nbreak", "with\0nul", "ünïcode", "tab\there", " padded", "padded ", "del\x7f"] {
        assert!(matches!(Config::new(key).validate_in(nothing), Err(StartError::InvalidApiKey)), "{key:?}");
    }
}

#[test]
fn http_is_for_loopback_unless_it_is_allowed() {
    let local = ["localhost", "LOCALHOST:80", "127.0.0.1:1", "127.8.9.10", "[::1]:9"];
    let elsewhere =
        ["example.com", "10.0.0.1", "127.0.0.1.example.com", "localhost.example.com", "[::2]", "0.0.0.0"];
    for host in local {
        assert!(uri_of(&Config::new(KEY).base_url(format!("http://{host}/"))).is_ok(), "{host}");
    }
    for host in elsewhere {
        let config = Config::new(KEY).base_url(format!("http://{host}"));
        assert!(matches!(config.validate_in(nothing), Err(StartError::InsecureBaseUrl { .. })), "{host}");
        assert!(uri_of(&config.allow_insecure_http(true)).is_ok(), "{host}");
    }
}

#[test]
fn a_base_url_that_cannot_be_used_is_refused_without_being_shown() {
    let bad = [
        "",
        "/",
        "tinker",
        "//host",
        "http://",
        "https://",
        "ftp://host",
        "file:///etc/passwd",
        "http:/host",
        "http://user:canary@localhost",
        "http://canary@localhost",
        "http://localhost?canary=1",
        "http://localhost/#canary",
        "http://local host",
        "http://localhost:",
        "http://localhost:0",
        "http://localhost:+1",
        "http://localhost:99999",
        "http://[::1",
        "http://1[]",
        "http://a]b",
        "http://[::1]8080",
        "http://[::1]x:80",
        "http://[]",
        "http://[localhost]",
        "http://[127.0.0.1]",
        "http://[fe80::1%25eth0]", // a zone, which the lookup does not know
        "http://ho\nst",
        "http://höst.example",
        " http://localhost",
        "localhost:8080",
        "http://localhost/api/v1/telemetry",
        "http://localhost/api/v1/telemetry/",
    ];
    for url in bad {
        let error = uri_of(&Config::new(KEY).base_url(url).allow_insecure_http(true)).unwrap_err();
        assert!(error.contains("base_url") && !error.contains("canary"), "{url:?}: {error}");
    }
}

#[test]
fn headers_are_added_unless_they_are_ours_or_cannot_be_sent() {
    let config = Config::new(KEY).base_url(LOCAL).header("X-Team", "a").header("x-team", "b");
    let endpoint = config.validate_in(nothing).unwrap();
    assert_eq!(endpoint.headers.get_all("x-team").iter().count(), 2);
    let bad = [
        ("x-api-key", "v"),
        ("Content-Length", "v"),
        ("X-Stainless-OS", "v"),
        ("Host", "v"),
        ("x-idempotency-key", "v"),
        ("", "v"),
        ("na me", "v"),
        ("näme", "v"),
        ("x\r\ny", "v"),
        ("x-ok", ""),
        ("x-ok", "canary\r\nx: y"),
        ("x-ok", "canäry"),
    ];
    for (name, value) in bad {
        let error =
            Config::new(KEY).header("x-fine", "v").header(name, value).validate_in(nothing).err().unwrap();
        assert!(matches!(error, StartError::InvalidHeader { place: 2, .. }), "{name:?}");
        assert!(!error.to_string().contains("canary") && !error.to_string().contains("canäry"), "{error}");
    }
}

#[test]
fn more_headers_than_a_request_can_carry_are_refused() {
    let filled = Config::new(KEY).base_url(LOCAL).header("x-large", "y".repeat(16 * 1024 - "x-large".len()));
    assert!(filled.validate_in(nothing).is_ok());
    let error = filled.header("x", "y").validate_in(nothing).err().unwrap();
    assert!(matches!(error, StartError::InvalidHeader { place: 2, .. }), "{error}");
}

#[test]
fn no_secret_is_in_any_debug() {
    let config = Config::new(KEY)
        .base_url(format!("https://user:{KEY}@localhost/?{KEY}"))
        .header("x-secret", KEY)
        .cloudflare_access(KEY, KEY)
        .proxy(format!("http://{KEY}:{KEY}@proxy:3128"));
    assert!(!format!("{config:?} {config:#?}").contains(KEY));
    assert!(format!("{config:?}").contains("proxy:3128"));
    let unusable = config.clone().proxy(format!("socks6://{KEY}"));
    assert!(!format!("{unusable:?}").contains(KEY));
    let endpoint = config.base_url("http://localhost").validate_in(nothing).unwrap();
    assert!(!format!("{:?} {:?}", endpoint.headers, endpoint.uri).contains(KEY));
}

/// The proxy that a request goes through: its URL, empty where there is none, or what is wrong.
fn proxy_of(config: Config, variables: &[(&str, &str)]) -> Result<String, String> {
    let endpoint = config.allow_insecure_http(true).validate_in(environment(variables));
    let proxy = endpoint.map_err(|error| error.to_string())?.proxy;
    Ok(proxy.map(|proxy| proxy.url().to_owned()).unwrap_or_default())
}

#[cfg(feature = "tls")]
#[test]
fn proxies_come_from_the_environment_as_curl_reads_them() {
    /// A scheme, the variables, the proxy.
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

    let table: [Case; 14] = [
        ("https", &[], ""),
        ("https", &[("HTTPS_PROXY", "a:1")], "http://a:1"),
        ("https", &[("HTTPS_PROXY", " a:1\n")], "http://a:1"),
        ("https", &[("HTTPS_PROXY", "a:1"), ("https_proxy", "b:1")], "http://b:1"),
        ("https", &[("HTTPS_PROXY", "a:1"), ("all_proxy", "b:1")], "http://a:1"),
        ("https", &[("ALL_PROXY", "a:1"), ("all_proxy", "b:1")], "http://b:1"),
        ("https", &[("ALL_PROXY", "a:1"), ("https_proxy", "")], "http://a:1"),
        ("https", &[("http_proxy", "a:1"), ("HTTP_PROXY", "a:1")], ""),
        ("http", &[("http_proxy", "a:1"), ("all_proxy", "b:1")], "http://a:1"),
        ("http", &[("HTTP_PROXY", "a:1"), ("HTTPS_PROXY", "a:1"), ("https_proxy", "a:1")], ""),
        ("http", &[("ALL_PROXY", "a:1")], "http://a:1"),
        ("https", &[("HTTPS_PROXY", "a:1"), ("NO_PROXY", "x.org, example")], ""),
        ("https", &[("HTTPS_PROXY", "a:1"), ("NO_PROXY", "example"), ("no_proxy", "x.org")], "http://a:1"),
        ("https", &[("HTTPS_PROXY", "a:1"), ("NO_PROXY", "*"), ("no_proxy", " ")], ""),
    ];
    for (scheme, variables, proxy) in table {
        let target = format!("{scheme}://tinker.example");
        let new = Config::new(KEY).base_url(&target);
        assert_eq!(proxy_of(new, variables).unwrap(), proxy, "{scheme} {variables:?}");
        let read =
            Config::from_variables(environment(&[("TINKER_API_KEY", KEY), ("TINKER_BASE_URL", &target)]));
        assert_eq!(proxy_of(read, variables).unwrap(), proxy, "{scheme} {variables:?}");
    }
}

#[test]
fn a_setter_beats_its_variable_and_only_that() {
    let variables =
        [("ALL_PROXY", "env:1"), ("HTTPS_PROXY", "env:1"), ("http_proxy", "env:1"), ("NO_PROXY", "example")];
    let config = Config::new(KEY).base_url("http://tinker.example");
    let set = config.clone().proxy("set:1");
    assert_eq!(
        proxy_of(set.clone(), &variables).unwrap(),
        "",
        "the variable's exceptions are for the set proxy too"
    );
    assert_eq!(proxy_of(set.clone().no_proxy(""), &variables).unwrap(), "http://set:1");
    assert_eq!(proxy_of(set.no_proxy("*"), &[]).unwrap(), "");
    assert_eq!(proxy_of(config.clone().no_proxy("x.org"), &variables).unwrap(), "http://env:1");
    assert_eq!(proxy_of(config.no_proxy("*"), &variables).unwrap(), "");
}

#[test]
fn loopback_is_always_reached_directly() {
    let variables = [("ALL_PROXY", "a:1"), ("http_proxy", "a:1")];
    for host in ["localhost", "LocalHost:80", "127.0.0.1:1", "127.8.9.10", "[::1]:9"] {
        let config = Config::new(KEY).base_url(format!("http://{host}")).no_proxy("");
        assert_eq!(proxy_of(config.clone(), &variables).unwrap(), "", "{host}");
        assert_eq!(proxy_of(config.proxy("set:1"), &variables).unwrap(), "", "{host}");
    }
    let config = Config::new(KEY).base_url("http://127.0.0.1.example");
    assert_eq!(proxy_of(config, &variables).unwrap(), "http://a:1");
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_where_it_would_be_used() {
    let config = Config::new(KEY).base_url("http://tinker.example");
    let bad = "socks6://me:canary@proxy";
    for name in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let error = proxy_of(config.clone(), &[(name, bad)]).unwrap_err();
        assert!(error.contains(&format!("({name})")) && !error.contains("canary"), "{error}");
        assert_eq!(proxy_of(config.clone().no_proxy("example"), &[(name, bad)]).unwrap(), "");
        assert_eq!(proxy_of(config.clone().base_url("http://localhost"), &[(name, bad)]).unwrap(), "");
    }
    for config in [config.clone(), config.clone().no_proxy("*"), config.base_url("http://localhost")] {
        let error = proxy_of(config.proxy(bad), &[]).unwrap_err();
        assert!(
            error.contains("(proxy)") && !error.contains("canary"),
            "a setter is checked always: {error}"
        );
    }
}
