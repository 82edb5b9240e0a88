//! The bridge from `log`: the session's records become events, and the wrapped logger gets every record.
#![cfg(all(feature = "log", feature = "collector"))]

mod attachments;
mod bad_input;
mod records;

use std::sync::{Arc, Mutex};

use log::{LevelFilter, Log, Metadata, Record};
use tinker_telemetry::Reporter;
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::GenericEvent;

use crate::support::{drained, session};

/// Enables all levels of the process. The macros check this level for every logger.
fn enable_all_levels() {
    log::set_max_level(LevelFilter::Trace);
}

/// A logger that records the targets of its records.
#[derive(Clone, Default)]
struct Printer(Arc<Mutex<Vec<String>>>);

impl Printer {
    fn printed(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Log for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false // the bridge passes it every record all the same, and it filters by itself
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.target().to_owned());
    }

    fn flush(&self) {
        self.0.lock().unwrap().push("flushed".to_owned());
    }
}

/// A session, and a bridge that forwards all records to it and wraps a printer.
struct Listener {
    collector: Collector,
    reporter: Reporter,
    attachments: Attachments,
    printer: Printer,
    bridge: LogBridge<Printer>,
}

impl Listener {
    fn new() -> Self {
        Self::with_filter(EventFilter::all())
    }

    fn with_filter(filter: EventFilter) -> Self {
        enable_all_levels();
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).start().unwrap();
        let attachments = Attachments::new();
        attachments.attach("listener", &reporter, filter).unwrap();
        let printer = Printer::default();
        let bridge = LogBridge::new(printer.clone(), &attachments);
        Self { collector, reporter, attachments, printer, bridge }
    }

    /// Waits until all events are delivered. Returns those of the bridge.
    fn received(&self) -> Vec<GenericEvent> {
        drained(&self.collector, &self.reporter)
    }

    fn received_names(&self) -> Vec<String> {
        self.received().into_iter().map(|event| event.event_name).collect()
    }
}
