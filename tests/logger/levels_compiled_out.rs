//! Keeps the warning about levels that the program has compiled out. CI runs this twice: as usual, and with the feature
//! `max_level_off` of the crate `log`. Any crate can set that feature, and it applies to the whole program.
#![cfg(feature = "log")]

use std::sync::{Arc, Mutex};

use log::{LevelFilter, Log, Metadata, Record, STATIC_MAX_LEVEL};
use tinker_telemetry::bridge::{Attachments, LogBridge};

/// A logger that stores its records.
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
fn install_returns_the_level_that_arrives_and_warns_where_it_is_not_the_requested_one() {
    let printer = Printer::default();
    let bridge = LogBridge::new(printer.clone(), &Attachments::new());
    assert_eq!(bridge.install(LevelFilter::Trace).unwrap(), STATIC_MAX_LEVEL);
    log::error!("from the program");

    let records = printer.0.lock().unwrap();
    match STATIC_MAX_LEVEL {
        LevelFilter::Trace => assert_eq!(*records, ["ERROR from the program"]),
        LevelFilter::Off => assert_eq!(
            *records,
            [
                "WARN no record of the crate log arrives, warnings of telemetry neither: a feature max_level_… of that crate \
              compiles them out"
            ]
        ),
        other => panic!("no case for {other}"),
    }
}
