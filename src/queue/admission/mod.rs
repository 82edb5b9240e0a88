//! The door: one atomic word that says whether the reporter is open and how much is pending.
//!
//! A caller takes room for an event with one compare-and-swap and no lock; the room is given back when the
//! event has its fate, so what the word holds *is* what is pending. Closing sets a bit in the same word: an
//! event is either admitted before the close, and counted, or refused by it. There is no third way.
//!
//! Whoever is let in draws a sequence: the order of events, whichever thread they are of.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::model::stats::RefusalReason;

// The word, from the top: 1 bit closed, 23 bits events, 40 bits bytes.
const BYTES_BITS: u32 = 40;
const BYTES: u64 = (1 << BYTES_BITS) - 1;
const ONE_EVENT: u64 = 1 << BYTES_BITS;
const CLOSED: u64 = 1 << 63;

/// The most events that limits may name: half of what the word can count, far from its overflow.
pub(crate) const MAX_EVENTS: usize = 1 << 22;
/// The most bytes that limits may name, likewise.
pub(crate) const MAX_BYTES: u64 = 1 << 39;

/// Room that ordinary events cannot take: a fatal exception is what nobody wants to lose to a full queue. A thread that
/// reports one waits for it, so this many threads would have to be dying at once.
pub(crate) const RESERVED_EVENTS: usize = 512;
/// The same in bytes: some fifty exceptions as large as they may be, all of those 512 if they are of the usual size.
const RESERVED_BYTES: u64 = 4 * 1024 * 1024;
/// Session start and session end: one each, on top of all others.
pub(crate) const SESSION_EVENTS: usize = 2;

/// How far into the queue an event may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Up to the limits.
    Ordinary,
    /// Into the reserved room as well.
    Fatal,
    /// Past the reserved room.
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

    /// Whether this is enough to be worth a request.
    fn reaches(self, threshold: Load) -> bool {
        self.events >= threshold.events || self.bytes >= threshold.bytes
    }
}

#[derive(Debug)]
pub(crate) struct Admission {
    counts: Counts,
    /// Whether there may be no room, and the word is worth a look.
    may_be_shut: AtomicBool,
    limits: Load,
    threshold: Load,
}

/// What every caller writes, in a cache line of its own: what they only read stays with each of them.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts {
    word: AtomicU64,
    sequences: AtomicU64,
}

/// What a caller who is let in is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// From 0, one more for each event.
    pub(crate) sequence: u64,
    /// With this event the pending ones reach the threshold, so the caller is the one to wake the worker.
    pub(crate) is_due: bool,
}

impl Admission {
    pub(crate) fn new(limits: Load, threshold: Load) -> Self {
        Self { counts: Counts::default(), may_be_shut: AtomicBool::new(false), limits, threshold }
    }

    /// Takes room for one event.
    pub(crate) fn admit(&self, bytes: u64, lane: Lane) -> Result<Grant, RefusalReason> {
        let limits = self.limits_of(lane);
        let Counts { word: shared, sequences } = &self.counts;
        let mut word = shared.load(Ordering::Relaxed);
        loop {
            let held = has_room(word, limits, bytes).inspect_err(|_| self.suspect())?;
            let next = word + ONE_EVENT + bytes;
            match shared.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if has_room(next, self.limits, 0).is_err() {
                        self.suspect();
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

    /// How many sequences were drawn.
    pub(crate) fn admitted(&self) -> u64 {
        self.counts.sequences.load(Ordering::Relaxed)
    }

    /// Whether an event of the smallest size would be let in now: what would not need not be encoded first. It may be
    /// wrong; [`admit`](Self::admit) decides. It reads the word only where there may be no room: reading pulls the
    /// cache line from the threads that write it, and four threads that read it before they wrote took twice as long.
    #[inline]
    pub(crate) fn is_open(&self, lane: Lane) -> Result<(), RefusalReason> {
        if !self.may_be_shut.load(Ordering::Relaxed) {
            return Ok(());
        }
        has_room(self.counts.word.load(Ordering::Relaxed), self.limits_of(lane), 0).map(|_| ())
    }

    fn limits_of(&self, lane: Lane) -> Load {
        let (events, bytes) = match lane {
            Lane::Ordinary => (0, 0),
            Lane::Fatal => (RESERVED_EVENTS, RESERVED_BYTES),
            Lane::Session => (RESERVED_EVENTS + SESSION_EVENTS, 2 * RESERVED_BYTES),
        };
        Load { events: self.limits.events + events as u64, bytes: self.limits.bytes + bytes }
    }

    /// Gives room back: these events have their fate.
    pub(crate) fn release(&self, load: Load) {
        let word = self.counts.word.fetch_sub(load.as_word(), Ordering::AcqRel);
        if word & CLOSED == 0 && self.may_be_shut.load(Ordering::Relaxed) {
            self.may_be_shut.store(false, Ordering::Relaxed);
        }
    }

    #[cold]
    fn suspect(&self) {
        if !self.may_be_shut.load(Ordering::Relaxed) {
            self.may_be_shut.store(true, Ordering::Relaxed);
        }
    }

    /// From now on every event is refused as `stopped`.
    pub(crate) fn close(&self) {
        self.counts.word.fetch_or(CLOSED, Ordering::AcqRel);
        self.suspect();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.counts.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// What is admitted and without a fate.
    pub(crate) fn pending(&self) -> Load {
        Load::from_word(self.counts.word.load(Ordering::Acquire))
    }

    /// Whether enough is pending to be worth a request: as much as was set, or so much that an event found no room.
    pub(crate) fn is_due(&self) -> bool {
        let pending = self.pending();
        pending.reaches(self.threshold) || (pending.events > 0 && self.may_be_shut.load(Ordering::Relaxed))
    }
}

/// What the word holds, where one event more of this size is within the limits.
fn has_room(word: u64, limits: Load, bytes: u64) -> Result<Load, RefusalReason> {
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
