//! The headers that are the same in every request, as the official SDK sends them.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};

/// Adds them. The configuration refuses headers of these names, so none is overwritten.
pub(in crate::transport) fn add_own(
    http_timeout: Duration,
    user_agent: &str,
    sdk_version: &str,
    headers: &mut HeaderMap,
) {
    let read_timeout = serde_json::to_string(&http_timeout.as_secs_f64()).unwrap_or_default();
    let own = [
        ("user-agent", user_agent),
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
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
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
