//! A thread that waits until a flush is done.

use std::time::Instant;

use super::Ledger;

/// A thread that waits for a flush, as long as this lives.
pub(crate) struct Waiter<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) began: Instant,
}

impl Waiter<'_> {
    /// Waits for a flush, until the deadline at most. `true`: it is done. `false` comes sooner than the deadline if the wait
    /// is in vain: every batch on its way waits for a retry past the deadline, or no server answers.
    pub(crate) fn wait_flushed(&self, flush: u64, deadline: Instant) -> bool {
        let mut state = self.ledger.state();
        loop {
            if state.finished || state.flushes_done >= flush {
                return true;
            }
            // With nothing pending the flush is about to be done.
            let is_pending = self.ledger.has_pending();
            let end = if is_pending { state.wait_ends_at(self.began, deadline) } else { deadline };
            let now = Instant::now();
            if now >= end {
                state.outage.wait_failed(self.began, now);
                return false;
            }
            state = self.ledger.wait_for_change(state, end);
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let waiting = &mut self.ledger.state().waiting;
        if let Some(at) = waiting.iter().position(|began| *began == self.began) {
            waiting.swap_remove(at);
        }
    }
}
