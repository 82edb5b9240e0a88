//! When a replay runs: one at a time, on a thread of its own, which exists only while there is something to send. So a
//! mute server (one that takes a request and never answers) delays neither the program's own events nor its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::process::catch_panic::catch_panic;
use crate::process::fork;
use crate::spool::replay::{ReplayEnd, Seen};

/// How long after a replay the next one may look for a file that another process had locked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The replays of one reporter, one after another, each on a thread of its own.
pub(crate) struct Replays {
    run: Arc<dyn Fn() -> Result<Seen, ReplayEnd> + Send + Sync>,
    state: Arc<State>,
    last_start: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    phase: AtomicU8,
    /// The server refused the key.
    is_over: AtomicBool,
    /// The last replay left a file to the process that had locked it, or there was no thread for it.
    wants_look: AtomicBool,
}

/// No replay runs.
const IDLE: u8 = 0;
/// One runs.
const RUNNING: u8 = 1;
/// One runs, and another follows it: a file may have become free that the first has passed.
const WANTED: u8 = 2;

impl Replays {
    /// `run` is what a replay does.
    pub(crate) fn new(run: impl Fn() -> Result<Seen, ReplayEnd> + Send + Sync + 'static) -> Self {
        Self { run: Arc::new(run), state: Arc::default(), last_start: None }
    }

    /// Starts a replay, after the one that runs, if one does.
    pub(crate) fn start(&mut self) {
        if self.state.is_over.load(Ordering::Relaxed) || !self.state.begin() {
            return;
        }
        self.last_start = Some(Instant::now());
        let (run, state) = (Arc::clone(&self.run), Arc::clone(&self.state));
        let replays = move || {
            loop {
                let end = catch_panic(&*run);
                let has_locked = matches!(end, Some(Ok(Seen { has_locked: true })));
                state.wants_look.store(has_locked, Ordering::Relaxed);
                let is_over = matches!(end, Some(Err(ReplayEnd::Unauthorized)));
                state.is_over.store(is_over, Ordering::Relaxed);
                if state.end() || is_over {
                    break;
                }
            }
        };
        if fork::start_thread("tinker-replay", replays).is_err() {
            self.state.wants_look.store(true, Ordering::Relaxed);
            self.state.end();
        }
    }

    /// The same, if the last replay left a file to the process that had locked it, which may have ended since.
    pub(crate) fn look_again(&mut self) {
        let is_soon = self.last_start.is_some_and(|start| start.elapsed() < LOOK_AGAIN);
        if !is_soon && self.state.wants_look.swap(false, Ordering::Relaxed) {
            self.start();
        }
    }
}

impl State {
    /// Whether a replay may start now. If one runs, another follows it.
    fn begin(&self) -> bool {
        let next = |phase| Some(if phase == IDLE { RUNNING } else { WANTED });
        self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(IDLE)
    }

    /// A replay has ended. `false`: another one is wanted.
    fn end(&self) -> bool {
        let next = |phase| Some(if phase == WANTED { RUNNING } else { IDLE });
        self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) != Ok(WANTED)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Replays that end as the test says, and what tells that one has begun.
    fn replays() -> (Replays, mpsc::Sender<Result<Seen, ReplayEnd>>, mpsc::Receiver<()>) {
        let ((says, ends), (begins, begun)) = (mpsc::channel(), mpsc::channel());
        let ends = std::sync::Mutex::new(ends);
        let run = move || {
            begins.send(()).unwrap();
            ends.lock().unwrap().recv_timeout(LIMIT).unwrap()
        };
        (Replays::new(run), says, begun)
    }

    fn is_running(replays: &Replays) -> bool {
        replays.state.phase.load(Ordering::Acquire) != IDLE
    }

    fn wait_until_idle(replays: &Replays) {
        let began = Instant::now();
        while is_running(replays) {
            assert!(began.elapsed() < LIMIT);
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_replay_runs_at_a_time_and_one_more_follows_it_if_any_was_wanted() {
        let (mut replays, says, begun) = replays();
        for _ in 0..3 {
            replays.start();
        }
        begun.recv_timeout(LIMIT).unwrap();
        says.send(Ok(Seen::default())).unwrap();
        begun.recv_timeout(LIMIT).unwrap();
        says.send(Err(ReplayEnd::Later)).unwrap();
        wait_until_idle(&replays);
        assert!(begun.try_recv().is_err());
        replays.start();
        begun.recv_timeout(LIMIT).unwrap();
    }

    #[test]
    fn after_a_panic_there_are_more_replays_and_after_a_refused_key_there_are_none() {
        let (mut replays, says, begun) = replays();
        replays.start();
        begun.recv_timeout(LIMIT).unwrap();
        drop(says); // each replay panics
        wait_until_idle(&replays);
        replays.start();
        begun.recv_timeout(LIMIT).unwrap();
        let (mut replays, says, begun) = self::replays();
        for end in [Ok(Seen::default()), Err(ReplayEnd::Unauthorized)] {
            replays.start();
            begun.recv_timeout(LIMIT).unwrap();
            says.send(end).unwrap();
            wait_until_idle(&replays);
        }
        replays.start();
        assert!(!is_running(&replays));
        assert!(begun.try_recv().is_err());
    }

    #[test]
    fn only_a_file_that_was_locked_is_looked_for_again_and_not_at_once() {
        let (mut replays, says, begun) = replays();
        let replay = |replays: &mut Replays, has_locked| {
            replays.start();
            begun.recv_timeout(LIMIT).unwrap();
            says.send(Ok(Seen { has_locked })).unwrap();
            wait_until_idle(replays);
            replays.look_again();
            assert!(!is_running(replays), "too soon");
            replays.last_start = replays.last_start.and_then(|start| start.checked_sub(LOOK_AGAIN));
            replays.look_again();
            is_running(replays)
        };
        assert!(!replay(&mut replays, false));
        assert!(replay(&mut replays, true));
        says.send(Ok(Seen::default())).unwrap();
    }
}
