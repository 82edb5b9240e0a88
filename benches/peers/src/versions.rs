//! The versions that were measured: without them a comparison means nothing.

/// The lock file of this package, with the versions that cargo chose.
const LOCK: &str = include_str!("../Cargo.lock");

/// `name version` of every library that is measured.
pub(crate) fn all() -> String {
    let names = [
        "opentelemetry_sdk",
        "opentelemetry-otlp",
        "opentelemetry-appender-tracing",
        "reqwest",
        "sentry",
        "posthog-rs",
        "tracing-appender",
        "tracing-subscriber",
        "tinker-telemetry",
        "ureq",
    ];
    names.map(|name| format!("{name} {}", version(name).unwrap_or("?"))).join(", ")
}

fn version(name: &str) -> Option<&'static str> {
    let (_, entry) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    entry.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_that_is_measured_has_a_version() {
        assert!(!all().contains('?'), "{}", all());
    }
}
