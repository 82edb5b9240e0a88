//! Keeps the promise that a program ends on time: whatever the network does, each way to take leave of a
//! reporter returns within its limit and 50 ms.
//!
//! Prints a table of the worst of `FAULT_REPEAT` rounds (one without it). The long form, with the programs and the
//! resolver, is `FAULT_REPEAT=100 cargo test --release --test fault ends_on_time -- --nocapture`.

mod child;
pub(crate) mod control;
mod programs;
mod report;
mod resolver;
mod scene;

use std::backtrace::Backtrace;

use crate::exit_bound::control::machine;
use crate::exit_bound::report::{Finding, Lateness, Report};
use crate::exit_bound::scene::{Hang, Leave, Left};
use crate::truth::audit::contradiction;

/// Calls at a time for each core: they do little but wait.
const AT_A_TIME: usize = 4;

/// What the reporter says of itself after a leave, against what can be true.
fn untruth(hang: &Hang, leave: Leave, left: &Left) -> Option<String> {
    let stats = left.reporter.stats();
    let sentence = if stats.delivered > 0 && !hang.acknowledges() {
        "nothing can have been delivered"
    } else if leave == Leave::Stop && stats.pending > 0 {
        "nothing is pending after a stop"
    } else if left.drained == Some(true) && stats.pending + stats.dropped.deadline > 0 {
        "this is not drained"
    } else {
        return contradiction(&stats);
    };
    Some(format!("{sentence}: {stats:?}"))
}

/// Where the environment asks for backtraces, a process takes a tenth of a second to look up the names of its
/// first one, and others that want one wait for it. That is no doing of the network, so it is done before.
fn quick_backtraces() {
    assert!(!Backtrace::capture().to_string().is_empty());
}

#[test]
fn every_way_out_ends_on_time_in_every_hang() {
    let _machine = machine();
    quick_backtraces();
    let hangs = Hang::all();
    let report = Report::measure_all(AT_A_TIME, &hangs, &Leave::LIMITS, |hang, leave, limit| {
        let scene = hang.arrange().expect("the fault can be arranged");
        let load = scene.load();
        let builder = leave.limit(load.builder(&scene.base_url), limit);
        let reporter = builder.start().expect("the reporter starts");
        load.log(&reporter);
        scene.wait_for_the_hang();
        load.fill(&reporter);
        let (late, left) = Lateness::of(limit, || leave.leave(reporter, limit));
        Finding { late, wrong: left.and_then(|left| untruth(hang, leave, &left)) }
    });
    report.conclude("Calls that return");
}
