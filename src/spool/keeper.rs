//! What the worker has of the spool: it keeps batches, and says which have their fate.

use crate::model::stats::DropReason;
use crate::spool::disk::Folder;
use crate::spool::journal::Journal;
use crate::spool::line::{self, Place};
use crate::spool::store::{KeepError, Store};
use crate::wire::batch::Batch;
use crate::wire::envelope::Envelope;

/// A file that has grown so large is left to the events that it has, so that it can go when they have their fate.
const ROTATE_AT: u64 = 1024 * 1024;

/// Starts a replay, unless one is running.
type StartReplay = dyn Fn() + Send;

pub(crate) struct Keeper {
    store: Store,
    header: Vec<u8>,
    is_write_ahead: bool,
    folder: Option<Folder>,
    /// The last one is written to. The others hold events that are on their way, or kept.
    journals: Vec<Journal>,
    next_base: Place,
    start_replay: Box<StartReplay>,
}

impl Keeper {
    /// Keeps events of the envelope's sender in `store`.
    pub(crate) fn new(
        store: Store,
        envelope: &Envelope,
        is_write_ahead: bool,
        start_replay: Box<StartReplay>,
    ) -> Self {
        let mut header = Vec::new();
        line::put_header(&store.base_url, envelope, &mut header);
        Self {
            store,
            header,
            is_write_ahead,
            folder: None,
            journals: Vec::new(),
            next_base: 1, // 0 is the place of an event that is in no file
            start_replay,
        }
    }

    /// Whether batches are written before they are sent.
    pub(crate) fn is_write_ahead(&self) -> bool {
        self.is_write_ahead
    }

    /// Writes the batch, of which this process will still try to send every event. With the key that it is sent under, if
    /// that is known.
    pub(crate) fn write(&mut self, batch: &mut Batch, key: Option<&str>) -> Result<(), KeepError> {
        // Twice, because a folder may have been removed since it was opened.
        for _ in 0..2 {
            if self.folder.is_none() {
                self.folder = Some(self.store.make()?);
            }
            let Some(folder) = &self.folder else { break };
            let place = batch.places().map_or(0, |(first, _)| first);
            let current = self.journals.iter().rposition(|journal| journal.may_take(place));
            let current = match current {
                Some(current) => current,
                None if self.journals.last().is_some_and(|journal| journal.has_room(ROTATE_AT)) => {
                    self.journals.len() - 1
                }
                None => {
                    let synced = self.store.is_synced();
                    match Journal::create(folder, &self.header, self.next_base, synced) {
                        Ok(journal) => self.journals.push(journal),
                        Err(KeepError::Disk(error)) if is_gone(&error) => {
                            self.folder = None;
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                    self.journals.len() - 1
                }
            };
            let journal = &mut self.journals[current];
            let written = journal.write(batch, key, folder);
            self.next_base = self.next_base.max(journal.next_base());
            let is_there = journal.is_there();
            if written.is_err() || !is_there {
                self.clean_up_after(current, written.is_err());
            }
            if written.is_err() || is_there {
                return written;
            }
            batch.place_events(|_, _| 0);
            self.folder = None;
        }
        Err(KeepError::Disk(std::io::ErrorKind::NotFound.into()))
    }

    /// Keeps the batch for a later run: this process will not send it.
    ///
    /// An error comes with the reason for which the batch is dropped: this one, unless it is that there is no room.
    pub(crate) fn keep(
        &mut self,
        batch: &mut Batch,
        key: &str,
        reason: DropReason,
    ) -> Result<(), (DropReason, KeepError)> {
        self.write(batch, Some(key)).map_err(|error| match error {
            KeepError::Full => (DropReason::SpoolFull, error),
            KeepError::Disk(_) => (reason, error),
        })?;
        if let Some((_, journal)) = self.journal_of(batch) {
            journal.kept += batch.len() as u64;
        }
        Ok(())
    }

    /// The batch has its fate; the file need not have it any more. What the disk does not take here costs a second
    /// delivery at the worst.
    pub(crate) fn done(&mut self, batch: &Batch, key: &str) {
        let Some(folder) = self.folder.take() else { return };
        if let Some((at, journal)) = self.journal_of(batch) {
            let _ = journal.done(key, batch.len() as u64, &folder);
            if journal.open == 0 {
                let journal = self.journals.remove(at);
                let _ = journal.remove(&folder);
            }
        }
        self.folder = Some(folder);
    }

    /// The server answers again. Files that hold only kept events go to a replay of this process.
    pub(crate) fn release(&mut self) {
        let before = self.journals.len();
        self.journals.retain(|journal| journal.kept == 0 || journal.open > journal.kept);
        if self.journals.len() < before {
            (self.start_replay)();
        }
    }

    fn journal_of(&mut self, batch: &Batch) -> Option<(usize, &mut Journal)> {
        let (first, _) = batch.places()?;
        self.journals.iter_mut().enumerate().find(|(_, journal)| journal.has(first))
    }

    /// A file that could not be written, or is gone, is not written again. What is in it stays as it is.
    fn clean_up_after(&mut self, at: usize, is_broken: bool) {
        if !is_broken || self.journals[at].open == 0 {
            let journal = self.journals.remove(at);
            if let Some(folder) = self.folder.as_ref().filter(|_| is_broken) {
                let _ = journal.remove(folder);
            }
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}
