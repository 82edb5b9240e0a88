//! The folder of one endpoint and key, and what all files in it may hold together.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::spool::disk::{Folder, Found, LockedFile};
use crate::spool::line;
use crate::spool::settings::{Spool, SpoolStatus};

/// Little on any disk, and some hundred thousand events.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// A folder that is read in a moment. Each process that had to keep something leaves one.
const MAX_FILES: usize = 256;
/// A machine that is offline for a week has older events than anybody needs.
pub(super) const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the folders of accounts begin with: the version of what is in them.
const ACCOUNTS: &str = "v1-";

/// Where a reporter's files are.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    spool: Spool,
    pub(super) base_url: String,
    account: String,
}

/// Why something could not be kept.
#[derive(Debug)]
pub(crate) enum KeepError {
    /// The folder holds as much as it may, and nothing of it can be removed.
    Full,
    Disk(io::Error),
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
        Self::Disk(error)
    }
}

impl Store {
    /// The name of the folder has nothing of the key that could be read from it.
    pub(crate) fn new(spool: Spool, base_url: String, api_key: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(base_url.as_bytes());
        hasher.update(b"\n"); // which no URL has
        hasher.update(api_key);
        let account = format!("{ACCOUNTS}{:08x}", hasher.finalize());
        Self { spool, base_url, account }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.spool.is_synced()
    }

    /// The folder, made if need be.
    pub(super) fn make(&self) -> io::Result<Folder> {
        Folder::make(self.spool.folder()?)?.make_below(&self.account)
    }

    /// The folder; `None` if it is not there. Removes what other accounts left too long ago.
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

/// Makes a file, with room for it.
pub(super) fn create(folder: &Folder) -> Result<LockedFile, KeepError> {
    let mut files = folder.files()?.into_iter();
    for _ in MAX_FILES..=files.len() {
        files.find(|file| remove(folder, file)).ok_or(KeepError::Full)?;
    }
    Ok(folder.create()?)
}

/// Makes room for so many bytes. Returns how many the folder may hold more.
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

/// Removes a file that nobody has. Whether it is gone.
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

/// `None` for what is not there.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}
