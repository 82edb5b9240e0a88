//! OpenTelemetry's variables. Their rules are those of the specification's pages "OpenTelemetry Protocol Exporter",
//! "OpenTelemetry Environment Variable Specification" and "Resource SDK".

use std::ffi::OsString;
use std::time::Duration;

use super::super::environment::read_variable;
use super::super::validation::{MAX_HEADER_BYTES, valid_header};
use super::{MAX_RESOURCE, OtlpSettings, list, size_of};
use crate::model::config::{Config, Protocol};

const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// The first is for logs alone, and is used as it is.
const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const CERTIFICATE: [&str; 2] = ["OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const COMPRESSION: [&str; 2] = ["OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// What stands for no limit: a limit must be a number.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Config {
    pub(in crate::model::config) fn otlp_from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut variables =
            Variables { read: |name: &str| read_variable(&variable, name), warnings: Vec::new() };
        let any = |text: &str| Ok(text.to_owned());

        let endpoint = variables.first(ENDPOINT, any);
        let has_whole_url = endpoint.as_ref().is_some_and(|(name, _)| *name == ENDPOINT[0]);
        let mut config = Self::otlp(endpoint.map_or_else(|| DEFAULT_ENDPOINT.to_owned(), |(_, url)| url));
        config.headers = variables.first(HEADERS, headers).map(|(_, headers)| headers).unwrap_or_default();
        let attributes = variables.first(["OTEL_RESOURCE_ATTRIBUTES"], attributes);
        for (key, value) in attributes.into_iter().flat_map(|(_, attributes)| attributes) {
            config = config.resource(key, value);
        }
        if let Some((_, name)) = variables.first(["OTEL_SERVICE_NAME"], any) {
            config = config.resource("service.name", name);
        }
        variables.first(PROTOCOL, protocol);
        config.otlp = Some(OtlpSettings {
            has_whole_url,
            is_disabled: variables.first(["OTEL_SDK_DISABLED"], boolean).is_some_and(|(_, is_true)| is_true),
            timeout: variables.first(TIMEOUT, timeout).map(|(_, timeout)| timeout),
            certificate: variables.first(CERTIFICATE, any),
            compresses: variables.first(COMPRESSION, compression).map(|(_, compresses)| compresses),
            warnings: variables.warnings,
        });
        config
    }
}

/// Reads variables, and collects the warnings about those that cannot be read.
struct Variables<F> {
    read: F,
    warnings: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    /// The first of these variables that is set and can be read, with its name.
    fn first<T>(
        &mut self,
        names: impl IntoIterator<Item = &'static str>,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<(&'static str, T)> {
        for name in names {
            let Some(text) = (self.read)(name) else { continue };
            match parse(&text) {
                Ok(value) => return Some((name, value)),
                Err(reason) => self.warnings.push(format!("telemetry does without {name}: it {reason}")),
            }
        }
        None
    }
}

fn headers(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let headers = list::parse(text)?;
    if size_of(&headers) > MAX_HEADER_BYTES {
        return Err("has more than 16 KiB of headers");
    }
    let otlp = Protocol::Otlp { resource: Vec::new() };
    if headers.iter().any(|(name, value)| valid_header(name, value, &otlp).is_err()) {
        return Err("has a header that cannot be sent, or that the reporter sets itself");
    }
    Ok(headers)
}

fn attributes(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let attributes = list::parse(text)?;
    // The program's own come on top: half of the room is theirs.
    if size_of(&attributes) > MAX_RESOURCE / 2 {
        Err("has more than 8 KiB of attributes")
    } else {
        Ok(attributes)
    }
}

fn timeout(text: &str) -> Result<Duration, &'static str> {
    let milliseconds = text.parse().map_err(|_| "is no number of milliseconds")?;
    Ok(if milliseconds == 0 { NO_LIMIT } else { Duration::from_millis(milliseconds) })
}

fn compression(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(false),
        "gzip" if cfg!(feature = "gzip") => Ok(true),
        "gzip" => Err("is gzip, and this program was built without the feature `gzip`"),
        _ => Err("is neither gzip nor none"),
    }
}

fn protocol(text: &str) -> Result<(), &'static str> {
    let is_spoken = text.eq_ignore_ascii_case("http/protobuf");
    is_spoken.then_some(()).ok_or("is not http/protobuf, and nothing else is spoken")
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}
