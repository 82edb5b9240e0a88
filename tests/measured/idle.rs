//! Keeps an idle reporter idle: its worker wakes only for its ticker. It is a binary of its own with one test, since it
//! counts the sleeps of a thread of this process.
#![cfg(all(feature = "collector", target_os = "linux"))]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{LIMIT, sessionless};
use tinker_telemetry::Severity;
use tinker_telemetry::collector::Collector;

/// The number of times that the worker's thread has gone to sleep.
fn sleeps() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named = |name: &str| name.trim_end() == "tinker-reporter";
    let worker =
        tasks.into_iter().find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| named(&name)));
    let status = fs::read_to_string(worker.expect("the worker's thread").join("status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

/// Waits for this time without an event.
fn let_pass(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(time).unwrap_err();
}

#[test]
fn an_idle_worker_sleeps_until_its_ticker() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(5_000).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    let started = Instant::now();
    let mut before = sleeps();
    loop {
        let_pass(Duration::from_millis(500));
        if sleeps() == before {
            break; // half a second without a wake-up
        }
        assert!(started.elapsed() < LIMIT, "the worker never stays asleep");
        before = sleeps();
    }
    // A hundred events wake the worker. Nine hundred more, still below the flush threshold, do not.
    let log = |events| (0..events).for_each(|step| assert!(reporter.log("step", step, Severity::Info)));
    log(100);
    while sleeps() == before {
        assert!(started.elapsed() < 2 * LIMIT, "the worker does not wake");
        let_pass(Duration::from_millis(1));
    }
    let_pass(Duration::from_millis(100));
    let woken = sleeps();
    log(900);
    let_pass(Duration::from_millis(100));
    assert_eq!(sleeps(), woken);
    assert!(reporter.stop(LIMIT));
}
