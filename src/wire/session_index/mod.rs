//! The numbers that events bear in their session: a reader of the backend sees by them what is missing, and where.

/// Numbers events in the order of their sequences. An event that was refused has used its number up as well: each event
/// says how many had been refused when it was offered, and as many numbers are left out before it.
///
/// The worker's, so that callers share no count of refused and accepted together.
#[derive(Debug, Default)]
pub(crate) struct SessionIndex {
    /// Past 0 in a forked child, which carries the session on, and one more with each event.
    next: u64,
    left_out: u64,
}

impl SessionIndex {
    pub(crate) fn from(first: u64) -> Self {
        Self { next: first, left_out: 0 }
    }

    /// The number of the next event, before which so many had been refused.
    pub(crate) fn next(&mut self, refused: u64) -> u64 {
        // An event may be queued behind one that was offered later, and saw more refusals.
        self.left_out = self.left_out.max(refused);
        let number = self.next.wrapping_add(self.left_out);
        self.next = self.next.wrapping_add(1);
        number
    }
}

#[cfg(test)]
mod tests;
