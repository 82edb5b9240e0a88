//! The worker's side of the spool: it writes batches to files, and notes there which of them have their fate.

use std::io;

use crate::queue::admission::Load;
use crate::spool::disk::Folder;
use crate::spool::journal::Journal;
use crate::spool::line::{self, Place};
use crate::spool::replay::replays::Replays;
use crate::spool::store::{self, KeepError, Room, Store};
use crate::wire::batch::Batch;
use crate::wire::envelope::Envelope;

/// A file of this size gets no more events, so that it can be removed as soon as its events have their fate.
const ROTATE_AT: u64 = 1024 * 1024;

pub(crate) struct Keeper {
    store: Store,
    header: Vec<u8>,
    is_write_ahead: bool,
    folder: Option<Folder>,
    /// How much more the folder may hold, if that is known.
    room: Option<Room>,
    /// The last one is written to. The others hold events that are on their way, or kept.
    journals: Vec<Journal>,
    next_base: Place,
    replays: Replays,
}

/// What became of a batch that was to be kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Those of its events that are in a file.
    pub(crate) load: Load,
    /// Why others are not.
    pub(crate) error: Option<KeepError>,
}

impl Keeper {
    /// Keeps events of the envelope's sender in `store`.
    pub(crate) fn new(store: Store, envelope: &Envelope, is_write_ahead: bool, replays: Replays) -> Self {
        let mut header = Vec::new();
        line::put_header(&store.base_url, envelope, &mut header);
        Self {
            store,
            header,
            is_write_ahead,
            folder: None,
            room: None,
            journals: Vec::new(),
            next_base: 1, // 0 is the place of an event that is in no file
            replays,
        }
    }

    /// Starts to send what earlier runs kept, on a thread of its own.
    pub(crate) fn start_replay(&mut self) {
        self.replays.start();
    }

    /// The same, if the last replay left a file to another process. It may have ended since.
    pub(crate) fn look_again(&mut self) {
        self.replays.look_again();
    }

    /// Whether events are written before they are sent.
    pub(crate) fn is_write_ahead(&self) -> bool {
        self.is_write_ahead
    }

    /// Whether events are safe only after [`sync`](Self::sync).
    pub(crate) fn is_synced(&self) -> bool {
        self.store.is_synced()
    }

    /// Whether events of the batch are in a file.
    pub(crate) fn has(&self, batch: &Batch) -> bool {
        self.journals.iter().any(|journal| journal.count(batch) > 0)
    }

    /// Opens the folder and counts its files, if it exists, so that this takes no time at the end.
    pub(crate) fn prepare(&mut self) {
        if self.folder.is_none() {
            if let Ok(Some(folder)) = self.store.open_own() {
                self.room = store::look(&folder).ok();
                self.folder = Some(folder);
            }
        }
    }

    /// Writes a batch that this process will still try to send, with its key if it has one. It is safe on the disk after
    /// [`sync`](Self::sync).
    pub(crate) fn write(&mut self, batch: &mut Batch) -> Result<(), KeepError> {
        // Twice, because the folder may have been removed since it was opened.
        for _ in 0..2 {
            let at = match self.journal_for(batch) {
                Err(KeepError::Disk(error)) if is_gone(&error) => {
                    self.folder = None;
                    continue;
                }
                found => found?,
            };
            let Some(folder) = &self.folder else { break };
            let before: Vec<_> = self.journals.iter().map(|journal| journal.count(batch)).collect();
            let journal = &mut self.journals[at];
            let written = journal.write(batch, folder);
            self.next_base = self.next_base.max(journal.next_base());
            let is_there = journal.is_there();
            if written.is_err() || !is_there {
                self.clean_up_after(at, written.is_err());
            }
            if written.is_ok() && is_there {
                self.leave_copies(at, &before);
            }
            if written.is_err() || is_there {
                return written;
            }
            self.folder = None;
        }
        Err(gone().into())
    }

    /// Keeps batches for a later run: this process will not send them. Returns what became of each.
    pub(crate) fn keep_all(&mut self, batches: &mut [&mut Batch]) -> Vec<Kept> {
        let errors: Vec<_> = batches.iter_mut().map(|batch| self.write(batch).err()).collect();
        let synced = self.sync();
        let kept = |(batch, error): (&&mut Batch, Option<KeepError>)| {
            let load = batch.load_at(|place| self.journals.iter().any(|journal| journal.has(place)));
            let is_whole = load == batch.load();
            for journal in self.journals.iter_mut().filter(|_| is_whole) {
                journal.kept += journal.count(batch);
            }
            let why = || error.or_else(|| synced.clone().err()).unwrap_or_else(|| gone().into());
            Kept { load, error: (!is_whole).then(why) }
        };
        batches.iter().zip(errors).map(kept).collect()
    }

    /// If events must survive a power cut, waits until the disk has all that was written since the last call. What
    /// the disk did not take is not in the file after this.
    pub(crate) fn sync(&mut self) -> Result<(), KeepError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut outcome = Ok(());
        for journal in &mut self.journals {
            outcome = outcome.and(journal.sync(folder));
        }
        if outcome.is_err() {
            let (left, empty): (_, Vec<_>) = self.journals.drain(..).partition(|journal| journal.open > 0);
            self.journals = left;
            for journal in empty {
                let _ = journal.remove(folder);
            }
        }
        outcome.map_err(KeepError::from)
    }

    /// The batch has its fate, so the file need not keep it. `is_key_known`: the file knows the batch under its key.
    /// If the disk fails here, the batch may be delivered twice.
    pub(crate) fn done(&mut self, batch: &Batch, is_key_known: bool) {
        let Some(folder) = self.folder.take() else { return };
        if let Some(((at, journal), key)) = self.journal_of(batch).zip(batch.key()) {
            let places = batch.places().filter(|_| !is_key_known);
            let _ = journal.done(key, places, journal.count(batch), &folder);
            if journal.open == 0 {
                let journal = self.journals.remove(at);
                let _ = journal.remove(&folder);
            }
        }
        self.folder = Some(folder);
    }

    /// A batch was delivered although it had been kept.
    pub(crate) fn done_after_all(&mut self, batch: &Batch) {
        if let Some((_, journal)) = self.journal_of(batch) {
            journal.kept = journal.kept.saturating_sub(journal.count(batch));
        }
        self.done(batch, true);
    }

    /// The server answers again. A replay of this process may now send the files that hold only kept events. Returns
    /// whether there are such files.
    pub(crate) fn release(&mut self) -> bool {
        let before = self.journals.len();
        self.journals.retain(|journal| journal.kept == 0 || journal.open > journal.kept);
        self.journals.len() < before
    }

    /// The file to write the batch to.
    fn journal_for(&mut self, batch: &Batch) -> Result<usize, KeepError> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => self.store.make()?,
        };
        let folder = self.folder.insert(folder);
        let place = batch.places().map_or(0, |(first, _)| first);
        if let Some(at) = self.journals.iter().rposition(|journal| journal.may_take(place)) {
            return Ok(at);
        }
        if !self.journals.last().is_some_and(|journal| journal.has_room(ROTATE_AT)) {
            let (room, is_synced) = (self.room.take(), self.store.is_synced());
            self.journals.push(Journal::create(folder, room, &self.header, self.next_base, is_synced)?);
        }
        Ok(self.journals.len() - 1)
    }

    fn journal_of(&mut self, batch: &Batch) -> Option<(usize, &mut Journal)> {
        let (first, _) = batch.places()?;
        self.journals.iter_mut().enumerate().find(|(_, journal)| journal.has(first))
    }

    /// Events that were in a file that is broken are in the one at `at` now. So many of them were in each file before. A
    /// file that holds nothing else is removed: a replay would send the copies too.
    fn leave_copies(&mut self, at: usize, before: &[u64]) {
        let is_copied = |from: usize| from != at && before[from] > 0;
        let Some(folder) = self.folder.as_ref().filter(|_| (0..before.len()).any(is_copied)) else { return };
        if self.journals[at].sync(folder).is_err() {
            return; // the copies may be all there is
        }
        for from in (0..before.len()).rev().filter(|from| is_copied(*from)) {
            let journal = &mut self.journals[from];
            journal.open = journal.open.saturating_sub(before[from]);
            if journal.open == 0 {
                let _ = self.journals.remove(from).remove(folder);
            }
        }
    }

    /// Stops writing to a file that could not be written or is gone. Its contents stay as they are.
    fn clean_up_after(&mut self, at: usize, is_broken: bool) {
        if !is_broken || self.journals[at].open == 0 {
            let journal = self.journals.remove(at);
            if let Some(folder) = self.folder.as_ref().filter(|_| is_broken) {
                let _ = journal.remove(folder);
            }
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
impl Keeper {
    /// As if the disk had refused a write.
    pub(super) fn break_journals(&mut self) {
        self.journals.iter_mut().for_each(Journal::set_broken);
    }
}
