//! One event as text for a terminal: bounded, and without a character that a terminal obeys.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::event::{Event, Severity};

/// The longest text of one value, in characters. A longer one is cut: a line is for reading.
const MAX_VALUE: usize = 200;
/// The longest text of all the data of an event.
const MAX_DATA: usize = 1_000;
/// How many lines of a traceback are shown.
const MAX_TRACEBACK_LINES: usize = 12;

const CUT: &str = "…";

pub(super) struct Line<'e> {
    pub(super) event: &'e Event,
    pub(super) is_coloured: bool,
}

impl Line<'_> {
    /// Appends the event's line, and for an exception its traceback below it.
    pub(super) fn write(&self, out: &mut String) {
        let timestamp = self.event.timestamp().to_string();
        // `16:17:23.832` of `2026-11-23T16:17:23.832966Z`
        let time = timestamp.get(11..23).unwrap_or_default();
        let severity = self.event.severity();
        let (colour, reset) = if self.is_coloured { (colour(severity), "\x1b[0m") } else { ("", "") };
        let name = printable(self.event.name(), MAX_VALUE);
        let _ = write!(out, "telemetry {time} {colour}{:<8}{reset} {name}", severity.as_str());
        match self.event {
            Event::Generic(event) => out.push_str(&data(&event.event_data)),
            Event::SessionEnd(event) => _ = write!(out, "  after {:?}", event.duration),
            Event::UnhandledException(event) => {
                let error_type = printable(&event.error_type, MAX_VALUE);
                let message = printable(&event.error_message, MAX_VALUE);
                let _ = write!(out, "  {error_type}: {message}");
                let lines = event.traceback.iter().flat_map(|traceback| traceback.lines().skip(1));
                for line in lines.clone().take(MAX_TRACEBACK_LINES) {
                    let _ = write!(out, "\n    {}", printable(line, MAX_VALUE));
                }
                let more = lines.count().saturating_sub(MAX_TRACEBACK_LINES);
                if more > 0 {
                    let _ = write!(out, "\n    {CUT} {more} more lines");
                }
            }
            _ => {}
        }
        out.push('\n');
    }
}

/// `  step=1200  loss=0.4213`
fn data(data: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (place, (name, value)) in data.iter().enumerate() {
        if text.chars().count() > MAX_DATA {
            let _ = write!(text, "  {CUT} {} more", data.len() - place);
            break;
        }
        let value = match value {
            Value::String(value) if is_word(value) => value.clone(),
            value => value.to_string(),
        };
        let _ = write!(text, "  {}={}", printable(name, MAX_VALUE), printable(&value, MAX_VALUE));
    }
    text
}

/// Whether a text is one word, which is clear without quotes.
fn is_word(text: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || "._-/:+".contains(letter);
    !text.is_empty() && text.chars().all(fits)
}

/// The text without control characters and without those that change the direction of writing, each as its escape.
fn printable(text: &str, max: usize) -> String {
    let mut printable = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place == max {
            printable.push_str(CUT);
            break;
        }
        let is_hostile = letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if is_hostile {
            printable.extend(letter.escape_default());
        } else {
            printable.push(letter);
        }
    }
    printable
}

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "\x1b[2m",
        Severity::Info => "\x1b[32m",
        Severity::Warning => "\x1b[33m",
        Severity::Error => "\x1b[31m",
        Severity::Critical => "\x1b[1;31m",
    }
}
