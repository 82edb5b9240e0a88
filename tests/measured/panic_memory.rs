//! Keeps the memory of a program whose data panics again and again: a panic that is caught leaks nothing. Its own binary,
//! since the allocator and the panic hook are the process's.
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
    /// The bytes that this thread took, less those that it gave back.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
unsafe impl GlobalAlloc for Counting {
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

/// How much more memory this thread holds after 1 000 calls than after the first.
fn growth(call: impl Fn()) -> isize {
    call();
    let before = HELD.get();
    (0..1_000).for_each(|_| call());
    HELD.get() - before
}

#[test]
fn panics_that_are_caught_leak_no_memory() {
    let reporter = sessionless_to(Config::new("tml-example").base_url("http://127.0.0.1:9")).start().unwrap();
    let loud = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let growths = [
        growth(|| _ = reporter.log("literal", PanicsWithLiteral, Severity::Info)),
        growth(|| _ = reporter.log("text", PanicsWithText, Severity::Info)),
        growth(|| _ = reporter.log_exception(&support::Panics, Severity::Info)),
    ];
    panic::set_hook(loud);
    assert_eq!(growths, [0, 0, 0]);
    assert_eq!(reporter.stats().refused.invalid_data, 3 * 1_001);
}
