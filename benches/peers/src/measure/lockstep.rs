//! Threads that begin each round together.

use std::hint;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs `work(thread, round)` on this many threads for each round. The threads begin within nanoseconds of each other.
/// Runs `between()` after each round while they wait. Returns the results of each thread, in the order of the rounds.
///
/// The threads exist for all rounds, as in a program, so a client's data per thread stays.
pub(super) fn lockstep<T: Send>(
    threads: usize,
    rounds: usize,
    work: impl Fn(usize, usize) -> T + Sync,
    between: impl Fn(),
) -> Vec<Vec<T>> {
    let gate = Barrier::new(threads + 1);
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        let run = |thread: usize| {
            let (gate, ready, work) = (&gate, &ready, &work);
            move || {
                let one = |round: usize| {
                    gate.wait();
                    // A barrier wakes its threads one after the other, so they spin until all are awake.
                    ready.fetch_add(1, Ordering::AcqRel);
                    while ready.load(Ordering::Acquire) < threads * (round + 1) {
                        hint::spin_loop();
                    }
                    let made = work(thread, round);
                    gate.wait();
                    made
                };
                (0..rounds).map(one).collect::<Vec<T>>()
            }
        };
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        for _ in 0..rounds {
            gate.wait(); // begins
            gate.wait(); // ended
            between();
        }
        // A panic of a thread breaks the measurement, so it goes on here.
        handles
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
