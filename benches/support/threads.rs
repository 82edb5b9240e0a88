//! Threads that begin at the same moment. A barrier alone wakes them one after the other, and the first would have
//! finished a short piece of work before the last begins.

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How long the scheduler may take to give every thread a core of its own. Two threads on one core wait for each other
/// for a scheduler tick.
const SETTLED: Duration = Duration::from_millis(30);

/// Starts this many threads. When all have done `before`, they spin until the same instant and then do `run`. Returns
/// the results.
///
/// If there are more threads than cores, they still take turns: the others begin when the scheduler gives them a core.
pub fn on_threads<T: Send>(threads: usize, before: impl Fn() + Sync, run: impl Fn() -> T + Sync) -> Vec<T> {
    let gate = Barrier::new(threads);
    let begin = OnceLock::new();
    let one = || {
        // A panic is kept until all threads have passed the gates. Otherwise the others would wait there for ever.
        let ready = catch_unwind(AssertUnwindSafe(&before));
        gate.wait();
        let begin = *begin.get_or_init(|| Instant::now() + SETTLED);
        while Instant::now() < begin {
            hint::spin_loop();
        }
        let made = ready.and_then(|()| catch_unwind(AssertUnwindSafe(&run)));
        // A thread that has finished waits for the others. If it ended, it would wake the thread that collects the
        // results, which could take the core of a thread that still measures.
        gate.wait();
        made
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let made = running.into_iter().map(|thread| thread.join().and_then(|made| made));
        made.map(|made| made.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
