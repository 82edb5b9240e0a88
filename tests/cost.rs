//! Keeps what a call may cost its thread: one allocation for borrowed data, two with a name that is owned. Its own
//! binary, since the allocator is the process's.
#![cfg(feature = "collector")]

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

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
unsafe impl GlobalAlloc for Counting {
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

/// The most allocations of one call, after a few that warm the thread's buffers.
fn allocations(call: impl Fn()) -> u64 {
    (0..10).for_each(|_| call());
    let count = |call: &dyn Fn()| {
        let before = ALLOCATIONS.get();
        call();
        ALLOCATIONS.get() - before
    };
    (0..50).map(|_| count(&call)).max().unwrap_or_default()
}

#[derive(Serialize)]
struct Saved<'a> {
    step: u64,
    loss: f64,
    path: &'a str,
}

#[test]
fn a_call_allocates_once_for_its_data_and_never_when_it_is_refused() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let saved = || Saved { step: 1200, loss: 0.4213, path: "runs/a/ckpt-1200" };
    assert_eq!(allocations(|| assert!(reporter.log("checkpoint.saved", saved(), Severity::Info))), 1);
    let owned = || assert!(reporter.log(String::from("checkpoint.saved"), saved(), Severity::Info));
    assert_eq!(allocations(owned), 2, "one of them the caller's own");
    assert_eq!(allocations(|| reporter.flush()), 0);
    assert!(reporter.stop(LIMIT));

    assert_eq!(
        allocations(|| assert!(!Reporter::disabled().log("checkpoint.saved", saved(), Severity::Info))),
        0
    );
}
