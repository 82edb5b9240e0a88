//! Keeps what this crate writes to the program's log.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::mem;
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// What was said, how loud, and on which thread.
pub type Line = (ThreadId, Level, String);

struct Keep(Mutex<Vec<Line>>);

static KEPT: Keep = Keep(Mutex::new(Vec::new()));

impl Log for Keep {
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

/// Begins to keep; each test of a binary may call it.
pub fn keep() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        log::set_logger(&KEPT).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// The warnings so far that contain this text: what a test says must be its own, since others write too.
pub fn warnings_with(text: &str) -> Vec<String> {
    let kept = KEPT.0.lock().unwrap();
    let warnings = kept.iter().filter(|(_, level, line)| *level <= Level::Warn && line.contains(text));
    warnings.map(|(.., line)| line.clone()).collect()
}

/// Every line so far, of every test of this binary.
pub fn everything() -> String {
    format!("{:?}", KEPT.0.lock().unwrap())
}

/// The lines since the last time, for a binary of one test.
pub fn take() -> Vec<Line> {
    mem::take(&mut *KEPT.0.lock().unwrap())
}
