//! Keeps the lines that this crate writes to the program's log.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::mem;
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The thread that logged it, its level and its text.
pub type Line = (ThreadId, Level, String);

struct LineStore(Mutex<Vec<Line>>);

static STORE: LineStore = LineStore(Mutex::new(Vec::new()));

impl Log for LineStore {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("tinker_telemetry") {
            let line = (thread::current().id(), record.level(), record.args().to_string());
            self.0.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

/// Begins to keep lines. Each test of a binary may call it.
pub fn keep() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&STORE).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// The warnings so far that contain this text. The other tests of the binary log too, so a test needs a text of its
/// own.
pub fn warnings_with(text: &str) -> Vec<String> {
    let lines = STORE.0.lock().unwrap();
    let warnings = lines.iter().filter(|(_, level, line)| *level <= Level::Warn && line.contains(text));
    warnings.map(|(.., line)| line.clone()).collect()
}

/// All lines so far, of all tests of this binary.
pub fn everything() -> String {
    format!("{:?}", STORE.0.lock().unwrap())
}

/// The lines since the last call. For a binary with one test.
pub fn take() -> Vec<Line> {
    mem::take(&mut *STORE.0.lock().unwrap())
}
