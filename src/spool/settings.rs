//! What a program says about its spool: where it is, when it is written, and what it must survive.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::model::config;
use crate::spool::disk;
use crate::spool::store::Store;

/// Keeps events that cannot be sent in files, for the next run of the program.
///
/// Without a spool a program that ends while the server cannot be reached loses what is pending. With one, those events
/// are written to a folder, counted as `spooled`, and sent by the next run, or by another process of the same
/// program that runs meanwhile. They keep their session's id, their ids, numbers and times. An event may
/// arrive twice, with the same `event_id`, if a process is killed while it sends.
///
/// No key, no header and no proxy is written. Where events go is said by the running program alone: each endpoint and
/// each key has a folder of its own below this one, and another's events are never sent. After a change of the key, the
/// old key's events wait 7 days for its return and are then removed.
///
/// The folder may hold 16 MiB and 256 files for each endpoint and key. After that the oldest files are removed; what
/// still finds no room is dropped as `spool_full`. The folder must be this user's and closed to others. If it is not,
/// or if the disk fails, events are lost as they are without a spool, and the reporter logs one warning.
///
/// ```
/// use tinker_telemetry::{Config, Reporter, Spool};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let builder = Reporter::builder(config, "session-0001").spool(Spool::for_program("my-tool"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a spool does nothing until it is given to a builder"]
pub struct Spool {
    place: SpoolPlace,
    write_ahead: Option<Duration>,
    durability: Durability,
}

#[derive(Clone, Debug)]
enum SpoolPlace {
    /// A folder that the program has chosen.
    At(PathBuf),
    /// A folder below the user's own.
    OfUser(PathBuf),
    /// The environment names no folder of the user's.
    Nowhere,
    /// The program's name cannot name a folder.
    BadName,
}

/// What events in a file survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process, `kill -9` included.
    #[default]
    Process,
    /// A power cut as well: each write waits until the disk has it, some milliseconds.
    Power,
}

/// What a spool's folder holds.
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
    /// A folder of this program's in the user's home: `$XDG_STATE_HOME/<program>/telemetry`, where the variable is unset
    /// `~/.local/state/<program>/telemetry`. The environment is read at this call. If it names neither folder, or one of
    /// another user, the reporter works as without a spool, and logs one warning when there is something to keep.
    pub fn for_program(program: impl AsRef<str>) -> Self {
        let program = program.as_ref();
        let is_name = matches!(
            Path::new(program).components().collect::<Vec<_>>()[..],
            [Component::Normal(name)] if name == program
        );
        let place = match config::state_home() {
            _ if !is_name || program.contains('\0') => SpoolPlace::BadName,
            Some(home) => SpoolPlace::OfUser(home.join(program).join("telemetry")),
            None => SpoolPlace::Nowhere,
        };
        Self::of(place)
    }

    /// This folder. It is made if it is not there, for this user alone.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::of(SpoolPlace::At(path.into()))
    }

    fn of(place: SpoolPlace) -> Self {
        Self { place, write_ahead: None, durability: Durability::default() }
    }

    /// Writes every event soon after it was accepted, and not only what cannot be sent: what is older than this interval
    /// is in a file when the process is killed. While a request or its retries are on the way, what comes meanwhile is
    /// written after it. Must be greater than zero; a fifth of a second is a good choice. Defaults to writing only what
    /// would be dropped as `retries_exhausted` or `deadline`.
    pub fn write_ahead(mut self, interval: Duration) -> Self {
        self.write_ahead = Some(interval);
        self
    }

    /// What events in a file must survive. Defaults to [`Durability::Process`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What the folder holds now. Reads its files, so it may take some milliseconds. A folder that is not there holds
    /// nothing.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let spool = tinker_telemetry::Spool::at(folder.path().join("telemetry"));
    /// println!("{} events wait for the next run", spool.status()?.events);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&self) -> io::Result<SpoolStatus> {
        Store::status(self.folder()?)
    }

    /// Removes every file that no running process has open, and returns what was in them. Files that are not the spool's
    /// are left alone.
    pub fn purge(&self) -> io::Result<SpoolStatus> {
        Store::purge(self.folder()?)
    }

    /// What is wrong with the settings, for the error of `start`.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if matches!(self.place, SpoolPlace::BadName) {
            return Err("needs the name of a program that can name a folder");
        }
        if self.write_ahead.is_some_and(|interval| interval.is_zero()) {
            return Err("needs an interval greater than zero");
        }
        Ok(())
    }

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
            SpoolPlace::OfUser(path) if disk::is_way_own(path) => Ok(path),
            SpoolPlace::OfUser(_) => error(io::ErrorKind::PermissionDenied, "the home is of another user"),
            SpoolPlace::Nowhere => error(io::ErrorKind::NotFound, "neither HOME nor XDG_STATE_HOME is set"),
            SpoolPlace::BadName => error(io::ErrorKind::InvalidInput, "the name cannot name a folder"),
        }
    }
}
