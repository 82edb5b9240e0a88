//! Keeps the bridges working in a child that is forked while another thread changes the attachments: the child does not
//! hang in a lock that was held at the fork, and forwards the same as its parent. Keeps the parent's collector working
//! after a drop in a child.
#![cfg(all(unix, feature = "collector", feature = "log", feature = "panic"))]

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::panic::{catch_unwind, panic_any};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use log::{Level, Log, Metadata, Record};
use process::{FINE, alone, fork};
use support::{LIMIT, NoLogger, SESSION, names, session, sessionless};
use tinker_telemetry::bridge::{Attachments, EventFilter, FatalPanics, LogBridge, install_panic_hook_with};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

/// Forks this many times, while another thread repeats an action. That thread has done it once before the first fork.
fn fork_during(action: impl Fn() + Sync, forks: usize, child: impl Fn()) {
    let (is_over, has_begun) = (AtomicBool::new(false), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            action();
            has_begun.wait();
            while !is_over.load(Ordering::Relaxed) {
                action();
            }
        });
        has_begun.wait();
        let hung = (0..forks).map(|_| fork(&child).wait()).find(|end| *end != FINE);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(hung, None);
    });
}

/// Telemetry is off, so no reporter detects forks. The bridges detect them from their own first use.
#[test]
fn a_child_forked_during_a_change_of_the_attachments_reads_and_changes_them_with_telemetry_off() {
    let test = "a_child_forked_during_a_change_of_the_attachments_reads_and_changes_them_with_telemetry_off";
    alone(test, "", |_| {
        let (attachments, disabled) = (Attachments::new(), Reporter::disabled());
        let bridge = LogBridge::new(NoLogger, &attachments);
        let change = |id| {
            attachments.attach(id, &disabled, EventFilter::all()).unwrap();
            attachments.detach(id).unwrap();
        };
        fork_during(
            || change("of the parent"),
            1_000,
            || {
                let _ = bridge.enabled(&Metadata::builder().target("any").build());
                change("of the child");
            },
        );
    });
}

#[test]
fn a_child_and_a_grandchild_inherit_the_attachments_and_change_their_own_list() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let attachments = Attachments::new();
    let bridge = LogBridge::new(NoLogger, &attachments);
    let log = |target: &'static str| {
        let id = [("session_id", SESSION)];
        let mut record = Record::builder();
        let record = record.target(target).level(Level::Info).key_values(&id);
        bridge.log(&record.args(format_args!("logged")).build());
    };
    attachments.attach("inherited", &reporter, EventFilter::new(["first", "second", "third"])).unwrap();

    let child = fork(|| {
        log("first");
        attachments.attach("own", &reporter, EventFilter::new(["own"])).unwrap();
        log("own");
        let grandchild = fork(|| {
            log("second");
            log("own");
            assert_eq!(reporter.stats().offered, 2, "the attachments of its parent");
            attachments.detach("inherited").unwrap();
            log("second");
            assert_eq!(reporter.stats().offered, 2);
        });
        assert_eq!(grandchild.wait(), FINE);
        log("third");
        assert_eq!(reporter.stats().offered, 3);
    });
    assert_eq!(child.wait(), FINE);
    log("own");
    log("third");
    assert!(reporter.stop(LIMIT));
    let events = collector.events();
    assert_eq!(names(&events), ["SESSION_START", "third", "SESSION_END"]);
}

#[test]
fn a_child_forked_during_an_installation_of_the_panic_hook_panics_and_goes_on() {
    let test = "a_child_forked_during_an_installation_of_the_panic_hook_panics_and_goes_on";
    alone(test, "", |_| {
        std::panic::set_hook(Box::new(|_| ())); // the default hook prints, with locks of the standard library
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        install_panic_hook_with(&reporter, FatalPanics::Always);
        fork_during(
            || install_panic_hook_with(&reporter, FatalPanics::Always),
            30, // fewer forks, since each of these children sends a request
            || {
                catch_unwind(|| panic_any("as the test wants it")).unwrap_err();
                install_panic_hook_with(&reporter, FatalPanics::Always);
            },
        );
    });
}

#[test]
fn a_child_can_drop_the_collector_of_its_parent_without_an_effect_on_the_parent() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let delivered = |count| {
        reporter.log("of the parent", (), Severity::Info);
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().delivered, count);
    };
    delivered(1);
    let hold = collector.hold_answers();
    let mut inherited = Some((collector, hold));
    let child = fork(|| drop(inherited.take()));
    assert_eq!(child.wait(), FINE);
    let (collector, hold) = inherited.unwrap();
    drop(hold);
    delivered(2);
    assert_eq!(collector.requests().len(), 2, "no event is sent twice");
}

/// The registry has locks of its own: one for each span, and one for a thread's first use (`thread_local::thread_id`). A
/// fork can happen while one is held. So the threads of this test share no span, and both have used the registry before.
#[test]
#[cfg(feature = "tracing")]
fn a_child_forked_during_spans_and_events_of_another_thread_makes_its_own() {
    use tinker_telemetry::bridge::TracingBridge;
    use tracing::{dispatcher, info, info_span};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::Registry;

    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let attachments = Attachments::everything(&reporter);
    let dispatch = tracing::Dispatch::new(Registry::default().with(TracingBridge::new(&attachments)));
    let make = || {
        dispatcher::with_default(&dispatch, || {
            let span = info_span!("span", later = tracing::field::Empty).entered();
            span.record("later", "recorded");
            info!(step = 1, "in the span");
        });
    };
    make();
    fork_during(make, 100, || {
        make();
        assert_eq!(reporter.stats().offered, 3);
    });
}
