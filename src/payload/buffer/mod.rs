//! The memory in which a thread encodes its events, one after the other.

use std::cell::Cell;

/// Enough for most events.
const FIRST_SIZE: usize = 256;

/// A buffer that grew for one event is kept for later events up to this size: an idle thread should hold little
/// memory.
const LARGEST_KEPT: usize = 16 * 1024;

thread_local! {
    static OWN: Cell<Option<Box<Buffer>>> = const { Cell::new(None) };
}

/// Written bytes, and room for more.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// All of it can be written to: it holds zeros or the rest of earlier events. Writing the zeros also brings the
    /// memory into this core's cache; without that, some calls took twice as long.
    bytes: Vec<u8>,
    written: usize,
}

impl Buffer {
    /// The thread's own buffer, with nothing written. While the thread's locals are destroyed there is none, and the
    /// event gets a new one.
    #[inline]
    #[expect(
        clippy::unnecessary_box_returns,
        reason = "a box is moved as one word; with a buffer by value a call took a fifth longer"
    )]
    pub(crate) fn take() -> Box<Self> {
        OWN.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    /// A buffer for another use than the thread's own, with room for so many bytes.
    pub(crate) fn with_room(len: usize) -> Self {
        Self { bytes: vec![0; len], written: 0 }
    }

    /// Returns the buffer to the thread, with nothing written.
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

    /// Removes the written bytes past this length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.written = self.written.min(len);
    }

    /// The next so many bytes, for writing; `None` if the buffer must grow first.
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

    /// Inserts a part at this position.
    pub(crate) fn insert(&mut self, at: usize, part: &[u8]) {
        let after = at + part.len();
        self.put(part);
        self.bytes.copy_within(at..self.written - part.len(), after);
        self.bytes[at..after].copy_from_slice(part);
    }

    /// All bytes that can be written without growing.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.written..]
    }

    /// Makes room for so many more bytes.
    #[cold]
    pub(crate) fn grow(&mut self, by: usize) {
        let size = (2 * (self.written + by)).max(FIRST_SIZE);
        self.bytes.resize(size, 0);
    }
}

#[cfg(test)]
impl Buffer {
    /// How many bytes it can hold without growing.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests;
