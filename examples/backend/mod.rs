//! Where the examples report to: the server that the environment names, or the OpenTelemetry collector. Without one, a
//! collector on loopback, whose events are printed at the end.

#![allow(dead_code, reason = "each example uses its own part")]

use std::env;
use std::io::{self, Write};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Config, Reporter};

pub struct Backend {
    collector: Option<Collector>,
    is_otlp: bool,
}

impl Backend {
    pub fn start() -> io::Result<Self> {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_otlp = cfg!(feature = "otlp") && is_set("OTEL_EXPORTER_OTLP_ENDPOINT");
        let is_named = is_otlp || is_set("TINKER_API_KEY") || is_set("TINKER_BASE_URL");
        let collector = if is_named { None } else { Some(Collector::start()?) };
        Ok(Self { collector, is_otlp })
    }

    pub fn config(&self) -> Config {
        match &self.collector {
            Some(collector) => Config::new("tml-example").base_url(collector.url()),
            #[cfg(feature = "otlp")]
            None if self.is_otlp => Config::otlp_from_env(),
            None => Config::from_env(),
        }
    }

    /// What the collector received. `None`: the events went to the server that the environment names.
    pub fn events(&self) -> Option<Vec<Event>> {
        self.collector.as_ref().map(Collector::events)
    }

    /// Prints at once why telemetry is off. Where it is on, prints the collector's events when the value is dropped.
    pub fn show_at_end(self, reporter: &Reporter) -> ShowAtEnd {
        if reporter.is_enabled() {
            ShowAtEnd(self)
        } else {
            let _ = writeln!(io::stderr(), "{}", why_off());
            ShowAtEnd(Self { collector: None, ..self })
        }
    }
}

/// Prints the collector's events when it is dropped: at the end of `main`, and after a panic.
pub struct ShowAtEnd(Backend);

impl ShowAtEnd {
    pub fn show(&self) {
        if let Some(events) = self.0.events() {
            let _ = print(&events); // the end of a program has no use for an error of its output
        }
    }
}

impl Drop for ShowAtEnd {
    fn drop(&mut self) {
        self.show();
    }
}

fn print(events: &[Event]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\nreceived by the collector:{}", if events.is_empty() { " nothing" } else { "" })?;
    for event in events {
        let (index, name) = (event.session_index(), printable(event.name()));
        writeln!(out, "{index:>3}  {:<8}  {name:<22}  {}", event.severity(), printable(&summary(event)))?;
    }
    Ok(())
}

fn summary(event: &Event) -> String {
    match event {
        Event::Generic(event) => serde_json::to_string(&event.event_data).unwrap_or_default(),
        Event::UnhandledException(event) => format!("{}: {}", event.error_type, event.error_message),
        Event::SessionEnd(event) => format!("after {:?}", event.duration),
        _ => String::new(),
    }
}

/// Which variables of the environment switch telemetry off.
pub fn why_off() -> String {
    let variables = ["TINKER_TELEMETRY", "DO_NOT_TRACK"];
    let set = variables.into_iter().filter_map(|name| {
        let value = env::var_os(name).filter(|value| !value.is_empty())?;
        Some(format!("{name} is {value:?}"))
    });
    format!("telemetry is off: {}", set.collect::<Vec<_>>().join(", "))
}

/// The text with control characters escaped. The name of a file may hold a line break, or a sequence that makes a
/// terminal hide or forge what it shows.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => printable.push(letter), // harmless, and JSON is full of them
            _ => printable.extend(letter.escape_debug()),
        }
    }
    printable
}
