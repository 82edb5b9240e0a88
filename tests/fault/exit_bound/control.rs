//! How late this machine is, measured beside what is measured: a promise in milliseconds cannot be held to on a
//! machine that was busy with something else, and must not be excused on one that was not.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Short enough that a stall of the machine in any part of a measurement delays the end of some wait.
const STEP: Duration = Duration::from_millis(5);
/// A busy core makes late what wakes there and nothing else, so there is more than one.
const TWINS: usize = 3;

/// The machine, for a test that times something or keeps every core busy: not two of them at once.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that do nothing but wait on a condvar, and note how much too late they are woken: one in steps, the others
/// for as long as what is measured may take.
#[derive(Debug)]
pub(crate) struct Control {
    over: Arc<(Mutex<bool>, Condvar)>,
    threads: Vec<JoinHandle<Duration>>,
}

impl Control {
    pub(crate) fn start(limit: Duration) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = std::iter::once(STEP).chain([limit; TWINS]);
        let threads = waits.map(|wait| {
            let over = Arc::clone(&over);
            thread::spawn(move || worst_lateness(&over, wait))
        });
        Self { threads: threads.collect(), over }
    }

    /// The worst lateness since the start.
    pub(crate) fn finish(self) -> Duration {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        self.threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
    }
}

fn worst_lateness((over, changed): &(Mutex<bool>, Condvar), wait: Duration) -> Duration {
    let mut worst = Duration::ZERO;
    let mut ended = over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*ended {
        let started = Instant::now();
        // Half a millisecond: a wait of 0 is not to be repeated without end.
        let waited = changed.wait_timeout(ended, wait.max(Duration::from_micros(500)));
        worst = worst.max(started.elapsed().saturating_sub(wait));
        ended = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    worst
}
