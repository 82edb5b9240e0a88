//! One file while its process writes to it.
//!
//! Lines are appended whole or not at all: if the disk takes only a part of them, that part is cut off again. A file
//! is removed when all of its events have their fate.

use std::io;

use crate::spool::disk::{Folder, LockedFile};
use crate::spool::line::{self, Place};
use crate::spool::store::{self, KeepError, Room};
use crate::wire::batch::Batch;

#[derive(Debug)]
pub(super) struct Journal {
    file: LockedFile,
    /// Added to the places in the file, so that no two files of a process have a place in common.
    base: Place,
    /// The end of the last whole line.
    end: Place,
    /// How many more bytes the folder may hold.
    room: u64,
    sync: Option<Synced>,
    /// The disk has refused a write. Nothing is added any more.
    is_broken: bool,
    /// Events without a fate.
    pub(super) open: u64,
    /// Those of them that this process will not send.
    pub(super) kept: u64,
    lines: Vec<u8>,
}

/// What is known to be on the disk itself.
#[derive(Debug, Default)]
struct Synced {
    end: Place,
    /// Whether the file's name is in the folder.
    has_name: bool,
    /// How many events have been added since.
    fresh: u64,
}

impl Journal {
    pub(super) fn create(
        folder: &Folder,
        room: Option<Room>,
        header: &[u8],
        base: Place,
        is_synced: bool,
    ) -> Result<Self, KeepError> {
        let (file, room) = store::create(folder, room)?;
        let mut journal = Self {
            file,
            base,
            end: 0,
            room,
            sync: is_synced.then(Synced::default),
            is_broken: false,
            open: 0,
            kept: 0,
            lines: header.to_vec(),
        };
        if let Err(error) = journal.append(folder) {
            let _ = folder.remove(&journal.file);
            return Err(error);
        }
        Ok(journal)
    }

    /// Where the next file's places may begin.
    pub(super) fn next_base(&self) -> Place {
        self.base + self.end
    }

    /// Whether events may be added: the file is smaller than `most`.
    pub(super) fn has_room(&self, most: u64) -> bool {
        !self.is_broken && self.end < most
    }

    /// Whether the event at this place is in the file, and the events after it may be added.
    pub(super) fn may_take(&self, place: Place) -> bool {
        !self.is_broken && self.has(place)
    }

    pub(super) fn has(&self, place: Place) -> bool {
        (self.base + 1..self.base + self.end).contains(&place)
    }

    /// How many events of the batch are in it.
    pub(super) fn count(&self, batch: &Batch) -> u64 {
        batch.count_places(|place| self.has(place))
    }

    /// Writes those events of the batch that are in no file yet, and the key that it is sent under, if that is known.
    pub(super) fn write(&mut self, batch: &mut Batch, folder: &Folder) -> Result<(), KeepError> {
        self.lines.clear();
        let (base, begin) = (self.base, self.base + self.end);
        let lines = &mut self.lines;
        let mut fresh = 0;
        batch.place_events(|place, event| {
            if (base + 1..begin).contains(&place) {
                return place;
            }
            let place = begin + lines.len() as Place;
            line::put(b'e', event, lines);
            fresh += 1;
            place
        });
        if let (Some(key), Some((first, last))) = (batch.key(), batch.places()) {
            line::put_batch(key, first - base, last - base, lines);
        }
        if lines.is_empty() {
            return Ok(()); // all of it is in files already
        }
        if let Err(error) = self.append(folder) {
            // A later write must not take the new places for events that are in a file.
            batch.place_events(|place, _| if (base + 1..begin).contains(&place) { place } else { 0 });
            return Err(error);
        }
        self.open += fresh;
        self.sync.iter_mut().for_each(|synced| synced.fresh += fresh);
        Ok(())
    }

    /// The batch that was sent under this key has its fate. If the file does not know the key, `places` are those of the
    /// batch's first and last event.
    pub(super) fn done(
        &mut self,
        key: &str,
        places: Option<(Place, Place)>,
        events: u64,
        folder: &Folder,
    ) -> Result<(), KeepError> {
        self.open = self.open.saturating_sub(events);
        self.lines.clear();
        // The last event has no place if the disk did not take it.
        if let Some((first, last)) = places.filter(|(first, last)| first <= last) {
            line::put_batch(key, first - self.base, last - self.base, &mut self.lines);
        }
        line::put_done(key, &mut self.lines);
        self.append(folder)
    }

    /// Waits until the disk has all that was written, if it is to survive a power cut. After an error what was written
    /// since the last time is cut off.
    pub(super) fn sync(&mut self, folder: &Folder) -> io::Result<()> {
        let Some(synced) = self.sync.as_mut().filter(|synced| synced.fresh > 0) else { return Ok(()) };
        let outcome = self.file.sync().and_then(|()| if synced.has_name { Ok(()) } else { folder.sync() });
        if outcome.is_ok() {
            *synced = Synced { end: self.end, has_name: true, fresh: 0 };
        } else {
            // A second sync would succeed without having written anything, so there is none.
            self.end = synced.end;
            self.open = self.open.saturating_sub(synced.fresh);
            self.kept = self.kept.min(self.open);
            (self.sync, self.is_broken) = (None, true);
            let _ = self.file.cut(self.end);
        }
        outcome
    }

    /// Removes the file: all of its events have their fate.
    pub(super) fn remove(self, folder: &Folder) -> io::Result<()> {
        folder.remove(&self.file)
    }

    pub(super) fn is_there(&self) -> bool {
        self.file.is_there()
    }

    fn append(&mut self, folder: &Folder) -> Result<(), KeepError> {
        let bytes = self.lines.len() as u64;
        if bytes > self.room {
            self.room = store::make_room(folder, bytes)?;
        }
        if let Err(error) = self.file.write_at(&self.lines, self.end) {
            self.is_broken = true;
            let _ = self.file.cut(self.end);
            return Err(error.into());
        }
        self.end += bytes;
        self.room -= bytes;
        Ok(())
    }
}

#[cfg(test)]
impl Journal {
    pub(super) fn set_broken(&mut self) {
        self.is_broken = true;
    }
}

#[cfg(test)]
mod tests;
