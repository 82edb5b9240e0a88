//! Calls for `.ci/instructions` to count: nothing here is timed, and nothing but `measured` counts.
//!
//! Takes the name of a case. No worker wakes while it runs, so the count is the same each time.

mod support;

use std::hint::black_box;
use std::time::Duration;

use support::{log_json, log_saved, log_tree, quiet};
use tinker_telemetry::Reporter;

/// Enough to drown what comes once in a while, such as the allocator asking the system for memory.
const CALLS: u64 = 1_000;

/// The calls before those that count, which warm what is made once.
const WARM: u64 = 100;

type Call = fn(&Reporter, u64) -> bool;

const CASES: [(&str, Call); 5] = [
    ("struct", log_saved),
    ("json", log_json),
    ("tree", log_tree),
    ("refused", log_saved),
    ("disabled", log_saved),
];

/// What callgrind collects. Never inlined, so that it has a name.
#[inline(never)]
fn measured(call: Call, reporter: &Reporter) -> u64 {
    (1..=CALLS).filter(|&step| call(black_box(reporter), 1_000 + step)).count() as u64
}

fn main() {
    let asked = std::env::args().nth(1).unwrap_or_default();
    let Some((name, call)) = CASES.into_iter().find(|(name, _)| *name == asked) else {
        println!("one of {}, to be counted by .ci/instructions", CASES.map(|(name, _)| name).join(", "));
        return;
    };
    // Nobody listens there, and nobody is asked to: no flush comes before the stop, which waits for nothing.
    let reporter = match name {
        "disabled" => Reporter::disabled(),
        "refused" => quiet("http://127.0.0.1:9", 1),
        _ => quiet("http://127.0.0.1:9", 10_000),
    };
    let warm = (0..WARM).filter(|&step| call(&reporter, 1_000 + step)).count();
    println!("{} of {CALLS} calls accepted, and {warm} before", measured(call, &reporter));
    reporter.stop(Duration::ZERO);
}
