//! Counts the bytes that a program holds. A test binary that includes this file has it as its allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// The bytes that all threads hold, except those that are left out.
static HELD: AtomicIsize = AtomicIsize::new(0);
/// The maximum of `HELD` since the last peak began.
static PEAK: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static IS_LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// A block of this size is moved by its pages. Of a smaller one there may be two for a moment, when it grows.
const MOVED_BY_PAGES: usize = 128 * 1024;

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What this thread allocates does not count.
pub fn leave_out_this_thread() {
    IS_LEFT_OUT.set(true);
}

/// The most that the program holds at once, from when this was made.
pub struct Peak {
    before: isize,
}

impl Peak {
    pub fn begin() -> Self {
        let before = HELD.load(Relaxed);
        PEAK.store(before, Relaxed);
        Self { before }
    }

    /// How much more that was than at the beginning.
    pub fn bytes(&self) -> isize {
        PEAK.load(Relaxed) - self.before
    }
}

fn count(allocated: usize, freed: usize) {
    if !IS_LEFT_OUT.get() {
        let signed = |bytes: usize| isize::try_from(bytes).unwrap_or(isize::MAX);
        let change = signed(allocated) - signed(freed);
        PEAK.fetch_max(HELD.fetch_add(change, Relaxed) + change, Relaxed);
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < MOVED_BY_PAGES {
            count(size, 0);
        }
        let block = unsafe { System.realloc(block, layout, size) };
        let allocated = if layout.size() < MOVED_BY_PAGES { 0 } else { size };
        count(allocated, layout.size());
        block
    }
}
