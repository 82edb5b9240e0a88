//! The numbers of events within their session. A gap shows that events are missing, and where.

/// Numbers events in the order of their sequences. A refused event uses a number too: each event knows how many had been
/// refused when it was offered, and so many numbers are left out before it.
///
/// The worker does this, so that callers need no common count of accepted and refused events.
#[derive(Debug, Default)]
pub(crate) struct SessionIndex {
    /// The number of the next event, if none were left out. It begins past 0 in a forked child, which continues the
    /// session.
    next: u64,
    /// How many numbers were left out so far.
    left_out: u64,
}

impl SessionIndex {
    pub(crate) fn from(first: u64) -> Self {
        Self { next: first, left_out: 0 }
    }

    /// The number of the next event. `refused` is how many had been refused before it.
    pub(crate) fn next(&mut self, refused: u64) -> u64 {
        // An event may be queued behind one that was offered later and saw more refusals.
        self.left_out = self.left_out.max(refused);
        let number = self.next.wrapping_add(self.left_out);
        self.next = self.next.wrapping_add(1);
        number
    }
}

#[cfg(test)]
mod tests;
