//! A table for each variable of OpenTelemetry and each rule of an OTLP endpoint.

use std::collections::HashMap;
use std::ffi::OsString;

use super::*;
use crate::model::config::Protocol;

const CANARY: &str = "canary-3d0c";

fn environment<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    move |name| variables.get(name).map(OsString::from)
}

fn of(variables: &[(&str, &str)]) -> Config {
    Config::otlp_from_variables(environment(variables))
}

fn uri_of(config: &Config) -> Result<String, String> {
    let endpoint = config.validate_in(|_| None);
    endpoint.map(|endpoint| endpoint.uri.to_string()).map_err(|error| error.to_string())
}

fn resource_of(config: &Config) -> Vec<(String, String)> {
    let Protocol::Otlp { resource } = config.validate_in(|_| None).unwrap().protocol else {
        panic!("another protocol")
    };
    resource
}

fn header_of(config: &Config, name: &str) -> Option<String> {
    let endpoint = config.validate_in(|_| None).unwrap();
    endpoint.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The warnings. None of them has the value.
fn warnings_of(variables: &[(&str, &str)]) -> Vec<String> {
    let warnings = of(variables).validate_in(|_| None).unwrap().warnings;
    assert!(warnings.iter().all(|warning| !warning.contains(CANARY)), "{warnings:?}");
    warnings
}

#[test]
fn an_endpoint_gets_the_path_of_logs_and_needs_no_key() {
    let table = [
        ("http://localhost:4318", "http://localhost:4318/v1/logs"),
        ("http://localhost:4318/", "http://localhost:4318/v1/logs"),
        ("http://localhost/my/collector/", "http://localhost/my/collector/v1/logs"),
    ];
    for (endpoint, uri) in table {
        assert_eq!(uri_of(&Config::otlp(endpoint)).unwrap(), uri);
        assert_eq!(uri_of(&of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])).unwrap(), uri);
    }
    assert_eq!(uri_of(&of(&[])).unwrap(), "http://localhost:4318/v1/logs");
}

#[test]
fn the_endpoint_of_logs_wins_and_is_used_as_it_is() {
    let table = [
        ("http://localhost:4318", "http://localhost:4318/"),
        ("http://localhost/my/collector/", "http://localhost/my/collector/"),
        ("http://localhost/v1/logs", "http://localhost/v1/logs"),
    ];
    for (endpoint, uri) in table {
        let variables = [
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1"),
        ];
        assert_eq!(uri_of(&of(&variables)).unwrap(), uri);
        let set = of(&variables).base_url("http://localhost:2/");
        assert_eq!(uri_of(&set).unwrap(), "http://localhost:2/v1/logs", "the program's own");
    }
}

#[test]
fn an_endpoint_that_cannot_be_used_is_refused_without_being_shown() {
    let bad = [
        "",
        "localhost:4318",
        "grpc://localhost:4317",
        "http://localhost/?key=canary-3d0c",
        "http://localhost/#canary-3d0c",
        "http://canary-3d0c@localhost",
        "http://localhost/v1/logs",
    ];
    for endpoint in bad {
        let error = Config::otlp(endpoint).validate_in(|_| None).err().unwrap();
        assert!(matches!(error, StartError::InvalidOtlpEndpoint { .. }), "{endpoint}: {error}");
        let text = format!("{error} {error:?} {:?}", Config::otlp(endpoint));
        assert!(text.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !text.contains(CANARY), "{text}");
    }
    let query = of(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://localhost/v1/logs?key=canary-3d0c")]);
    assert!(uri_of(&query).unwrap_err().contains("has a query"));
}

#[test]
fn http_is_for_loopback_unless_it_is_allowed() {
    let config = Config::otlp("http://collector:4318");
    let error = config.validate_in(|_| None).err().unwrap();
    assert!(matches!(&error, StartError::InsecureOtlpEndpoint { host } if host == "collector"), "{error}");
    assert!(uri_of(&config.allow_insecure_http(true)).is_ok());
}

#[test]
fn an_api_key_has_no_place_in_otlp() {
    let config = Config::otlp("http://localhost");
    for (config, setting) in
        [(config.clone().api_key(CANARY), "api_key"), (config.clone().credentials(|| None), "credentials")]
    {
        let error = config.validate_in(|_| None).err().unwrap().to_string();
        assert!(error.starts_with(setting) && !error.contains(CANARY), "{error}");
    }
    let own = config.header("x-api-key", "of another kind").header("authorization", "Bearer a");
    assert_eq!(header_of(&own, "x-api-key").unwrap(), "of another kind");
    assert!(own.clone().header("content-type", "v").validate_in(|_| None).is_err());
    assert!(own.header("content-encoding", "v").validate_in(|_| None).is_err());
}

#[test]
fn headers_are_a_percent_encoded_list() {
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YTpi==, x-team = a%2Cb ,,")];
    let config = of(&headers);
    assert_eq!(header_of(&config, "authorization").unwrap(), "Basic YTpi==");
    assert_eq!(header_of(&config, "x-team").unwrap(), "a,b");
    let of_logs = [headers[0], ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-team=logs")];
    assert_eq!(header_of(&of(&of_logs), "x-team").unwrap(), "logs");
    assert_eq!(header_of(&of(&of_logs), "authorization"), None, "the form for logs replaces the other");
}

#[test]
fn a_list_with_a_fault_is_ignored_with_one_warning_that_names_the_variable() {
    let faults = [
        "a=canary-3d0c,canary-3d0c",
        "=canary-3d0c",
        "a=canary-3d0c%2",
        "a=canary-3d0c%zz",
        "a=canary-3d0c%",
        "a=canary-3d0c%ff",
    ];
    for name in ["OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"]
    {
        for fault in faults {
            let [warning] = &warnings_of(&[(name, fault)])[..] else { panic!("{name}: {fault}") };
            assert!(warning.starts_with(&format!("telemetry does without {name}: it ")), "{warning}");
            let config = of(&[(name, fault)]);
            assert_eq!((resource_of(&config), header_of(&config, "a")), (Vec::new(), None));
        }
    }
    for unsendable in ["na me=canary-3d0c", "a=canary-3d0c%0d%0ab:c", "a=", "content-type=canary-3d0c"] {
        let variables = [("OTEL_EXPORTER_OTLP_HEADERS", unsendable)];
        assert!(warnings_of(&variables)[0].contains("a header that cannot be sent"), "{unsendable}");
    }
    let large = format!("x={}", "y".repeat(16 * 1024));
    assert!(warnings_of(&[("OTEL_EXPORTER_OTLP_HEADERS", &large)])[0].contains("16 KiB"));
}

#[test]
fn a_form_for_logs_with_a_fault_leaves_the_other_form() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-team"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=all"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
    ];
    let config = of(&variables);
    assert_eq!(header_of(&config, "x-team").unwrap(), "all");
    assert_eq!(config.timeout(), Some(Duration::from_millis(1500)));
    assert_eq!(warnings_of(&variables).len(), 2);
}

#[test]
fn a_timeout_is_a_number_of_milliseconds_and_none_has_no_limit() {
    let timeout = |text| of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", text)]).timeout();
    assert_eq!(timeout("250"), Some(Duration::from_millis(250)));
    assert_eq!(timeout("0"), Some(Duration::from_secs(24 * 60 * 60)));
    assert_eq!(timeout(""), None);
    for unreadable in ["-1", "1.5", "10s", "canary-3d0c"] {
        assert_eq!(timeout(unreadable), None);
        let [warning] = &warnings_of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", unreadable)])[..] else { panic!() };
        assert!(warning.contains("OTEL_EXPORTER_OTLP_TIMEOUT"), "{warning}");
    }
}

#[test]
fn resource_attributes_are_a_list_and_the_service_name_and_the_program_win() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed,team%3Dkey=a%2Cb%C3%A9,empty=");
    let listed = [("service.name", "listed"), ("team=key", "a,b\u{e9}"), ("empty", "")];
    assert_eq!(resource_of(&of(&[attributes])), pairs(&listed));
    let named = of(&[attributes, ("OTEL_SERVICE_NAME", "named")]);
    let expected = [listed[1], listed[2], ("service.name", "named")];
    assert_eq!(resource_of(&named), pairs(&expected));
    let set = named.resource("service.name", "first").resource("service.name", "set");
    assert_eq!(resource_of(&set)[2].1, "set");
    assert_eq!(resource_of(&set).len(), 3);
}

#[test]
fn attributes_that_would_fill_every_request_are_a_warning() {
    let long = format!("a={}", "v".repeat(1024 * 1024));
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", long.as_str())];
    assert!(warnings_of(&variables)[0].contains("more than 8 KiB"));
    assert_eq!(resource_of(&of(&variables)), []);
}

#[test]
fn a_resource_that_cannot_be_sent_is_refused() {
    let refused = [
        Config::otlp("http://localhost").resource("", "value"),
        Config::otlp("http://localhost").resource("key", "v".repeat(16 * 1024)),
        Config::new("tml-1").base_url("http://localhost").resource("service.name", "trainer"),
    ];
    for config in refused {
        let error = config.validate_in(|_| None).err().unwrap();
        assert!(matches!(error, StartError::InvalidSetting { setting: "resource", .. }), "{error}");
    }
}

#[test]
fn the_sdk_is_disabled_by_true_alone() {
    for (text, is_disabled, has_warning) in [
        ("true", true, false),
        (" TRUE ", true, false),
        ("false", false, false),
        ("", false, false),
        ("1", false, true),
        ("yes", false, true),
    ] {
        let variables = [("OTEL_SDK_DISABLED", text)];
        assert_eq!(of(&variables).is_disabled(), is_disabled, "{text}");
        assert_eq!(!warnings_of(&variables).is_empty(), has_warning, "{text}");
    }
    assert!(!Config::otlp("http://localhost").is_disabled());
}

#[test]
fn another_protocol_is_a_warning() {
    for protocol in ["grpc", "http/json", "canary-3d0c"] {
        let warnings = warnings_of(&[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        assert!(warnings[0].contains("OTEL_EXPORTER_OTLP_PROTOCOL"), "{warnings:?}");
    }
    assert!(warnings_of(&[("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf")]).is_empty());
}

#[cfg(feature = "gzip")]
#[test]
fn compression_is_on_unless_the_program_or_the_environment_says_otherwise() {
    let compresses = |config: &Config| config.validate_in(|_| None).unwrap().compresses;
    let named = |text| of(&[("OTEL_EXPORTER_OTLP_COMPRESSION", text)]);
    assert!(compresses(&Config::otlp("http://localhost")));
    assert!(!compresses(&Config::otlp("http://localhost").gzip(false)));
    assert!(compresses(&named("GZIP")) && !compresses(&named("none")));
    assert!(compresses(&named("none").gzip(true)), "the program wins");
    assert!(compresses(&named("zstd")), "an unknown one is ignored");
    assert_eq!(warnings_of(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")]).len(), 1);
    let tinkers = Config::new("tml-1").base_url("http://localhost");
    assert!(!compresses(&tinkers) && compresses(&tinkers.clone().gzip(true)));
}

#[cfg(not(feature = "gzip"))]
#[test]
fn compression_that_the_program_was_built_without_is_a_warning() {
    let warnings = warnings_of(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]);
    assert!(warnings[0].contains("without the feature `gzip`"), "{warnings:?}");
    assert!(warnings_of(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")]).is_empty());
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_is_read_where_one_is_shown_and_none_was_set() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/logs.pem"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/all.pem"),
    ];
    let certificate = |config: Config| config.validate_in(|_| None).unwrap().otlp_certificate;
    assert_eq!(certificate(of(&variables)), None, "http");
    let secure = of(&variables).base_url("https://collector");
    assert_eq!(
        certificate(secure.clone()),
        Some(("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/logs.pem".to_owned()))
    );
    assert_eq!(certificate(secure.root_certificates("PEM")), None);
}

#[test]
fn no_secret_is_in_any_debug() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-3d0c"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=canary-3d0c"),
    ];
    let config = of(&variables);
    let endpoint = config.validate_in(|_| None).unwrap();
    let text = format!("{config:?} {:?} {:?}", endpoint.headers, endpoint.warnings);
    assert!(text.contains("authorization") && text.contains("team") && !text.contains(CANARY), "{text}");
}
