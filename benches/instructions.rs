//! Calls of `log`, and the worker's part of an event, for `.ci/instructions` to count. Nothing here is timed. Only the
//! instructions inside `measured` count.
//!
//! Takes the name of a case. The count is the same each time, because no batch is due during it.

mod support;

use std::hint::black_box;
use std::time::Duration;

use support::{full, log_json, log_saved, log_tree, offered, quiet};
use tinker_telemetry::{Reporter, internals};
use uuid::Uuid;

/// So many that rare costs hardly count, such as the allocator asking the system for memory.
const CALLS: u64 = 1_000;

/// The first calls do not count: they allocate what is allocated once.
const WARM: u64 = 100;

fn main() {
    let asked = std::env::args().nth(1).unwrap_or_default();
    match asked.as_str() {
        "struct" => count(&roomy(), log_saved),
        "json" => count(&roomy(), log_json),
        "tree" => count(&roomy(), log_tree),
        "refused" => count(&full(), log_saved),
        "disabled" => count(&Reporter::disabled(), log_saved),
        "encode" => count_encoding(),
        #[cfg(feature = "otlp")]
        "otlp" => count_otlp(),
        _ => println!(
            "struct, json, tree, refused, disabled, encode or otlp, to be counted by .ci/instructions"
        ),
    }
}

/// No server listens on port 9, and none is needed: nothing is flushed before the stop, and the stop does not wait.
fn roomy() -> Reporter {
    quiet("http://127.0.0.1:9", 10_000)
}

fn count(reporter: &Reporter, call: fn(&Reporter, u64) -> bool) {
    let accepted = |calls: u64| (0..calls).filter(|step| call(black_box(reporter), 1_000 + step)).count();
    let before = accepted(WARM);
    println!("{} of {CALLS} calls accepted, and {before} before", measured(|| accepted(CALLS)));
    reporter.stop(Duration::ZERO);
}

/// The worker's part, for each event of a request.
fn count_encoding() {
    let encode = |events| internals::request("session-0001", events, Uuid::nil()).map(|body| body.len());
    let events = |from| (from..from + CALLS).map(offered).collect();
    let (before, counted) = (events(0), events(CALLS));
    println!("{:?} bytes, and {:?} before", encode(before), measured(|| encode(counted)));
}

/// The same for an OpenTelemetry collector.
#[cfg(feature = "otlp")]
fn count_otlp() {
    let resource = internals::OtlpResource::new(Vec::new(), Uuid::nil());
    let encode = |events| internals::otlp_request("session-0001", events, &resource).map(|body| body.len());
    let events = |from| (from..from + CALLS).map(offered).collect();
    let (before, counted) = (events(0), events(CALLS));
    println!("{:?} bytes, and {:?} before", encode(before), measured(|| encode(counted)));
}

/// What callgrind counts. Never inlined, so that callgrind finds its name.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    work()
}
