//! Memory that is written to from its beginning: what a thread makes its events in, one after the other.

use std::cell::Cell;

/// Enough for most events.
const FIRST_SIZE: usize = 256;

/// What grew for one event serves the next ones up to this size: little for an idle thread.
const LARGEST_KEPT: usize = 16 * 1024;

thread_local! {
    static OWN: Cell<Option<Box<Buffer>>> = const { Cell::new(None) };
}

/// What was written, and room for more.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// All of it can be written to: it is zeros, or what is left of earlier events. Writing the zeros also brings the
    /// memory into this core's cache; without that, a call now and then took twice as long.
    bytes: Vec<u8>,
    written: usize,
}

impl Buffer {
    /// The thread's own, with nothing written. While the thread's locals are torn down it has none, and the event pays
    /// for one.
    #[inline]
    #[expect(
        clippy::unnecessary_box_returns,
        reason = "moved as one word; by value a call took a fifth longer"
    )]
    pub(crate) fn take() -> Box<Self> {
        OWN.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    /// Not the thread's own, but one that goes elsewhere, and need not grow before it holds so much.
    pub(crate) fn with_room(len: usize) -> Self {
        Self { bytes: vec![0; len], written: 0 }
    }

    /// Leaves it to the thread, and forgets what was written.
    #[inline]
    pub(crate) fn give_back(mut self: Box<Self>) {
        self.written = 0;
        if self.bytes.len() > LARGEST_KEPT {
            self.bytes = Vec::new();
        }
        let _ = OWN.try_with(|own| own.set(Some(self)));
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.written]
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.written
    }

    /// Forgets what was written past this length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.written = self.written.min(len);
    }

    /// The next so many bytes, to be written to; `None` where the buffer has to grow first.
    #[inline]
    pub(crate) fn next(&mut self, len: usize) -> Option<&mut [u8]> {
        let next = self.bytes[self.written..].get_mut(..len)?;
        self.written += len;
        Some(next)
    }

    #[inline]
    pub(crate) fn put(&mut self, part: &[u8]) {
        let Some(room) = self.next(part.len()) else {
            self.grow(part.len());
            return self.put(part);
        };
        room.copy_from_slice(part);
    }

    /// Puts a part before what was written from `at` on.
    pub(crate) fn insert(&mut self, at: usize, part: &[u8]) {
        let after = at + part.len();
        self.put(part);
        self.bytes.copy_within(at..self.written - part.len(), after);
        self.bytes[at..after].copy_from_slice(part);
    }

    /// All that can be written to without growing.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.written..]
    }

    /// Makes room for so many bytes.
    #[cold]
    pub(crate) fn grow(&mut self, by: usize) {
        let size = (2 * (self.written + by)).max(FIRST_SIZE);
        self.bytes.resize(size, 0);
    }
}

#[cfg(test)]
impl Buffer {
    /// How much it can hold without growing.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests;
