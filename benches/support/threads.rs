//! Threads that log together. A barrier alone wakes them one after another, and a short piece of work is done by the first
//! before the last has begun.

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Until the scheduler has given every thread a core of its own: two that share one wait for each other for a tick.
const SETTLED: Duration = Duration::from_millis(30);

/// On each of so many threads, when all have done `before`, runs `run` from the same instant on, for which they wait
/// awake. Returns what each made.
///
/// Threads beyond the number of cores still take turns: they begin when the scheduler gives them their first one.
pub fn on_threads<T: Send>(threads: usize, before: impl Fn() + Sync, run: impl Fn() -> T + Sync) -> Vec<T> {
    let gate = Barrier::new(threads);
    let begin = OnceLock::new();
    let one = || {
        // A panic is kept until all are through the gates: the others would wait there for good.
        let ready = catch_unwind(AssertUnwindSafe(&before));
        gate.wait();
        let begin = *begin.get_or_init(|| Instant::now() + SETTLED);
        while Instant::now() < begin {
            hint::spin_loop();
        }
        let made = ready.and_then(|()| catch_unwind(AssertUnwindSafe(&run)));
        // Whoever is done waits for the rest: a thread that ends wakes the one that collects, which may be given the
        // core of one that still measures.
        gate.wait();
        made
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let made = running.into_iter().map(|thread| thread.join().and_then(|made| made));
        made.map(|made| made.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
