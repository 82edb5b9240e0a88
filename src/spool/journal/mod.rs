//! One file while its process writes to it.
//!
//! Lines are appended whole or not at all: what a disk took only in part is cut off again. A file whose events all have
//! their fate is removed.

use std::io;

use crate::spool::disk::{Folder, LockedFile};
use crate::spool::line::{self, Place};
use crate::spool::store::{self, KeepError};
use crate::wire::batch::Batch;

#[derive(Debug)]
pub(super) struct Journal {
    file: LockedFile,
    /// Added to the places in the file, so that a place tells which of a process's files it is in.
    base: Place,
    /// Up to where all lines are whole.
    end: Place,
    /// What the folder may hold more.
    room: u64,
    is_synced: bool,
    /// Whether the disk refused something. Then nothing is added.
    is_broken: bool,
    /// Events without a fate, and those of them that this process will not send.
    pub(super) open: u64,
    pub(super) kept: u64,
    lines: Vec<u8>,
}

impl Journal {
    pub(super) fn create(
        folder: &Folder,
        header: &[u8],
        base: Place,
        is_synced: bool,
    ) -> Result<Self, KeepError> {
        let file = store::create(folder)?;
        let mut journal = Self {
            file,
            base,
            end: 0,
            room: 0,
            is_synced,
            is_broken: false,
            open: 0,
            kept: 0,
            lines: header.to_vec(),
        };
        if let Err(error) = journal.append(folder) {
            let _ = folder.remove(&journal.file);
            return Err(error);
        }
        if is_synced {
            folder.sync()?;
        }
        Ok(journal)
    }

    /// Where the next file's places may begin.
    pub(super) fn next_base(&self) -> Place {
        self.base + self.end
    }

    /// Whether events may be added, up to this size.
    pub(super) fn has_room(&self, most: u64) -> bool {
        !self.is_broken && self.end < most
    }

    /// Whether the event is in it, and those after it may be added.
    pub(super) fn may_take(&self, place: Place) -> bool {
        !self.is_broken && self.has(place)
    }

    pub(super) fn has(&self, place: Place) -> bool {
        (self.base..self.base + self.end).contains(&place)
    }

    /// Writes those events of the batch that are in no file yet, and under which key it is sent, if that is known.
    pub(super) fn write(
        &mut self,
        batch: &mut Batch,
        key: Option<&str>,
        folder: &Folder,
    ) -> Result<(), KeepError> {
        self.lines.clear();
        let (base, begin) = (self.base, self.base + self.end);
        let lines = &mut self.lines;
        let mut fresh = 0;
        batch.place_events(|place, event| {
            if place > base {
                return place;
            }
            let place = begin + lines.len() as Place;
            line::put(b'e', event, lines);
            fresh += 1;
            place
        });
        if let (Some(key), Some((first, last))) = (key, batch.places()) {
            line::put_batch(key, first - base, last - base, lines);
        }
        let written = self.append(folder);
        match written {
            Ok(()) => self.open += fresh,
            // They are not there, so the next who writes them must not believe it.
            Err(_) => batch.place_events(|place, _| if place >= begin { 0 } else { place }),
        }
        written
    }

    /// The batch that was sent under this key has its fate.
    pub(super) fn done(&mut self, key: &str, events: u64, folder: &Folder) -> Result<(), KeepError> {
        self.open = self.open.saturating_sub(events);
        self.lines.clear();
        line::put_done(key, &mut self.lines);
        self.append(folder)
    }

    /// All that is in it has its fate.
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
        if self.is_synced {
            if let Err(error) = self.file.sync() {
                // A second sync would succeed without having written anything, so there is none.
                (self.is_synced, self.is_broken) = (false, true);
                let _ = self.file.cut(self.end);
                return Err(error.into());
            }
        }
        self.end += bytes;
        self.room -= bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
