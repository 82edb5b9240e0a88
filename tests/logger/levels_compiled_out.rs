//! Keeps the bridge from `log` to its word about levels that the program has compiled out. CI runs it twice: as usual, and
//! with the feature `max_level_off` of the crate `log`, which a single crate can set for the whole program.
#![cfg(feature = "log-bridge")]

use std::sync::{Arc, Mutex};

use log::{LevelFilter, Log, Metadata, Record, STATIC_MAX_LEVEL};
use tinker_telemetry::bridge::{Attachments, LogBridge};

/// A logger that keeps what it gets.
#[derive(Clone, Default)]
struct Printer(Arc<Mutex<Vec<String>>>);

impl Log for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

#[test]
fn install_returns_the_level_that_arrives_and_warns_if_a_lower_one_was_asked_for() {
    let printer = Printer::default();
    let bridge = LogBridge::new(printer.clone(), &Attachments::new());
    assert_eq!(bridge.install(LevelFilter::Trace).unwrap(), STATIC_MAX_LEVEL);
    log::error!("of the program");

    let records = printer.0.lock().unwrap();
    match STATIC_MAX_LEVEL {
        LevelFilter::Trace => assert_eq!(*records, ["ERROR of the program"]),
        LevelFilter::Off => assert_eq!(
            *records,
            [
                "WARN no record of the crate log arrives, warnings of telemetry neither: a feature max_level_… of that crate \
              compiles them out"
            ]
        ),
        other => panic!("{other} is not played"),
    }
}
