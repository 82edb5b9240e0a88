//! Keeps what this crate writes to the program's log.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::{Mutex, Once};

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Keep(Mutex<Vec<(Level, String)>>);

static KEPT: Keep = Keep(Mutex::new(Vec::new()));

impl Log for Keep {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("tinker_telemetry") {
            self.0.lock().unwrap().push((record.level(), record.args().to_string()));
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
    let warnings = kept.iter().filter(|(level, line)| *level <= Level::Warn && line.contains(text));
    warnings.map(|(_, line)| line.clone()).collect()
}

/// Every line so far, of every test of this binary.
pub fn everything() -> String {
    format!("{:?}", KEPT.0.lock().unwrap())
}
