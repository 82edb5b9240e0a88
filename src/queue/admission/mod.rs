//! Admits events: one atomic word holds how much is pending and whether the reporter is closed.
//!
//! A caller takes room for an event with one compare-and-swap and no lock. The room is given back when the event has
//! its fate, so what the word holds *is* what is pending. Closing sets a bit of the same word: an event is either
//! admitted before the close, and counted, or refused because of it.
//!
//! An admitted event draws a sequence number: the order of events, whichever thread they are from.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::model::stats::RefusalReason;

// The word, from the highest bit: 1 bit closed, 23 bits events, 40 bits bytes.
const BYTES_BITS: u32 = 40;
const BYTES: u64 = (1 << BYTES_BITS) - 1;
const ONE_EVENT: u64 = 1 << BYTES_BITS;
const CLOSED: u64 = 1 << 63;

/// The highest limit on events: half of what the word can count, far from its overflow.
pub(crate) const MAX_EVENTS: usize = 1 << 22;
/// The highest limit on bytes, likewise.
pub(crate) const MAX_BYTES: u64 = 1 << 39;

/// Room that ordinary events cannot take, so that a full queue does not cost a program its fatal exception. A thread
/// that reports one waits for it, so it would take this many threads dying at once to fill the room.
pub(crate) const RESERVED_EVENTS: usize = 512;
/// The same in bytes: some fifty exceptions of the largest size, or all of those 512 at their usual size.
const RESERVED_BYTES: u64 = 4 * 1024 * 1024;
/// Room for one session start and one session end, on top of all other room.
pub(crate) const SESSION_EVENTS: usize = 2;

/// Which room an event may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The room within the limits.
    Ordinary,
    /// The reserved room as well.
    Fatal,
    /// The room past the reserved room as well.
    Session,
}

/// A number of events and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Load {
    fn from_word(word: u64) -> Self {
        Self { events: (word & !CLOSED) >> BYTES_BITS, bytes: word & BYTES }
    }

    fn as_word(self) -> u64 {
        self.events * ONE_EVENT + self.bytes
    }

    /// What is left if `part` is taken away. Nothing if less is there.
    pub(crate) fn without(self, part: Self) -> Self {
        let events = self.events.saturating_sub(part.events);
        Self { events, bytes: self.bytes.saturating_sub(part.bytes) }
    }

    /// Whether this is enough for a request.
    fn reaches(self, threshold: Load) -> bool {
        self.events >= threshold.events || self.bytes >= threshold.bytes
    }
}

#[derive(Debug)]
pub(crate) struct Admission {
    counts: Counts,
    /// Whether the word may leave no room for an event. A hint, which spares callers a look at the word.
    may_be_full: AtomicBool,
    limits: Load,
    /// What must be pending before the worker is woken.
    threshold: Load,
}

/// What every caller writes. In cache lines of its own, so that what callers only read stays in each core's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts {
    word: AtomicU64,
    /// How many sequences were drawn.
    sequences: AtomicU64,
}

/// What the caller of an admitted event gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// 0 for the first event, and one more for each.
    pub(crate) sequence: u64,
    /// Whether this event makes the pending ones reach the threshold. If so, its caller wakes the worker.
    pub(crate) is_due: bool,
}

impl Admission {
    pub(crate) fn new(limits: Load, threshold: Load) -> Self {
        Self { counts: Counts::default(), may_be_full: AtomicBool::new(false), limits, threshold }
    }

    /// Takes room for one event.
    pub(crate) fn admit(&self, bytes: u64, lane: Lane) -> Result<Grant, RefusalReason> {
        let limits = self.limits_for(lane);
        let Counts { word: shared, sequences } = &self.counts;
        let mut word = shared.load(Ordering::Relaxed);
        loop {
            let held = check_room(word, limits, bytes).inspect_err(|_| self.note_may_be_full())?;
            let next = word + ONE_EVENT + bytes;
            match shared.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if check_room(next, self.limits, 0).is_err() {
                        self.note_may_be_full();
                    }
                    let reached = Load::from_word(next).reaches(self.threshold);
                    return Ok(Grant {
                        sequence: sequences.fetch_add(1, Ordering::Relaxed),
                        is_due: reached && !held.reaches(self.threshold),
                    });
                }
                Err(changed) => word = changed,
            }
        }
    }

    /// How many events were admitted.
    pub(crate) fn admitted(&self) -> u64 {
        self.counts.sequences.load(Ordering::Relaxed)
    }

    /// Whether the smallest event would be admitted now. If not, the caller need not encode its data. This may be
    /// wrong; [`admit`](Self::admit) decides. It reads the word only if there may be no room: a read takes the cache
    /// line away from the threads that write it, and four threads that read it before they wrote took twice as long.
    #[inline]
    pub(crate) fn is_open(&self, lane: Lane) -> Result<(), RefusalReason> {
        if !self.may_be_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        check_room(self.counts.word.load(Ordering::Relaxed), self.limits_for(lane), 0).map(|_| ())
    }

    fn limits_for(&self, lane: Lane) -> Load {
        let (events, bytes) = match lane {
            Lane::Ordinary => (0, 0),
            Lane::Fatal => (RESERVED_EVENTS, RESERVED_BYTES),
            Lane::Session => (RESERVED_EVENTS + SESSION_EVENTS, 2 * RESERVED_BYTES),
        };
        Load { events: self.limits.events + events as u64, bytes: self.limits.bytes + bytes }
    }

    /// Gives the room of events back that have their fate.
    pub(crate) fn release(&self, load: Load) {
        let word = self.counts.word.fetch_sub(load.as_word(), Ordering::AcqRel);
        if word & CLOSED == 0 && self.may_be_full.load(Ordering::Relaxed) {
            self.may_be_full.store(false, Ordering::Relaxed);
        }
    }

    #[cold]
    fn note_may_be_full(&self) {
        if !self.may_be_full.load(Ordering::Relaxed) {
            self.may_be_full.store(true, Ordering::Relaxed);
        }
    }

    /// Every later event is refused as `stopped`.
    pub(crate) fn close(&self) {
        self.counts.word.fetch_or(CLOSED, Ordering::AcqRel);
        self.note_may_be_full();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.counts.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// What is admitted and has no fate yet.
    pub(crate) fn pending(&self) -> Load {
        Load::from_word(self.counts.word.load(Ordering::Acquire))
    }

    /// Whether enough is pending for a request: as much as the threshold, or so much that an event found no room.
    pub(crate) fn is_due(&self) -> bool {
        let pending = self.pending();
        pending.reaches(self.threshold) || (pending.events > 0 && self.may_be_full.load(Ordering::Relaxed))
    }
}

/// Returns what the word holds, if one more event of this size is within the limits.
fn check_room(word: u64, limits: Load, bytes: u64) -> Result<Load, RefusalReason> {
    let held = Load::from_word(word);
    if word & CLOSED != 0 {
        return Err(RefusalReason::Stopped);
    }
    if held.events >= limits.events {
        return Err(RefusalReason::QueueFull);
    }
    if held.bytes + bytes > limits.bytes {
        return Err(RefusalReason::QueueBytes);
    }
    Ok(held)
}

#[cfg(test)]
mod tests;
