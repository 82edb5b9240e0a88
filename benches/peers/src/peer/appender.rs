//! tracing-appender: a line per event, formatted on the caller's thread and written to a file by another thread.
//!
//! It has no network and no flush. It shows the cost of a queue and a thread for a caller. The bench counts the lines
//! in the file to find out when it is idle.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use std::{env, process};

use anyhow::Result;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};

use super::Peer;
use crate::payload::Fields;

#[derive(Clone, Copy)]
pub(crate) enum Format {
    /// `tracing_subscriber::fmt()` as in its documentation, without colours.
    Text,
    /// `.json()`: the format most similar to that of the others.
    Json,
}

pub(crate) struct Appender {
    guard: Option<WorkerGuard>,
    logged: AtomicU64,
    written: Arc<AtomicU64>,
    path: PathBuf,
}

impl Appender {
    pub(crate) fn start(format: Format) -> Result<Self> {
        let path = env::temp_dir().join(format!("peers-{}.log", process::id()));
        let written = Arc::new(AtomicU64::new(0));
        let (writer, guard) =
            NonBlocking::new(CountedLines { file: File::create(&path)?, lines: Arc::clone(&written) });
        let subscriber = tracing_subscriber::fmt().with_writer(writer);
        match format {
            Format::Text => subscriber.with_ansi(false).init(),
            Format::Json => subscriber.json().init(),
        }
        Ok(Self { guard: Some(guard), logged: AtomicU64::new(0), written, path })
    }
}

impl Peer for Appender {
    fn log(&self, fields: Fields<'_>) {
        tracing::info!(step = fields.step, loss = fields.loss, shard = fields.shard, "checkpoint.saved");
        self.logged.fetch_add(1, Ordering::Relaxed); // for `flush`; it takes about two nanoseconds
    }

    fn flush(&self) {
        while self.written.load(Ordering::Acquire) < self.logged.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn shutdown(&mut self, _budget: Duration) {
        self.guard.take(); // waits for a second at most, which cannot be changed
    }

    fn written(&self) -> Option<u64> {
        Some(self.written.load(Ordering::Acquire))
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Counts the lines. The worker writes each with one `write_all`.
struct CountedLines {
    file: File,
    lines: Arc<AtomicU64>,
}

impl Write for CountedLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.lines.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
