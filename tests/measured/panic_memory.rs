//! Keeps the memory of a program whose data panics often: a caught panic leaks no memory. It is a binary of its own,
//! since a process has one allocator and one panic hook.
#![cfg(feature = "collector")]

#[path = "../support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic;

use serde::{Serialize, Serializer};
use support::sessionless_to;
use tinker_telemetry::{Config, Severity};

thread_local! {
    /// The bytes that this thread holds.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + signed(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - signed(layout.size()));
        unsafe { System.dealloc(block, layout) }
    }
}

struct PanicsWithLiteral;

impl Serialize for PanicsWithLiteral {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("while serialising")
    }
}

struct PanicsWithText;

impl Serialize for PanicsWithText {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("{}", "while serialising ".repeat(100))
    }
}

/// The bytes that this thread holds after 1 000 more calls, less those after the first call.
fn growth(call: impl Fn()) -> isize {
    call();
    let before = HELD.get();
    (0..1_000).for_each(|_| call());
    HELD.get() - before
}

#[test]
fn caught_panics_leak_no_memory() {
    let reporter = sessionless_to(Config::new("tml-example").base_url("http://127.0.0.1:9")).start().unwrap();
    let default_hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let growths = [
        growth(|| _ = reporter.log("literal", PanicsWithLiteral, Severity::Info)),
        growth(|| _ = reporter.log("text", PanicsWithText, Severity::Info)),
        growth(|| _ = reporter.log_exception(&support::Panics, Severity::Info)),
    ];
    panic::set_hook(default_hook);
    assert_eq!(growths, [0, 0, 0]);
    assert_eq!(reporter.stats().refused.invalid_data, 3 * 1_001);
}
