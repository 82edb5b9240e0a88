//! Keeps bridges usable in a child that was forked while another thread changed the attachments: it hangs in no lock
//! that was held at the fork, and forwards what its parent forwarded. Keeps the collector of a parent from a child's drop.
#![cfg(all(unix, feature = "collector", feature = "log-bridge", feature = "panic-hook"))]

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use log::{Level, Log, Metadata, Record};
use process::{FINE, alone, fork};
use support::{LIMIT, SESSION, names, session, sessionless};
use tinker_telemetry::bridge::{Attachments, EventFilter, FatalPanics, LogBridge, install_panic_hook_with};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

struct Nowhere;

impl Log for Nowhere {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }
    fn log(&self, _: &Record<'_>) {}
    fn flush(&self) {}
}

/// Forks so many times, while another thread does something again and again.
fn fork_beside(meanwhile: impl Fn() + Sync, forks: usize, child: impl Fn()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                meanwhile();
            }
        });
        let hung = (0..forks).map(|_| fork(&child).wait()).find(|end| *end != FINE);
        over.store(true, Ordering::Relaxed);
        assert_eq!(hung, None);
    });
}

/// Telemetry is off, so that no reporter notices forks: the bridges do, from their own first use.
#[test]
fn a_child_forked_beside_a_change_of_the_attachments_reads_and_changes_them_with_telemetry_off() {
    let test = "a_child_forked_beside_a_change_of_the_attachments_reads_and_changes_them_with_telemetry_off";
    alone(test, "", |_| {
        let (attachments, disabled) = (Attachments::new(), Reporter::disabled());
        let bridge = LogBridge::new(Nowhere, &attachments);
        let change = |id| {
            attachments.attach(id, &disabled, EventFilter::all()).unwrap();
            attachments.detach(id).unwrap();
        };
        fork_beside(
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
fn a_child_and_its_child_forward_what_their_parent_did_and_each_changes_its_own_list() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let attachments = Attachments::new();
    let bridge = LogBridge::new(Nowhere, &attachments);
    let say = |target: &'static str| {
        let id = [("session_id", SESSION)];
        let mut record = Record::builder();
        let record = record.target(target).level(Level::Info).key_values(&id);
        bridge.log(&record.args(format_args!("said")).build());
    };
    attachments.attach("inherited", &reporter, EventFilter::new(["first", "second", "third"])).unwrap();

    let child = fork(|| {
        say("first");
        attachments.attach("own", &reporter, EventFilter::new(["own"])).unwrap();
        say("own");
        let grandchild = fork(|| {
            say("second");
            say("own");
            assert_eq!(reporter.stats().offered, 2, "what its parent attached");
            attachments.detach("inherited").unwrap();
            say("second");
            assert_eq!(reporter.stats().offered, 2);
        });
        assert_eq!(grandchild.wait(), FINE);
        say("third");
        assert_eq!(reporter.stats().offered, 3);
    });
    assert_eq!(child.wait(), FINE);
    say("own");
    say("third");
    assert!(reporter.stop(LIMIT));
    let events = collector.events();
    assert_eq!(names(&events), ["SESSION_START", "third", "SESSION_END"]);
}

#[test]
fn a_child_forked_beside_an_installation_of_the_panic_hook_panics_and_goes_on() {
    let test = "a_child_forked_beside_an_installation_of_the_panic_hook_panics_and_goes_on";
    alone(test, "", |_| {
        std::panic::set_hook(Box::new(|_| ())); // the default one prints, under locks of the standard library's
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        install_panic_hook_with(&reporter, FatalPanics::Always);
        fork_beside(
            || install_panic_hook_with(&reporter, FatalPanics::Always),
            30, // since each of these children has something to send
            || {
                catch_unwind(|| panic_any("as the test wants it")).unwrap_err();
                install_panic_hook_with(&reporter, FatalPanics::Always);
            },
        );
    });
}

#[test]
fn a_child_that_drops_its_parents_collector_ends_and_breaks_nothing() {
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
    assert_eq!(collector.requests().len(), 2, "nothing was sent twice");
}

/// The lock of one span is its registry's, and a fork can catch that; but the threads of this test share none.
#[test]
#[cfg(feature = "tracing")]
fn a_child_forked_beside_spans_and_events_of_another_thread_makes_its_own() {
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
            info!(step = 1, "in it");
        });
    };
    fork_beside(make, 100, || {
        make();
        assert_eq!(reporter.stats().offered, 3);
    });
}
