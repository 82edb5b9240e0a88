//! Keeps the allocations of a call low: one for several tens of accepted events, and none for a refused one. It is a
//! binary of its own, since a process has one allocator.
#![cfg(feature = "collector")]

#[path = "../support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use serde::Serialize;
use support::{LIMIT, sessionless};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.realloc(block, layout, size) }
    }
}

const CALLS: u64 = 1_000;

/// The allocations of all calls, after ten calls that allocate the thread's buffers.
fn allocations(call: impl Fn()) -> u64 {
    (0..10).for_each(|_| call());
    let before = ALLOCATIONS.get();
    (0..CALLS).for_each(|_| call());
    ALLOCATIONS.get() - before
}

#[derive(Serialize)]
struct Saved<'a> {
    step: u64,
    loss: f64,
    path: &'a str,
}

#[test]
fn accepted_events_share_allocations_and_refused_events_cause_none() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let saved = || Saved { step: 1200, loss: 0.4213, path: "runs/a/ckpt-1200" };
    let borrowed = || assert!(reporter.log("checkpoint.saved", saved(), Severity::Info));
    let few = CALLS / 20;
    assert!(allocations(borrowed) < few);
    let owned = || assert!(reporter.log(String::from("checkpoint.saved"), saved(), Severity::Info));
    let with_names = allocations(owned);
    assert!((CALLS..CALLS + few).contains(&with_names), "{with_names}: the caller allocates the names");
    assert_eq!(allocations(|| reporter.flush()), 0);
    assert!(reporter.stop(LIMIT));

    assert_eq!(allocations(|| assert!(!reporter.log("late", saved(), Severity::Info))), 0);
    let disabled = Reporter::disabled();
    assert_eq!(allocations(|| assert!(!disabled.log("checkpoint.saved", saved(), Severity::Info))), 0);

    let hold = collector.hold_answers();
    let full = sessionless(&collector).max_queue_size(1).start().unwrap();
    assert!(full.log("fills the queue", (), Severity::Info));
    assert_eq!(allocations(|| assert!(!full.log("checkpoint.saved", saved(), Severity::Info))), 0);
    drop(hold);
    assert!(full.stop(LIMIT));
}
