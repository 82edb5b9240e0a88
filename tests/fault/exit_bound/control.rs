//! Measures how late the machine is, at the same time as the test's own measurement. On a busy machine no promise in
//! milliseconds can hold. On an idle machine it must.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Short, so that a pause of the machine at any point of a measurement delays one of these waits.
const STEP: Duration = Duration::from_millis(5);
/// The number of long waits. A busy core delays only the threads that wake on it, so there is more than one.
const LONG_WAITS: usize = 3;

/// A lock for each test that times something or keeps every core busy. No two of them run at once.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that only wait on a condvar and record how late they wake. One waits in short steps, the others wait for the
/// limit of the measurement.
#[derive(Debug)]
pub(crate) struct Control {
    is_over: Arc<(Mutex<bool>, Condvar)>,
    threads: Vec<JoinHandle<Duration>>,
}

impl Control {
    pub(crate) fn start(limit: Duration) -> Self {
        let is_over = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = std::iter::once(STEP).chain([limit; LONG_WAITS]);
        let threads = waits.map(|wait| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || worst_lateness(&is_over, wait))
        });
        Self { threads: threads.collect(), is_over }
    }

    /// The worst lateness since the start.
    pub(crate) fn finish(self) -> Duration {
        *self.is_over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.is_over.1.notify_all();
        self.threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
    }
}

fn worst_lateness((is_over, changed): &(Mutex<bool>, Condvar), wait: Duration) -> Duration {
    let mut worst = Duration::ZERO;
    let mut ended = is_over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*ended {
        let started = Instant::now();
        // At least half a millisecond, since the loop would spin with a wait of 0.
        let waited = changed.wait_timeout(ended, wait.max(Duration::from_micros(500)));
        worst = worst.max(started.elapsed().saturating_sub(wait));
        ended = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    worst
}
