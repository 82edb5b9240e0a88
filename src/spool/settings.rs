//! What a program says about its spool: where it is, when it is written, and what it must survive.

use std::io;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::config;
#[cfg(unix)]
use crate::spool::disk;
#[cfg(unix)]
use crate::spool::store::Store;

/// Keeps events that cannot be sent in files, for the next run of the program. Unix only: elsewhere
/// [`start`](crate::Builder::start) returns an error.
///
/// Without a spool a program that ends while no server can be reached loses what is pending. With one, those events are
/// written to a folder, counted as `spooled`, and sent by the next run, or by another process of the same program that
/// runs meanwhile. They keep their session's id, their ids, numbers and times, and the idempotency keys of their
/// requests. An event may arrive twice, with the same `event_id`, if a process is killed while it sends or the disk fails.
///
/// No key, header or proxy is written. The running program alone says where events go: each endpoint and each key has a
/// folder of its own below this one, and another one's events are never sent. After a change of the key, the old key's
/// events wait 7 days for its return, and are then removed. A key that comes from
/// [`credentials`](crate::Config::credentials), a command or a file may change: all keys of that source share a folder.
///
/// The folder may hold 16 MiB and 256 files for each endpoint and key. After that the oldest files are removed. What
/// still finds no room is dropped as `spool_full`. The folder must belong to this user and be closed to others. If it is
/// not, or if the disk fails, events stay in memory and are sent, or lost, as they are without a spool, and the reporter
/// logs one warning.
///
/// ```
/// use tinker_telemetry::{Config, Reporter, Spool};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let builder = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").spool(Spool::for_program("my-tool"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a spool does nothing until it is given to a builder"]
pub struct Spool {
    place: SpoolPlace,
    write_ahead: Option<Duration>,
    durability: Durability,
}

#[derive(Clone, Debug)]
#[cfg_attr(not(unix), expect(dead_code, reason = "there is no spool there, and `start` says so"))]
enum SpoolPlace {
    /// A folder that the program has chosen.
    At(PathBuf),
    /// A folder below the user's own.
    OfUser(PathBuf),
    /// The environment names no folder of the user's.
    Nowhere,
    /// The program's name cannot be the name of a folder.
    BadName,
}

/// What events in a file survive.
///
/// ```
/// use tinker_telemetry::{Durability, Spool};
///
/// let spool = Spool::for_program("my-tool").durability(Durability::Power);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process, `kill -9` included.
    #[default]
    Process,
    /// A power cut as well: each write waits until the disk has it, which takes some milliseconds.
    Power,
}

/// What a spool's folder holds.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let status = tinker_telemetry::Spool::at(folder.path().join("telemetry")).status()?;
/// assert_eq!((status.files, status.bytes, status.events), (0, 0, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStatus {
    /// Files, of all endpoints and keys.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The events in them that have no fate yet.
    pub events: u64,
}

impl Spool {
    /// A folder of this program's in the user's home: `$XDG_STATE_HOME/<program>/telemetry`, or
    /// `~/.local/state/<program>/telemetry` if the variable is unset. The environment is read at this call. If it names
    /// neither, or a folder of another user, the reporter works as without a spool, and logs one warning when there is
    /// something to keep.
    pub fn for_program(program: impl AsRef<str>) -> Self {
        let program = program.as_ref();
        let is_name = !matches!(program, "" | "." | "..") && !program.contains(['/', '\\', '\0']);
        Self::of(match config::state_home() {
            _ if !is_name => SpoolPlace::BadName,
            Some(home) => SpoolPlace::OfUser(home.join(program).join("telemetry")),
            None => SpoolPlace::Nowhere,
        })
    }

    /// This folder. It is made if it is not there, for this user alone.
    ///
    /// ```
    /// use tinker_telemetry::Spool;
    ///
    /// let spool = Spool::at("/var/lib/my-tool/telemetry");
    /// ```
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::of(SpoolPlace::At(path.into()))
    }

    fn of(place: SpoolPlace) -> Self {
        Self { place, write_ahead: None, durability: Durability::default() }
    }

    /// Writes every event soon after it was accepted, and not only what cannot be sent: an event that is older than this
    /// interval is in a file if the process is killed, whatever the network does meanwhile. Must be greater than zero; a
    /// fifth of a second is a good choice. Defaults to writing only what would be dropped as `retries_exhausted` or
    /// `deadline`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tinker_telemetry::Spool;
    ///
    /// let spool = Spool::for_program("my-tool").write_ahead(Duration::from_millis(200));
    /// ```
    pub fn write_ahead(mut self, interval: Duration) -> Self {
        self.write_ahead = Some(interval);
        self
    }

    /// What events in a file must survive. Defaults to [`Durability::Process`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What the folder holds now. Reads its files, so it may block for some milliseconds. A folder that does not exist
    /// holds nothing.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let spool = tinker_telemetry::Spool::at(folder.path().join("telemetry"));
    /// println!("{} events wait for the next run", spool.status()?.events);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&self) -> io::Result<SpoolStatus> {
        #[cfg(unix)]
        return Store::status(self.folder()?);
        #[cfg(not(unix))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes every file that no running process has open, and returns what was in them. Files that are not the spool's
    /// are left alone. Blocks as [`status`](Self::status) does.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let spool = tinker_telemetry::Spool::at(folder.path().join("telemetry"));
    /// assert_eq!(spool.purge()?.files, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn purge(&self) -> io::Result<SpoolStatus> {
        #[cfg(unix)]
        return Store::purge(self.folder()?);
        #[cfg(not(unix))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What is wrong with the settings, for the error of `start`.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !cfg!(unix) {
            return Err("needs a Unix system");
        }
        if matches!(self.place, SpoolPlace::BadName) {
            return Err("needs a program's name that can be the name of a folder");
        }
        if self.write_ahead.is_some_and(|interval| interval.is_zero()) {
            return Err("needs an interval greater than zero");
        }
        Ok(())
    }
}

#[cfg(unix)]
impl Spool {
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.write_ahead
    }

    pub(super) fn is_synced(&self) -> bool {
        self.durability == Durability::Power
    }

    pub(super) fn folder(&self) -> io::Result<&Path> {
        let error = |kind: io::ErrorKind, why| Err(io::Error::new(kind, why));
        match &self.place {
            SpoolPlace::At(path) => Ok(path),
            SpoolPlace::OfUser(path) if disk::is_path_own(path) => Ok(path),
            SpoolPlace::OfUser(_) => error(io::ErrorKind::PermissionDenied, "the home is of another user"),
            SpoolPlace::Nowhere => error(io::ErrorKind::NotFound, "neither HOME nor XDG_STATE_HOME is set"),
            SpoolPlace::BadName => error(io::ErrorKind::InvalidInput, "the name cannot be that of a folder"),
        }
    }
}
