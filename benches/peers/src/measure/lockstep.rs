//! Threads that begin together, again and again.

use std::hint;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Let `threads` threads do `work(thread, round)` for each round, beginning within nanoseconds of each other, and
/// `between()` after each round while they wait. Returns what each thread made, in the order of the rounds.
///
/// The threads live through all rounds, as a program's do: what a client keeps per thread is kept.
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
                    // Leaving a barrier takes as long as waking does: the last steps are taken awake.
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
        // A thread that panicked has broken the measurement: so does this.
        handles
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
