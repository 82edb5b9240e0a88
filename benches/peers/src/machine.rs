//! Where and when: without it no figure means anything.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

/// The versions that cargo chose, as this package's lock file has them.
const LOCK: &str = include_str!("../Cargo.lock");

/// A paragraph for the head of the report.
pub(crate) fn description() -> String {
    format!(
        "{}, {}, {} cores, Linux {}, {}, load {}.",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned()),
        std::thread::available_parallelism().map_or(0, usize::from),
        read("/proc/sys/kernel/osrelease"),
        output("rustc", &["-V"]),
        load(),
    )
}

/// How many processes wanted a core in the last minute, the bench's own among them.
pub(crate) fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

/// `name version` of every library that is measured.
pub(crate) fn versions() -> String {
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

fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output
        .map_or_else(|_| format!("no {program}"), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_that_is_measured_has_a_version() {
        assert!(!versions().contains('?'), "{}", versions());
    }
}
