//! The headers that are the same in every request, as the official SDK sends them.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};

/// `tinker-telemetry/<version>`.
pub(super) const USER_AGENT: &str = concat!("tinker-telemetry/", env!("CARGO_PKG_VERSION"));

/// Adds them. The configuration refuses headers of these names, so none is overwritten.
pub(super) fn add_own(http_timeout: Duration, headers: &mut HeaderMap) {
    let read_timeout = serde_json::to_string(&http_timeout.as_secs_f64()).unwrap_or_default();
    let own = [
        ("user-agent", USER_AGENT),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-stainless-async", "false"),
        ("x-stainless-runtime", "rust"),
        ("x-stainless-os", os()),
        ("x-stainless-arch", arch()),
        ("x-stainless-package-version", env!("CARGO_PKG_VERSION")),
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
