//! A table for each variable and each rule of the configuration.

use std::collections::HashMap;

use super::*;

const KEY: &str = "tml-canary-5f1e";

fn environment<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    move |name| variables.get(name).map(OsString::from)
}

fn header(variables: &[(&str, &str)], name: &str) -> Option<String> {
    let endpoint = Config::from_variables(environment(variables)).validate().unwrap();
    endpoint.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn uri_of(config: &Config) -> Result<String, String> {
    config.validate().map(|endpoint| endpoint.uri.to_string()).map_err(|error| error.to_string())
}

#[test]
fn tinker_api_key_is_trimmed_and_has_no_default() {
    assert_eq!(header(&[("TINKER_API_KEY", " tml-1\n")], "x-api-key").unwrap(), "tml-1");
    for unset in [&[][..], &[("TINKER_API_KEY", "")], &[("TINKER_API_KEY", "  ")]] {
        let error = Config::from_variables(environment(unset)).validate().err().unwrap();
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
    assert_eq!(uri("").unwrap(), default);
    assert_eq!(uri(" http://localhost:1/x/ ").unwrap(), "http://localhost:1/x/api/v1/telemetry");
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
        let error = Config::from_variables(environment(&[key, half])).validate().err().unwrap();
        assert!(error.to_string().contains("cloudflare_access"), "{error}");
    }
}

#[test]
fn tinker_telemetry_is_on_unless_it_clearly_or_unclearly_says_otherwise() {
    let wanted = |value| wanted_by(environment(&[("TINKER_TELEMETRY", value)]));
    for on in ["", "1", "true", "yes", "on", " TRUE ", "Yes", "oN\t"] {
        assert!(wanted(on), "{on:?}");
    }
    for off in ["0", "false", "no", "off", " False", "NO", "2", "maybe", "ture", "-1", "\u{fffd}"] {
        assert!(!wanted(off), "{off:?}");
    }
    assert!(wanted_by(environment(&[])));
}

#[test]
fn do_not_track_switches_off_whatever_tinker_telemetry_says() {
    for (value, expected) in [("1", false), (" 1 ", false), ("0", true), ("", true), ("true", true)] {
        let variables = [("DO_NOT_TRACK", value), ("TINKER_TELEMETRY", "on")];
        assert_eq!(wanted_by(environment(&variables)), expected, "{value:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_named_by_validation() {
    use std::os::unix::ffi::OsStringExt;
    let config = Config::from_variables(|name| {
        (name == "TINKER_API_KEY").then(|| OsString::from_vec(vec![b't', b'm', 0xff]))
    });
    assert!(matches!(config.validate(), Err(StartError::InvalidApiKey)));
}

#[test]
fn a_key_that_cannot_stand_in_a_header_is_refused() {
    for key in ["with\nbreak", "with\0nul", "ünïcode", "tab\there", " padded", "padded ", "del\x7f"] {
        assert!(matches!(Config::new(key).validate(), Err(StartError::InvalidApiKey)), "{key:?}");
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
        assert!(matches!(config.validate(), Err(StartError::InsecureBaseUrl { .. })), "{host}");
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
        "http://localhost:99999",
        "http://[::1",
        "http://ho\nst",
        "http://höst.example",
    ];
    for url in bad {
        let error = uri_of(&Config::new(KEY).base_url(url).allow_insecure_http(true)).unwrap_err();
        assert!(error.contains("base_url") && !error.contains("canary"), "{url:?}: {error}");
    }
}

#[test]
fn headers_are_added_unless_they_are_ours_or_cannot_be_sent() {
    let endpoint = Config::new(KEY).header("X-Team", "a").header("x-team", "b").validate().unwrap();
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
        let error = Config::new(KEY).header("x-fine", "v").header(name, value).validate().err().unwrap();
        assert!(matches!(error, StartError::InvalidHeader { place: 2, .. }), "{name:?}");
        assert!(!error.to_string().contains("canary") && !error.to_string().contains("canäry"), "{error}");
    }
}

#[test]
fn no_secret_is_in_any_debug() {
    let config = Config::new(KEY)
        .base_url(format!("https://user:{KEY}@localhost/?{KEY}"))
        .header("x-secret", KEY)
        .cloudflare_access(KEY, KEY);
    assert!(!format!("{config:?} {config:#?}").contains(KEY));
    let endpoint = config.base_url("http://localhost").validate().unwrap();
    assert!(!format!("{:?} {:?}", endpoint.headers, endpoint.uri).contains(KEY));
}
