//! The headers that the reporter sets itself. To Tinker's backend they are those that the official SDK sends. The
//! configuration refuses headers of these names, so none is overwritten.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};

use crate::model::config::Protocol;
use crate::wire::envelope::Request;

/// Adds those that are the same in every request.
pub(in crate::transport) fn add_own(
    http_timeout: Duration,
    user_agent: &str,
    protocol: &Protocol,
    headers: &mut HeaderMap,
) {
    insert("user-agent", user_agent, headers);
    match protocol {
        Protocol::Tinker { sdk_version } => add_tinkers(http_timeout, sdk_version, headers),
        // The protocol asks for no other. Its servers know no idempotency key.
        #[cfg(feature = "otlp")]
        Protocol::Otlp { .. } => insert("content-type", "application/x-protobuf", headers),
    }
}

fn add_tinkers(http_timeout: Duration, sdk_version: &str, headers: &mut HeaderMap) {
    let read_timeout = serde_json::to_string(&http_timeout.as_secs_f64()).unwrap_or_default();
    let own = [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-stainless-async", "false"),
        ("x-stainless-runtime", "rust"),
        ("x-stainless-os", os()),
        ("x-stainless-arch", arch()),
        ("x-stainless-package-version", sdk_version),
        ("x-stainless-read-timeout", &read_timeout),
    ];
    for (name, value) in own {
        insert(name, value, headers);
    }
}

/// Adds those that tell attempts apart.
pub(in crate::transport) fn add_of_attempt(
    request: &Request,
    retry: u32,
    protocol: &Protocol,
    headers: &mut HeaderMap,
) {
    match protocol {
        Protocol::Tinker { .. } => {
            insert("x-idempotency-key", &request.idempotency_key, headers);
            headers.insert("x-stainless-retry-count", retry.into());
        }
        #[cfg(feature = "otlp")]
        Protocol::Otlp { .. } => {}
    }
}

fn insert(name: &'static str, value: &str, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The operating system as the official SDK names it in headers.
fn os() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "MacOS",
        "windows" => "Windows",
        _ => "Unknown",
    }
}

/// The processor as the official SDK names it in headers.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "x86" => "x32",
        "aarch64" => "arm64",
        "arm" => "arm",
        _ => "unknown",
    }
}
