//! The numbers that events bear in their session: a reader of the backend sees by them what is missing, and where.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers events in the order in which they were queued. An event that was refused has used its number up as well:
/// each event says how many had been refused when it was offered, and as many numbers are left out before it.
///
/// So the worker numbers them, and callers share no count: on two threads that log as fast as they can, one cost each
/// call a third more.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Past 0 in a forked child, which carries the session on.
    first: u64,
    given: AtomicU64,
    left_out: AtomicU64,
}

impl Numbers {
    pub(crate) fn from(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// The number of the next event, before which so many had been refused. The worker's alone: no two threads may ask
    /// at once.
    pub(crate) fn next(&self, refused: u64) -> u64 {
        // An event may be queued behind one that was offered later, and saw more refusals.
        let left_out = self.left_out.load(Ordering::Relaxed).max(refused);
        let given = self.given.load(Ordering::Relaxed);
        self.left_out.store(left_out, Ordering::Relaxed);
        self.given.store(given + 1, Ordering::Relaxed);
        self.first.wrapping_add(given).wrapping_add(left_out)
    }

    /// The number that an event offered now would bear, behind so many in the queue.
    pub(crate) fn behind(&self, queued: u64, refused: u64) -> u64 {
        self.first + self.given.load(Ordering::Relaxed) + queued + refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_events_use_their_numbers_up_and_no_number_is_given_twice() {
        let numbers = Numbers::from(0);
        assert_eq!([0, 0, 2, 2, 1, 5].map(|refused| numbers.next(refused)), [0, 1, 4, 5, 6, 10]);
        assert_eq!(numbers.behind(3, 7), 6 + 3 + 7);
    }

    #[test]
    fn a_child_goes_on_from_where_the_session_was() {
        let parent = Numbers::from(0);
        assert_eq!(parent.next(1), 1);
        let child = Numbers::from(parent.behind(0, 1));
        assert_eq!([0, 1].map(|refused| child.next(refused)), [2, 4]);
    }
}
