//! Keeps an outage cheap. With any number of events it takes no more memory than its budget, logs one line when it
//! begins and one when it ends, and loses no queued event. It is a binary of its own, since it measures the memory and
//! the log of the process.
#![cfg(all(feature = "collector", target_os = "linux"))]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use support::{KEY, LIMIT, NEVER, assert_adds_up};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter, Severity};

/// The calls of each thread. The benchmark `outage` makes a million per thread.
const CALLS: u64 = 5_000;

const BUDGET: usize = 16 * 1024 * 1024;
const OVERHEAD: usize = 4 * 1024 * 1024;

/// The resident memory of the process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn an_outage_costs_its_budget_and_two_lines_and_queued_events_arrive() {
    log::keep();
    let port = Collector::start().unwrap().port(); // the collector is dropped, so the port is closed
    let config = Config::new(KEY).base_url(format!("http://127.0.0.1:{port}"));
    let reporter = Reporter::sessionless_builder(config)
        .enabled(true)
        .flush_interval(NEVER)
        .max_retries(u32::MAX)
        .retry_base_delay(Duration::from_millis(100))
        .start()
        .unwrap();
    let threads = thread::available_parallelism().unwrap().get();
    let before = resident();
    thread::scope(|scope| {
        for _ in 0..threads {
            // Fewer than 10 000 of these events fill the budget. A large event has memory of its own, small ones share
            // it.
            scope.spawn(|| {
                let [large, small] = [4_000, 900].map(|len| "x".repeat(len));
                for _ in 0..CALLS / 2 {
                    reporter.log("step", &large, Severity::Info);
                    reporter.log("step", &small, Severity::Info);
                }
            });
        }
    });
    let held = resident().saturating_sub(before);
    assert!(held <= BUDGET + OVERHEAD, "{held} bytes");
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert!(stats.refused.queue_bytes > 0 && stats.pending > 5_000, "{stats}");

    let collector = Collector::start_on(port).unwrap();
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_eq!((stats.delivered, collector.events().len() as u64), (stats.accepted, stats.accepted));
    assert_eq!(log::warnings_with("").len(), 1, "{}", log::everything());
    assert_eq!(log::everything().matches("reaches 127.0.0.1 again").count(), 1, "{}", log::everything());
}
