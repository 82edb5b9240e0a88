//! How late this machine is, measured beside what is measured: a promise in milliseconds cannot be held to on a
//! machine that was busy with something else, and must not be excused on one that was not.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Short enough that a stall of the machine in any part of a measurement delays the end of some wait.
const STEP: Duration = Duration::from_millis(5);

/// The machine, for a test that times something or keeps every core busy: not two of them at once.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that does nothing but wait on a condvar, and notes how much too late it is woken.
#[derive(Debug)]
pub(crate) struct Control {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<Duration>,
}

impl Control {
    pub(crate) fn start() -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || worst_lateness(&over)
        });
        Self { over, thread }
    }

    /// The worst lateness since the start.
    pub(crate) fn finish(self) -> Duration {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        self.thread.join().unwrap_or_default()
    }
}

fn worst_lateness((over, changed): &(Mutex<bool>, Condvar)) -> Duration {
    let mut worst = Duration::ZERO;
    let mut ended = over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*ended {
        let started = Instant::now();
        let waited = changed.wait_timeout(ended, STEP).unwrap_or_else(PoisonError::into_inner);
        worst = worst.max(started.elapsed().saturating_sub(STEP));
        ended = waited.0;
    }
    worst
}
