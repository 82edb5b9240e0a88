use serde_json::json;

use super::*;
use crate::model::event::{GenericEvent, SessionStartEvent, Severity, UnhandledExceptionEvent};

fn printed(events: impl Into<Vec<Event>>, is_coloured: bool) -> String {
    let body = serde_json::to_vec(&json!({"events": events.into(), "session_id": "s"})).unwrap();
    let request = Request::new(body, String::new());
    let mut printer = Printer::new(Vec::new(), is_coloured);
    assert_eq!(printer.post(&request, 0, Duration::ZERO), Verdict::Printed);
    String::from_utf8(printer.out).unwrap()
}

fn generic(name: &str, data: &[(&str, serde_json::Value)]) -> Event {
    let mut event = GenericEvent::new(name);
    event.event_data.extend(data.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    event.into()
}

/// A line without its time.
fn without_time(line: &str) -> &str {
    &line["telemetry 00:00:00.000 ".len()..]
}

#[test]
fn an_event_is_a_line_with_its_severity_its_name_and_its_data() {
    let data =
        [("loss", json!(0.5)), ("path", json!("runs/a")), ("step", json!(1200)), ("who", json!("a b"))];
    let lines = printed(vec![SessionStartEvent::new().into(), generic("checkpoint.saved", &data)], false);
    let lines: Vec<_> = lines.lines().map(without_time).collect();
    assert_eq!(lines[0], "INFO     SESSION_START");
    assert_eq!(lines[1], r#"INFO     checkpoint.saved  loss=0.5  path=runs/a  step=1200  who="a b""#);
}

#[test]
fn a_traceback_stands_below_its_exception_and_is_cut() {
    let mut failed = UnhandledExceptionEvent::new("Error", "failed");
    let causes: Vec<_> = (0..30).map(|nth| format!("Caused by: {nth}")).collect();
    failed.traceback = Some(format!("Error: failed\n{}", causes.join("\n")));
    let text = printed(vec![failed.into()], false);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(without_time(lines[0]), "ERROR    UNHANDLED_EXCEPTION  Error: failed");
    assert_eq!(
        (lines[1], lines[12], lines[13]),
        ("    Caused by: 0", "    Caused by: 11", "    … 18 more lines")
    );
    assert_eq!(lines.len(), 14);
}

#[test]
fn no_text_commands_the_terminal_or_begins_a_line_of_its_own() {
    let hostile = "a\x1b[2Jb\ntelemetry forged\r\u{202e}\u{7f}\u{9b}c";
    let mut failed = UnhandledExceptionEvent::new(hostile, hostile);
    failed.traceback = Some(format!("x\n{hostile}"));
    let text = printed(vec![generic(hostile, &[(hostile, json!(hostile))]), failed.into()], false);
    let is_plain = |letter: char| !letter.is_control() && letter != '\u{202e}';
    assert!(text.chars().all(|letter| letter == '\n' || is_plain(letter)), "{text:?}");
    // The traceback has a line break of its own, and is indented.
    assert!(text.lines().all(|line| !line.starts_with("telemetry forged")), "{text}");
}

#[test]
fn a_line_is_bounded_whatever_is_in_the_event() {
    let long = "x".repeat(100_000);
    let many: Vec<_> = (0..10_000).map(|nth| (format!("field{nth}"), json!(long))).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.clone())).take(500).collect();
    let text = printed(vec![generic(&long, &many)], false);
    assert!(text.chars().count() < 2_000, "{}", text.chars().count());
    assert!(text.contains(" more"));
}

#[test]
fn colours_are_for_terminals() {
    let event = || {
        let mut event = GenericEvent::new("step");
        event.severity = Severity::Warning;
        vec![event.into()]
    };
    assert!(printed(event(), true).contains("\x1b[33mWARNING \x1b[0m step"));
    assert!(!printed(event(), false).contains('\x1b'));
}
