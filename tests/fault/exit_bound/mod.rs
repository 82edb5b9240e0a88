//! Keeps the promise that a program ends on time: in every fault of the network, each call that ends the use of a
//! reporter returns within its limit and 50 ms.
//!
//! Prints a table of the worst of `FAULT_REPEAT` rounds (one without the variable). The long form, with the programs
//! and the resolver, is `FAULT_REPEAT=12 cargo test --release --all-features --test fault ends_on_time -- --nocapture`.

mod child;
pub(crate) mod control;
mod in_vain;
mod programs;
mod report;
mod resolver;
mod scene;

use std::backtrace::Backtrace;
#[cfg(feature = "spool")]
use std::sync::atomic::{AtomicUsize, Ordering};

use tinker_telemetry::Builder;
#[cfg(feature = "spool")]
use tinker_telemetry::Spool;

use crate::exit_bound::control::machine;
use crate::exit_bound::report::{Finding, Lateness, Report};
use crate::exit_bound::scene::{Hang, Leave, Left, Load};
use crate::truth::audit::contradiction;

/// Parallel calls per core. They mostly wait.
const AT_A_TIME: usize = 4;

/// A false statement of the reporter's counts or of its return value after a leave.
fn false_statement(hang: &Hang, leave: Leave, left: &Left) -> Option<String> {
    let stats = left.reporter.stats();
    let sentence = if stats.delivered > 0 && !hang.acknowledges() {
        "nothing can have been delivered"
    } else if leave == Leave::Stop && stats.pending > 0 {
        "nothing is pending after a stop"
    } else if left.drained == Some(true) && stats.pending + stats.dropped.deadline > 0 {
        "the wait returned true before the drain"
    } else {
        return contradiction(&stats);
    };
    Some(format!("{sentence}: {stats:?}"))
}

/// Takes the first backtrace of the process. Where the environment enables backtraces, the first one needs a tenth of a
/// second to look up its names, and other threads wait for it. The network is not the cause, so this comes first.
fn warm_up_backtraces() {
    assert!(!Backtrace::capture().to_string().is_empty());
}

#[test]
fn every_leave_ends_on_time_in_every_hang() {
    play("Calls that return", Load::builder);
}

#[cfg(feature = "spool")]
#[test]
fn with_a_spool_every_leave_ends_on_time_in_every_hang() {
    let folder = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    play("Calls that return, with a spool", |load, url| {
        let name = next.fetch_add(1, Ordering::Relaxed).to_string();
        load.builder(url).spool(Spool::at(folder.path().join(name)))
    });
}

#[cfg(feature = "otlp")]
#[test]
fn every_leave_ends_on_time_in_every_hang_of_an_otlp_server() {
    play("Calls that return, OTLP", Load::otlp_builder);
}

/// Plays all hangs, with reporters that are built so.
fn play(title: &str, builder: impl Fn(Load, &str) -> Builder + Sync) {
    let _machine = machine();
    warm_up_backtraces();
    let hangs = Hang::all();
    let report = Report::measure_all(AT_A_TIME, &hangs, &Leave::LIMITS, |hang, leave, limit| {
        let scene = hang.arrange().expect("the fault can be arranged");
        let load = scene.load();
        let settings = leave.limit(builder(load, &scene.base_url), limit);
        let reporter = settings.start().expect("the reporter starts");
        load.log(&reporter);
        scene.wait_for_the_hang();
        load.fill(&reporter);
        let (late, left) = Lateness::of(limit, || leave.leave(reporter, limit));
        Finding { late, wrong: left.and_then(|left| false_statement(hang, leave, &left)) }
    });
    report.conclude(title);
}

#[test]
fn the_document_of_the_faults_has_a_row_for_each_hang() {
    let document = std::fs::read_to_string("docs/faults.md").expect("the document can be read");
    let programs = programs::HANGS.iter().map(|(name, _)| *name);
    let names = Hang::all().into_iter().map(|(name, _)| name).chain(programs).chain([resolver::HANG_NAME]);
    for name in names {
        assert!(document.contains(&format!("\n| {name} |")), "docs/faults.md has no row for `{name}`");
    }
}
