//! The folder of one endpoint and key, and the limits on all of its files together.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::spool::disk::{Folder, Found, LockedFile};
use crate::spool::line;
use crate::spool::settings::{Spool, SpoolStatus};

/// Little on any disk, and a hundred thousand small events.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Few enough to read the folder in a moment. Each process that had to keep something leaves one file.
const MAX_FILES: usize = 256;
/// Events that are a week old are of no use any more.
pub(super) const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The beginning of the name of an account's folder: the version of the format of its files.
const ACCOUNTS: &str = "v1-";

/// Where a reporter's files are.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    spool: Spool,
    pub(super) base_url: String,
    account: String,
}

/// Why something could not be kept.
#[derive(Clone, Debug)]
pub(crate) enum KeepError {
    /// The folder holds as much as it may, and no file of it can be removed.
    Full,
    Disk(Arc<io::Error>),
}

impl KeepError {
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("it holds as much as it may"),
            Self::Disk(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for KeepError {
    fn from(error: io::Error) -> Self {
        Self::Disk(Arc::new(error))
    }
}

impl Store {
    /// `account` is different for each account of one endpoint. The folder's name contains a checksum of it, from
    /// which no key can be found.
    pub(crate) fn new(spool: Spool, base_url: String, account: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(base_url.as_bytes());
        hasher.update(b"\n"); // no URL contains it
        hasher.update(account);
        let account = format!("{ACCOUNTS}{:08x}", hasher.finalize());
        Self { spool, base_url, account }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.spool.is_synced()
    }

    /// The folder. Makes it if it does not exist.
    pub(super) fn make(&self) -> io::Result<Folder> {
        Folder::make(self.spool.folder()?)?.make_below(&self.account)
    }

    /// The folder. `None` if it does not exist.
    pub(super) fn open_own(&self) -> io::Result<Option<Folder>> {
        let Some(root) = found(Folder::open(self.spool.folder()?))? else { return Ok(None) };
        found(root.open_below(&self.account))
    }

    /// As [`open_own`](Self::open_own). Also removes files of other accounts that are older than [`MAX_AGE`].
    pub(super) fn open(&self) -> io::Result<Option<Folder>> {
        let Some(root) = found(Folder::open(self.spool.folder()?))? else { return Ok(None) };
        for account in root.folders(ACCOUNTS)?.iter().filter(|account| **account != self.account) {
            if let Ok(other) = root.open_below(account) {
                let old = other.files()?.into_iter().filter(is_too_old);
                old.for_each(|file| _ = remove(&other, &file));
            }
        }
        found(root.open_below(&self.account))
    }

    pub(super) fn status(path: &Path) -> io::Result<SpoolStatus> {
        let mut status = SpoolStatus::default();
        let Some(root) = found(Folder::open(path))? else { return Ok(status) };
        for account in root.folders(ACCOUNTS)? {
            let folder = root.open_below(&account)?;
            for file in folder.files()? {
                status.files += 1;
                status.bytes += file.bytes;
                status.events += folder.peek(&file.name).map_or(0, |bytes| events(&bytes));
            }
        }
        Ok(status)
    }

    pub(super) fn purge(path: &Path) -> io::Result<SpoolStatus> {
        let mut removed = SpoolStatus::default();
        let Some(root) = found(Folder::open(path))? else { return Ok(removed) };
        for account in root.folders(ACCOUNTS)? {
            let folder = root.open_below(&account)?;
            for file in folder.files()? {
                let Some(locked) = folder.lock(&file.name)? else { continue };
                let bytes = locked.read()?;
                folder.remove(&locked)?;
                removed.files += 1;
                removed.bytes += file.bytes;
                removed.events += events(&bytes);
            }
        }
        Ok(removed)
    }
}

/// How much more the folder may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    files: usize,
    bytes: u64,
}

/// Counts how much more the folder may hold.
pub(super) fn look(folder: &Folder) -> io::Result<Room> {
    Ok(Room::beside(&folder.files()?))
}

impl Room {
    fn beside(files: &[Found]) -> Self {
        let held: u64 = files.iter().map(|file| file.bytes).sum();
        Self { files: MAX_FILES.saturating_sub(files.len()), bytes: MAX_BYTES.saturating_sub(held) }
    }
}

/// Makes a file, and room for it. Returns how many more bytes the folder may hold. `room`: the result of an earlier
/// [`look`].
pub(super) fn create(folder: &Folder, room: Option<Room>) -> Result<(LockedFile, u64), KeepError> {
    if let Some(room) = room.filter(|room| room.files > 0) {
        return Ok((folder.create()?, room.bytes));
    }
    let files = folder.files()?;
    let mut oldest = files.iter();
    for _ in MAX_FILES..=files.len() {
        oldest.find(|file| remove(folder, file)).ok_or(KeepError::Full)?;
    }
    Ok((folder.create()?, Room::beside(&files).bytes))
}

/// Makes room for `needed` bytes. Returns how many more bytes the folder may hold.
pub(super) fn make_room(folder: &Folder, needed: u64) -> Result<u64, KeepError> {
    let files = folder.files()?;
    let mut held: u64 = files.iter().map(|file| file.bytes).sum();
    for file in &files {
        if held + needed <= MAX_BYTES {
            break;
        }
        if remove(folder, file) {
            held -= file.bytes;
        }
    }
    let room = MAX_BYTES.saturating_sub(held);
    if room < needed { Err(KeepError::Full) } else { Ok(room) }
}

/// Removes a file that no process has locked. Returns whether it is gone.
fn remove(folder: &Folder, file: &Found) -> bool {
    let locked = folder.lock(&file.name).ok().flatten();
    locked.is_some_and(|locked| folder.remove(&locked).is_ok())
}

fn is_too_old(file: &Found) -> bool {
    SystemTime::now().duration_since(file.changed).is_ok_and(|age| age > MAX_AGE)
}

fn events(file: &[u8]) -> u64 {
    let contents = line::read(file);
    contents.map_or(0, |contents| contents.left.iter().map(|left| left.events.len() as u64).sum())
}

/// `None` if the file or folder does not exist.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}
