//! What is kept in memory: the newest requests, within bounds.
//!
//! A reader holds only a position. One that falls behind costs no memory; it learns how much it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Received;

/// As many events as the page shows without effort.
const MAX_EVENTS: usize = 100_000;
/// Room for events of 2.5 KB each.
const MAX_BYTES: usize = 256 << 20;

#[derive(Debug, Default)]
pub struct Ring {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Arc<Received>>,
    /// The position of the oldest request that is kept.
    first: u64,
    events: usize,
    bytes: usize,
    forgotten: u64,
    /// Changes whenever readers have something new to say.
    version: u64,
}

/// What a reader gets for its position.
#[derive(Debug)]
pub struct Snapshot {
    pub requests: Vec<Arc<Received>>,
    /// The position to go on from.
    pub next: u64,
    pub version: u64,
    /// Events forgotten since the start, by all.
    pub forgotten: u64,
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, received: Received) {
        let mut state = self.lock();
        state.events += received.len();
        state.bytes += received.bytes();
        state.kept.push_back(Arc::new(received));
        while state.events > MAX_EVENTS || state.bytes > MAX_BYTES {
            let Some(oldest) = state.kept.pop_front() else { break };
            state.first += 1;
            state.events -= oldest.len();
            state.bytes -= oldest.bytes();
            state.forgotten += oldest.len() as u64;
        }
        state.version += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Wakes every reader, for news that are not events.
    pub fn touch(&self) {
        self.lock().version += 1;
        self.changed.notify_all();
    }

    /// What is kept from `position` on, up to about `limit` bytes and at least one request.
    pub fn read(&self, position: u64, limit: usize) -> Snapshot {
        Self::take(&self.lock(), position, limit)
    }

    /// The same, once the version is no longer `seen` or the time is over.
    pub fn wait(&self, position: u64, limit: usize, seen: u64, time: Duration) -> Snapshot {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| state.version == seen)
            .unwrap_or_else(PoisonError::into_inner);
        Self::take(&state, position, limit)
    }

    fn take(state: &State, position: u64, limit: usize) -> Snapshot {
        let from = position.max(state.first);
        let skip = usize::try_from(from - state.first).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let requests: Vec<_> = (state.kept.iter().skip(skip))
            .take_while(|request| {
                let takes = bytes < limit;
                bytes += request.bytes();
                takes
            })
            .cloned()
            .collect();
        let next = from.min(state.first + state.kept.len() as u64) + requests.len() as u64;
        Snapshot { requests, next, version: state.version, forgotten: state.forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Received {
        Received::kept(text)
    }

    #[test]
    fn forgets_the_oldest_past_a_hundred_thousand_events_and_counts_them() {
        let ring = Ring::default();
        for _ in 0..MAX_EVENTS + 7 {
            ring.push(kept("{}"));
        }
        let all = ring.read(0, usize::MAX);
        assert_eq!((all.requests.len(), all.forgotten, all.next), (MAX_EVENTS, 7, MAX_EVENTS as u64 + 7));
    }

    #[test]
    fn forgets_the_oldest_past_its_bytes() {
        let ring = Ring::default();
        let large = "x".repeat(64 << 20);
        for _ in 0..5 {
            ring.push(kept(&large));
        }
        assert_eq!(ring.read(0, usize::MAX).forgotten, 2);
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let ring = Ring::default();
        ring.push(kept("{\"a\":1}"));
        let first = ring.read(0, usize::MAX);
        assert_eq!(first.requests.len(), 1);
        ring.push(kept("{\"a\":2}"));
        let second = ring.wait(first.next, usize::MAX, first.version, Duration::from_secs(60));
        assert_eq!((second.requests.len(), second.next), (1, 2));
        assert_eq!(ring.read(99, usize::MAX).next, 2, "a position of the future is the end");
    }

    #[test]
    fn a_read_is_bounded_and_never_stuck() {
        let ring = Ring::default();
        ring.push(kept(&"x".repeat(5_000)));
        ring.push(kept(&"x".repeat(5_000)));
        assert_eq!(ring.read(0, 10).requests.len(), 1);
    }
}
