//! Calls for `.ci/instructions` to count, and the worker's part of an event: nothing here is timed, and nothing but
//! `measured` counts.
//!
//! Takes the name of a case. The count is the same each time: no batch is due while it is taken.

mod support;

use std::hint::black_box;
use std::time::Duration;

use support::{full, log_json, log_saved, log_tree, offered, quiet};
use tinker_telemetry::{Reporter, internals};
use uuid::Uuid;

/// Enough to drown what comes once in a while, such as the allocator asking the system for memory.
const CALLS: u64 = 1_000;

/// The calls before those that count, which warm what is made once.
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
        _ => println!("struct, json, tree, refused, disabled or encode, to be counted by .ci/instructions"),
    }
}

/// Nobody listens there, and nobody is asked to: no flush comes before the stop, which waits for nothing.
fn roomy() -> Reporter {
    quiet("http://127.0.0.1:9", 10_000)
}

fn count(reporter: &Reporter, call: fn(&Reporter, u64) -> bool) {
    let accepted = |calls: u64| (0..calls).filter(|step| call(black_box(reporter), 1_000 + step)).count();
    let before = accepted(WARM);
    println!("{} of {CALLS} calls accepted, and {before} before", measured(|| accepted(CALLS)));
    reporter.stop(Duration::ZERO);
}

/// What the worker makes a request of, by the event.
fn count_encoding() {
    let encode = |events| internals::request("session-0001", events, Uuid::nil()).map(|body| body.len());
    let events = |from| (from..from + CALLS).map(offered).collect();
    let (before, counted) = (events(0), events(CALLS));
    println!("{:?} bytes, and {:?} before", encode(before), measured(|| encode(counted)));
}

/// What callgrind collects. Never inlined, so that it has a name.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    work()
}
