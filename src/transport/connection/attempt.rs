//! What a connection has seen of the attempt that it carries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The client's current attempt. Shared by its connections.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Attempt(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    number: u64,
    end: Instant,
    is_stale_reuse: bool,
    /// The request's head has left.
    has_sent_head: bool,
}

impl Attempt {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            number: 0,
            end: Instant::now(),
            is_stale_reuse: false,
            has_sent_head: false,
        })))
    }

    /// The next attempt begins, and may last until `end`.
    pub(in crate::transport) fn begin(&self, end: Instant) {
        let mut state = self.state();
        *state = State { number: state.number + 1, end, is_stale_reuse: false, has_sent_head: false };
    }

    /// Whether the request went over a kept connection and no byte came back.
    pub(in crate::transport) fn is_stale_reuse(&self) -> bool {
        self.state().is_stale_reuse
    }

    pub(super) fn number(&self) -> u64 {
        self.state().number
    }

    pub(super) fn time_left(&self) -> Duration {
        self.state().end.saturating_duration_since(Instant::now())
    }

    /// Bytes are sent over a connection that was made for attempt `made_for`.
    pub(super) fn sends_over_connection_of(&self, made_for: u64) {
        let mut state = self.state();
        state.is_stale_reuse = state.number > made_for;
    }

    /// The head leaves. Whether it is the attempt's first.
    pub(super) fn sends_head(&self) -> bool {
        !std::mem::replace(&mut self.state().has_sent_head, true)
    }

    /// Bytes have come back.
    pub(super) fn receives(&self) {
        self.state().is_stale_reuse = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
