//! The file that `--keep` appends to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Received;

#[derive(Debug)]
pub struct Keep {
    path: PathBuf,
    /// `None` after a failure: a file with holes would look whole.
    file: Mutex<Option<File>>,
}

impl Keep {
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // what programs report is its owner's
        Ok(Self { path: path.into(), file: Mutex::new(Some(options.open(path)?)) })
    }

    pub fn append(&self, received: &Received) {
        let mut lines = Vec::new();
        received.write_lines("", &mut lines);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = file.as_mut() else { return };
        if let Err(error) = open.write_all(&lines) {
            let _ = writeln!(
                io::stderr(),
                "tinker-telemetry: {}: {error}; nothing more is kept",
                self.path.display()
            );
            *file = None;
        }
    }
}
