//! The file system. No other file of the spool names it.
//!
//! A folder is opened and checked once. Everything else goes through its descriptor, so a path that is renamed or
//! replaced meanwhile has no effect. A name proves nothing. A file is the spool's only if it is a regular file of
//! this user and has one name. A folder is the spool's only if no other user can write to it. Everything else is left
//! alone: it is not read, changed or removed.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::process::fork::LockedFiles;

const PRIVATE_FOLDER: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const OPEN_FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Does not block: the name may be that of a FIFO.
const OPEN_FILE: OFlags = OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The end of the name of each of the spool's files. Before it are 16 hexadecimal digits.
const SUFFIX: &str = ".tlm";
const NAME_DIGITS: usize = 16;
/// How many names are tried, if each new file disappears before it is locked.
const TRIES: usize = 8;

/// A folder that only this user can write to.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// A file of the folder, as it was when the folder was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) changed: SystemTime,
}

impl Folder {
    /// Opens a folder that exists.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::check(rustix::fs::open(path, OPEN_FOLDER, Mode::empty())?)
    }

    /// Opens a folder. Makes it, and the folders above it, if they do not exist.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER.bits()).create(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// Opens a folder in this one.
    pub(super) fn open_below(&self, name: &str) -> io::Result<Self> {
        Self::check(rustix::fs::openat(&self.0, name, OPEN_FOLDER, Mode::empty())?)
    }

    /// Opens a folder in this one. Makes it if it does not exist.
    pub(super) fn make_below(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, name, PRIVATE_FOLDER) {
            Ok(()) | Err(Errno::EXIST) => self.open_below(name),
            Err(error) => Err(error.into()),
        }
    }

    fn check(folder: OwnedFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&folder)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(refused("is of another user"));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            return Err(refused("is open to other users"));
        }
        Ok(Self(folder))
    }

    /// The names of the folders in this one that begin with this text.
    pub(super) fn folders(&self, beginning: &str) -> io::Result<Vec<String>> {
        self.names(|name| name.starts_with(beginning))
    }

    /// The spool's files. Those that were changed the longest time ago come first.
    pub(super) fn files(&self) -> io::Result<Vec<Found>> {
        let names = self.names(is_file_name)?;
        let stat = |name: &String| rustix::fs::statat(&self.0, name.as_str(), AtFlags::SYMLINK_NOFOLLOW);
        let files = names.into_iter().filter_map(|name| {
            let stat = stat(&name).ok().filter(is_own_file)?;
            Some(Found { name, bytes: u64::try_from(stat.st_size).ok()?, changed: changed(&stat) })
        });
        let mut files: Vec<_> = files.collect();
        files.sort_unstable_by(|one, other| (one.changed, &one.name).cmp(&(other.changed, &other.name)));
        Ok(files)
    }

    fn names(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            names.extend(entry.file_name().to_str().ok().filter(|name| is_wanted(name)).map(str::to_owned));
        }
        Ok(names)
    }

    /// Makes a file of a new name and locks it.
    pub(super) fn create(&self) -> io::Result<LockedFile> {
        for _ in 0..TRIES {
            let name = format!("{:0NAME_DIGITS$x}{SUFFIX}", getrandom::u64().map_err(io::Error::from)?);
            let flags = OPEN_FILE | OFlags::CREATE | OFlags::EXCL;
            let file = match rustix::fs::openat(&self.0, name.as_str(), flags, PRIVATE_FILE) {
                Ok(file) => file,
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            };
            let locked = LockedFile::lock(file, name.clone()).inspect_err(|_| {
                let _ = rustix::fs::unlinkat(&self.0, name, AtFlags::empty());
            });
            // `None`: another process looks at it, or has removed it since it was made.
            if let Some(locked) = locked? {
                return Ok(locked);
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Locks a file that exists. `None` if another process has locked it, or if it is not a file of the spool.
    pub(super) fn lock(&self, name: &str) -> io::Result<Option<LockedFile>> {
        match rustix::fs::openat(&self.0, name, OPEN_FILE, Mode::empty()) {
            Ok(file) => LockedFile::lock(file, name.to_owned()),
            // The file is gone, or it is a symbolic link, a socket or a folder, or it cannot be read.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR | Errno::ACCESS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a file that another process may have locked.
    pub(super) fn peek(&self, name: &str) -> io::Result<Vec<u8>> {
        let flags = OPEN_FILE.difference(OFlags::RDWR) | OFlags::RDONLY;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        if !is_own_file(&rustix::fs::fstat(&file)?) {
            return Err(refused("is not of the spool"));
        }
        let mut bytes = Vec::new();
        fs::File::from(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Removes a file. The caller holds its lock, so no other process is writing to it.
    pub(super) fn remove(&self, file: &LockedFile) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, file.name.as_str(), AtFlags::empty())?)
    }

    /// Waits until the disk has the names in the folder.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

/// A file that no other process touches while this is held.
#[derive(Debug)]
pub(super) struct LockedFile {
    pub(super) name: String,
    _noted: LockedFiles, // declared before the file, so it is dropped before the file
    file: fs::File,
}

/// Unlocks for a child, too, that was forked just before the file was noted or just after: its descriptor is the same open
/// file. A child never drops a file of its parent's.
impl Drop for LockedFile {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(self.file.as_fd(), FlockOperation::Unlock);
    }
}

impl LockedFile {
    fn lock(file: OwnedFd, name: String) -> io::Result<Option<Self>> {
        let Some(noted) = LockedFiles::add(file.as_raw_fd()) else {
            return Err(io::ErrorKind::ResourceBusy.into());
        };
        // From here on each return drops the note before the file.
        let locked = Self { name, _noted: noted, file: file.into() };
        // Checked before it is locked as well: what is not a regular file must not be locked.
        if !is_own_file(&rustix::fs::fstat(&locked.file)?) {
            return Ok(None);
        }
        match rustix::fs::flock(locked.file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // The process that had the lock before may have removed the file.
        Ok(is_own_file(&rustix::fs::fstat(&locked.file)?).then_some(locked))
    }

    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether the file still has its name. It has none if it was removed, with the folder for example.
    pub(super) fn is_there(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 1)
    }

    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn is_file_name(name: &str) -> bool {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == NAME_DIGITS);
    digits.is_some_and(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

fn is_own_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_nlink == 1
}

fn changed(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds)).unwrap_or(UNIX_EPOCH)
}

/// Whether the folder belongs to this user, or, if it does not exist, the nearest folder above it that does. After
/// `sudo`, `HOME` may be that of another user.
pub(super) fn is_path_own(path: &Path) -> bool {
    let there = path.ancestors().find_map(|ancestor| fs::metadata(ancestor).ok());
    there.is_some_and(|metadata| metadata.uid() == rustix::process::geteuid().as_raw())
}

fn refused(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

#[cfg(test)]
mod tests;
