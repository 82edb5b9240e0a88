//! Keeps reporters working after a fork. The child's reporter works, never sends an event of its parent, and never
//! hangs in an inherited lock. The parent is not affected.
#![cfg(all(unix, feature = "collector"))]

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::atomic::AtomicCell;
use process::{End, FINE, Forked, bare_threads, end_here, forbid_threads, fork, fork_for_code, fork_here};
use serde::{Serialize, Serializer};
use support::{LIMIT, SESSION, assert_adds_up, checked_requests, names, session, sessionless};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Reporter, Severity, Stats};
use uuid::Uuid;

/// The events of each process, in the order of arrival.
fn by_process(collector: &Collector) -> HashMap<Uuid, Vec<Event>> {
    let mut processes: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for request in checked_requests(collector) {
        let request = request.request.as_ref().unwrap();
        processes.entry(request.process_uuid.unwrap()).or_default().extend(request.events.iter().cloned());
    }
    processes
}

/// The events of the only process whose first event has this name.
fn events_of_process_with(collector: &Collector, first: &str) -> Vec<Event> {
    let mut found = by_process(collector).into_values().filter(|events| events[0].name() == first);
    let events = found.next().expect(first);
    assert!(found.next().is_none(), "{first} came from two processes");
    events
}

fn log_and_drain(reporter: &Reporter, name: &'static str) {
    assert!(reporter.log(name, (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
}

#[test]
fn a_child_reports_its_own_events_and_none_of_its_parent() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let hold = collector.hold_answers();
    assert!(reporter.log("on the wire", (), Severity::Info));
    reporter.flush();
    assert!(collector.next_request(LIMIT).is_some());
    assert!(reporter.log("queued", (), Severity::Info));

    let child = fork(|| {
        assert_eq!(reporter.stats(), Stats::default());
        assert!(reporter.wait_until_drained(Duration::ZERO), "a child has no pending events at first");
        reporter.flush();
        assert!(reporter.log("of the child", (), Severity::Info));
        assert!(!reporter.wait_until_drained(Duration::ZERO));
        reporter.flush();
        assert!(reporter.wait_until_drained(LIMIT));
        let stats = reporter.stats();
        assert_eq!((stats.offered, stats.delivered), (1, 1), "{stats}");
        assert_eq!(reporter.session_id(), Some(SESSION));
    });
    assert!(collector.next_request(LIMIT).is_some());
    drop(hold);
    assert_eq!(child.wait(), FINE);

    assert!(reporter.stop(LIMIT));
    let parents = events_of_process_with(&collector, "SESSION_START");
    assert_eq!(names(&parents), ["SESSION_START", "on the wire", "queued", "SESSION_END"]);
    let childs = events_of_process_with(&collector, "of the child");
    assert_eq!(childs.len(), 1, "a child neither starts nor ends the session");
    assert_eq!(childs[0].session_index(), 3, "a child continues the indexes of its parent");
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.offered, stats.delivered), (4, 4), "{stats}");
}

#[test]
fn a_child_of_a_fork_with_several_requests_on_the_wire_sends_several_of_its_own() {
    const EVENTS: u64 = 400;
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(10_000).start().unwrap();
    let log = |name: &'static str| (0..EVENTS).for_each(|_| assert!(reporter.log(name, (), Severity::Info)));
    let hold = collector.hold_answers();
    log("of the parent");
    reporter.flush();
    (0..4).for_each(|_| assert!(collector.next_request(LIMIT).is_some()));
    let child = fork(|| {
        log("of the child");
        assert!(reporter.wait_until_drained(LIMIT));
        let stats = reporter.stats();
        assert_eq!((stats.offered, stats.delivered), (EVENTS, EVENTS), "{stats}");
    });
    (0..4).for_each(|_| assert!(collector.next_request(LIMIT).is_some()));
    drop(hold);
    assert_eq!(child.wait(), FINE);
    assert!(reporter.stop(LIMIT));
    assert_eq!(reporter.stats().delivered, EVENTS);
    for name in ["of the parent", "of the child"] {
        let events = events_of_process_with(&collector, name);
        assert!(events.iter().all(|event| event.name() == name));
        assert_eq!(events.len() as u64, EVENTS);
    }
}

#[test]
fn a_stop_in_a_child_does_not_stop_the_parent() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let child = fork(|| {
        assert!(reporter.log("of the child", (), Severity::Info));
        assert!(reporter.stop(LIMIT));
        assert!(!reporter.log("late", (), Severity::Info));
        let stats = reporter.stats();
        assert_eq!((stats.delivered, stats.refused.stopped), (1, 1), "{stats}");
    });
    assert_eq!(child.wait(), FINE);
    let child = fork(|| {
        assert!(reporter.stop(LIMIT), "a stop as the first use works");
        assert!(!reporter.log("late", (), Severity::Info));
    });
    assert_eq!(child.wait(), FINE);
    log_and_drain(&reporter, "of the parent");
    assert_eq!(
        names(&events_of_process_with(&collector, "SESSION_START")),
        ["SESSION_START", "of the parent"]
    );
    assert_eq!(by_process(&collector).len(), 2);
}

#[test]
fn a_fatal_exception_of_a_child_is_delivered_when_the_call_returns() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let child = fork(|| {
        assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
        assert_eq!(reporter.stats().delivered, 1);
    });
    assert_eq!(child.wait(), FINE);
    assert_eq!(names(&events_of_process_with(&collector, "UNHANDLED_EXCEPTION")), ["UNHANDLED_EXCEPTION"]);
}

#[test]
fn each_generation_reports_its_own_events() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    log_and_drain(&reporter, "parent");
    let child = fork(|| {
        // One grandchild of a child that has used the reporter, and one of a child that has not.
        let unused = fork(|| {
            let grandchild = fork(|| log_and_drain(&reporter, "grandchild of the unused"));
            assert_eq!(grandchild.wait(), FINE);
        });
        assert_eq!(unused.wait(), FINE);
        assert!(reporter.log("child", (), Severity::Info));
        let grandchild = fork(|| {
            assert_eq!(reporter.stats(), Stats::default());
            log_and_drain(&reporter, "grandchild");
        });
        assert_eq!(grandchild.wait(), FINE);
        assert!(reporter.wait_until_drained(LIMIT));
    });
    assert_eq!(child.wait(), FINE);
    let mut events: Vec<_> =
        by_process(&collector).into_values().map(|events| events[0].name().to_owned()).collect();
    events.sort();
    assert_eq!(events, ["child", "grandchild", "grandchild of the unused", "parent"]);
}

#[test]
fn the_drop_of_a_childs_last_clone_stops_only_the_childs_pipeline() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let hold = collector.hold_answers();
    assert!(reporter.log("pending", (), Severity::Info));
    reporter.flush();
    assert!(collector.next_request(LIMIT).is_some());

    // The child has its own copy of the memory, so it can drop a clone that its parent keeps.
    let mut reporter = Some(reporter);
    let unused = fork(|| drop(reporter.take()));
    assert_eq!(unused.wait(), FINE, "a child without events of its own does not wait");
    drop(hold);
    let used = fork(|| {
        let reporter = reporter.take().unwrap();
        let weak = reporter.downgrade();
        assert!(reporter.log("of the child", (), Severity::Info));
        drop(reporter);
        assert!(weak.upgrade().is_none());
    });
    assert_eq!(used.wait(), FINE);
    assert_eq!(names(&events_of_process_with(&collector, "of the child")), ["of the child"]);
    let reporter = reporter.unwrap();
    assert!(reporter.stop(LIMIT));
    let parents = events_of_process_with(&collector, "SESSION_START");
    assert_eq!(names(&parents), ["SESSION_START", "pending", "SESSION_END"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_has_no_worker_until_it_uses_the_reporter() {
    fn threads() -> usize {
        fs::read_dir("/proc/self/task").unwrap().count()
    }

    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let child = fork(|| {
        assert!(reporter.is_enabled());
        reporter.flush();
        assert!(reporter.wait_until_drained(LIMIT));
        drop(reporter.clone());
        let _ = (reporter.stats(), format!("{reporter:?}"));
        assert_eq!(threads(), 1);
        assert!(reporter.log("first use", (), Severity::Info));
        assert_eq!(threads(), 2);
    });
    assert_eq!(child.wait(), FINE);
}

#[test]
fn a_disabled_reporter_stays_disabled_in_a_child() {
    let reporter = Reporter::disabled();
    let child = fork(|| {
        assert!(!reporter.log("nothing", (), Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT) && reporter.stop(LIMIT));
    });
    assert_eq!(child.wait(), FINE);
}

#[test]
fn a_reporter_started_in_a_child_has_the_process_uuid_of_the_inherited_one() {
    let collector = Collector::start().unwrap();
    let inherited = sessionless(&collector).start().unwrap();
    log_and_drain(&inherited, "parent");
    let child = fork(|| {
        let own = sessionless(&collector).start().unwrap();
        log_and_drain(&own, "child");
        log_and_drain(&inherited, "child again");
        assert!(own.stop(LIMIT));
    });
    assert_eq!(child.wait(), FINE);
    assert_eq!(names(&events_of_process_with(&collector, "parent")), ["parent"]);
    assert_eq!(names(&events_of_process_with(&collector, "child")), ["child", "child again"]);
}

#[test]
fn a_fork_while_data_is_serialised_is_detected() {
    struct Forks<'a>(&'a Reporter, &'a RefCell<Option<Forked>>);

    impl Serialize for Forks<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            // The child returns through its copy of the parent's call, and continues below with the result.
            let child = fork_here();
            if child.is_none() {
                assert!(
                    self.0.log("inside", (), Severity::Info),
                    "the child is not inside a call of its own"
                );
            }
            *self.1.borrow_mut() = child;
            serializer.serialize_unit()
        }
    }

    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let child = RefCell::default();
    let logged = reporter.log("of the parent", Forks(&reporter, &child), Severity::Info);
    let Some(child) = child.take() else {
        end_here(|| {
            assert!(!logged, "the event belongs to the parent");
            assert!(reporter.wait_until_drained(LIMIT));
            let stats = reporter.stats();
            assert_eq!((stats.offered, stats.delivered), (1, 1), "{stats}");
        })
    };
    assert!(logged);
    assert_eq!(child.wait(), FINE);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(names(&events_of_process_with(&collector, "of the parent")), ["of the parent"]);
    assert_eq!(names(&events_of_process_with(&collector, "inside")), ["inside"]);
}

/// The exit code of a child that cannot forbid threads.
const CANNOT_FORBID: i32 = 77;

#[test]
fn a_child_without_threads_refuses_events_as_stopped() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let child = fork_for_code(|| {
        if !forbid_threads() {
            return CANNOT_FORBID;
        }
        assert!(!reporter.log("refused", (), Severity::Info));
        assert!(!reporter.log_exception(&std::fmt::Error, Severity::Error));
        assert!(reporter.wait_until_drained(LIMIT) && reporter.stop(LIMIT));
        let stats = reporter.stats();
        assert_adds_up(stats);
        assert_eq!((stats.offered, stats.refused.stopped), (2, 2), "{stats}");
        0
    });
    match child.wait() {
        End::Exited(CANNOT_FORBID) => eprintln!("skipped: this account's threads cannot be limited"),
        end => assert_eq!(end, FINE),
    }
    log_and_drain(&reporter, "of the parent");
}

#[test]
fn threads_of_a_child_at_its_first_use_share_one_pipeline() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    for _ in 0..20 {
        let child = fork(|| {
            bare_threads(4, &|| assert!(reporter.log("child", (), Severity::Info)));
            assert!(reporter.wait_until_drained(LIMIT));
            assert_eq!(reporter.stats().delivered, 4);
        });
        assert_eq!(child.wait(), FINE);
    }
    let processes = by_process(&collector);
    assert_eq!(processes.len(), 20);
    assert!(processes.values().all(|events| events.len() == 4));
}

#[test]
fn a_thousand_forks_under_load_lose_and_double_no_event_and_no_child_hangs() {
    const FORKING: usize = 4;
    const FORKS: usize = 250;
    const LOGGING: usize = 3;

    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(20).start().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..LOGGING {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        assert!(reporter.log("parent", (), Severity::Info));
                    }
                    assert!(reporter.wait_until_drained(LIMIT));
                    assert_adds_up(reporter.stats());
                }
            });
        }
        let forking: Vec<_> = (0..FORKING)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..FORKS {
                        let child = fork(|| {
                            log_and_drain(&reporter, "child");
                            let stats = reporter.stats();
                            assert_eq!((stats.offered, stats.delivered), (1, 1), "{stats}");
                        });
                        assert_eq!(child.wait(), FINE);
                    }
                })
            })
            .collect();
        let ended: Vec<_> = forking.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });

    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.pending), (stats.offered, 0), "{stats}");
    let processes = by_process(&collector);
    assert_eq!(processes.len(), 1 + FORKING * FORKS, "each process has its own process_uuid");
    let ids: HashSet<_> = processes.values().flatten().map(Event::id).collect();
    assert_eq!(ids.len(), processes.values().map(Vec::len).sum::<usize>(), "no event arrives twice");
    let (parents, children): (Vec<_>, Vec<_>) =
        processes.values().partition(|events| events[0].name() == "parent");
    assert_eq!(parents.len(), 1);
    assert_eq!(parents[0].len() as u64, stats.delivered);
    assert!(parents[0].iter().all(|event| event.name() == "parent"));
    assert!(children.iter().all(|events| names(events) == ["child"]));
    println!("{} events of the parent during {} forks", parents[0].len(), FORKING * FORKS);
}

/// Runs `body` while other threads hold all the locks that crossbeam's `AtomicCell`s share in a process. A cell needs one of
/// them if its type is larger than any atomic, and compares two values under it.
fn with_locks_of_cells_held(body: impl FnOnce()) {
    const MORE_THAN_THERE_ARE: usize = 200;
    static HELD: AtomicUsize = AtomicUsize::new(0);
    static OVER: AtomicBool = AtomicBool::new(false);

    #[derive(Clone, Copy, Eq)]
    #[expect(dead_code, reason = "its size is what counts")]
    struct Large([u64; 4]);

    impl PartialEq for Large {
        fn eq(&self, _: &Self) -> bool {
            HELD.fetch_add(1, Ordering::SeqCst);
            while !OVER.load(Ordering::SeqCst) {
                thread::park_timeout(Duration::from_millis(1));
            }
            true
        }
    }

    struct Release;

    impl Drop for Release {
        fn drop(&mut self) {
            OVER.store(true, Ordering::SeqCst);
        }
    }

    let value = Large([0; 4]);
    // The address of a cell chooses its lock, and neighbours have different ones.
    let cells: Vec<_> = (0..MORE_THAN_THERE_ARE).map(|_| AtomicCell::new(value)).collect();
    thread::scope(|scope| {
        for (held, cell) in cells.iter().enumerate() {
            scope.spawn(|| assert!(cell.compare_exchange(value, value).is_ok()));
            let started = Instant::now();
            while HELD.load(Ordering::SeqCst) == held && started.elapsed() < Duration::from_secs(1) {
                thread::yield_now();
            }
            if HELD.load(Ordering::SeqCst) == held {
                break; // this thread waits for a lock that is held: they all are
            }
        }
        let _release = Release;
        body();
    });
}

/// Crossbeam's own ticker is such a cell. A fork leaves those locks locked that other threads hold at that moment.
#[test]
fn a_child_reports_while_all_locks_of_crossbeams_cells_are_locked() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    with_locks_of_cells_held(|| {
        let child = fork(|| log_and_drain(&reporter, "child"));
        let ended = child.wait();
        log_and_drain(&reporter, "parent");
        assert_eq!(ended, FINE);
    });
    assert_eq!(by_process(&collector).len(), 2);
}
