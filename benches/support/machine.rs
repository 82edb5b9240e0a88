//! Where and when a benchmark ran: without that, its figures mean nothing. The package `peers` uses this file too.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::SystemTime;

pub(crate) fn description() -> String {
    format!(
        "{}, {}, {} cores, {}, {}, load {}",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        processor().unwrap_or_else(|| "unknown processor".to_owned()),
        available_parallelism().map_or(0, usize::from),
        output("uname", "-srm"),
        output("rustc", "-V"),
        load(),
    )
}

/// How many processes wanted a core in the last minute, the benchmark's own included.
pub(crate) fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn output(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output
        .map_or_else(|_| format!("no {program}"), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}
