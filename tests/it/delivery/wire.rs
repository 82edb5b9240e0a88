//! Keeps the wire format: the requests of the official SDK are read and written again unchanged, and our requests have
//! the same form.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, SessionEndEvent, TelemetrySendRequest};
use tinker_telemetry::{ApiError, Severity};

use crate::support::{self, LIMIT, SESSION, check_body, check_request, session, sessionless};

fn recording(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn official_session() -> Value {
    recording(include_str!("../../wire/official-session.json"))
}

#[test]
fn the_recordings_are_read_and_written_again_unchanged() {
    for recording in [official_session(), recording(include_str!("../../wire/official-sessionless.json"))] {
        let body = &recording["body"];
        let request = check_body(body.to_string().as_bytes());
        for (event, value) in request.events.iter().zip(body["events"].as_array().unwrap()) {
            assert_eq!(serde_json::to_value(event).unwrap(), *value, "a single event is written the same");
        }
    }
}

#[test]
fn a_request_with_an_unknown_field_is_not_read() {
    let mut body = official_session()["body"].take();
    body["extra"] = json!(1);
    assert!(serde_json::from_value::<TelemetrySendRequest>(body).is_err());
}

#[test]
fn an_event_of_an_unknown_kind_is_not_read() {
    let mut event = official_session()["body"]["events"][0].take();
    event["event"] = json!("SESSION_PAUSE");
    assert!(serde_json::from_value::<Event>(event).is_err());
}

/// Plays the recorded session again: the same events in the same order, with our own values.
#[test]
fn a_session_has_the_form_of_the_recorded_one() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let data = json!({"step": 1200, "loss": 0.4213, "path": "runs/a/ckpt-1200",
                      "nested": {"ok": true, "none": null, "list": [1, 2.5, "x"]}});
    reporter.log("checkpoint.saved", data, Severity::Info);
    reporter.log("empty", (), Severity::Info);
    let odd = json!({"quote": "\"\\/", "control": "\u{1}\n\t", "snowman": "☃"});
    reporter.log("unicode ☃ name", odd, Severity::Debug);
    reporter.log_exception(&std::io::Error::other("outer failed"), Severity::Error);
    let api =
        ApiError::new("Payload is invalid").with_status(422).with_body(json!({"errors": ["invalid field"]}));
    reporter.log_exception(&api, Severity::Error);
    reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical);
    assert!(reporter.stop(LIMIT));

    let events: Vec<Value> =
        collector.events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let official = official_session();
    let recorded = official["body"]["events"].as_array().unwrap();
    assert_eq!(events.len(), recorded.len());
    let own_values = ["event_id", "timestamp", "duration", "error_type", "error_message", "traceback"];
    for (ours, theirs) in events.iter().zip(recorded) {
        let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
        assert!(ours.keys().eq(theirs.keys()), "{ours:?} has other fields than {theirs:?}");
        for (field, value) in theirs.iter().filter(|(field, _)| !own_values.contains(&field.as_str())) {
            match field.as_str() {
                "event_data" if theirs["event_name"] == "user_error" => {
                    assert_eq!(ours[field]["error_type"], "ApiError");
                    for same in ["message", "status_code", "body"] {
                        assert_eq!(ours[field][same], value[same]);
                    }
                }
                _ => assert_eq!(ours[field], *value, "{field}"),
            }
        }
        let timestamp = ours["timestamp"].as_str().unwrap();
        assert_eq!((timestamp.len(), timestamp.ends_with('Z')), ("2026-11-23T16:17:23.832966Z".len(), true));
    }
    support::checked_requests(&collector);
}

#[test]
fn the_top_level_fields_and_the_headers_are_those_of_the_recording() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    assert!(reporter.wait_until_drained(LIMIT));
    let received = collector.next_request(LIMIT).unwrap();
    let request = check_request(&received);
    assert_eq!(request.session_id, SESSION);
    assert_eq!(request.sdk_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(request.process_uuid.unwrap().get_version_num(), 4);
    if cfg!(target_os = "linux") {
        assert_eq!(request.platform, "Linux");
    }

    let official = official_session();
    for (header, recorded) in official["headers"].as_object().unwrap() {
        let expected = match header.as_str() {
            // These depend on the client and the machine. We request no compression.
            "accept-encoding"
            | "content-length"
            | "host"
            | "x-stainless-arch"
            | "x-stainless-os"
            | "x-idempotency-key"
            | "x-stainless-runtime-version" => continue,
            "user-agent" => concat!("tinker-telemetry/", env!("CARGO_PKG_VERSION")),
            "x-stainless-package-version" => env!("CARGO_PKG_VERSION"),
            "x-stainless-runtime" => "rust",
            "x-stainless-async" => "false",
            "x-stainless-read-timeout" => "30.0",
            _ => recorded.as_str().unwrap(),
        };
        assert_eq!(received.header(header), Some(expected), "{header}");
    }
    assert!(received.header("x-stainless-os").is_some() && received.header("x-stainless-arch").is_some());
}

#[test]
fn one_process_has_one_uuid_and_every_sessionless_reporter_an_id_of_its_own() {
    let collector = Collector::start().unwrap();
    for _ in 0..2 {
        let reporter = sessionless(&collector).start().unwrap();
        reporter.log("rest.call", (), Severity::Info);
        assert!(reporter.stop(LIMIT));
    }
    let requests: Vec<_> = collector.requests().iter().map(|received| check_request(received)).collect();
    let [first, second] = &requests[..] else { panic!("two requests, not {}", requests.len()) };
    assert_eq!(first.process_uuid, second.process_uuid);
    assert_ne!(first.session_id, second.session_id);
    for request in [first, second] {
        let id = request.session_id.strip_prefix("sessionless-").unwrap();
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 4);
        assert_eq!(
            support::names(&request.events),
            ["rest.call"],
            "a sessionless reporter sends no session start and no session end"
        );
        assert_eq!(request.events[0].session_index(), 0);
    }
}

#[test]
fn numbers_that_json_cannot_express_become_null() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(reporter.log("odd", [("nan", f64::NAN), ("inf", f64::INFINITY)], Severity::Info));
    assert!(reporter.stop(LIMIT));
    let Event::Generic(event) = &collector.events()[0] else { panic!("a generic event") };
    assert_eq!(event.event_data["value"], json!([["nan", null], ["inf", null]]));
}

/// A session end with this duration on the wire.
fn session_end(duration: &str) -> Value {
    let mut event = official_session()["body"]["events"][7].take();
    event["duration"] = json!(duration);
    event
}

fn read_duration(text: &str) -> Option<Duration> {
    serde_json::from_value::<SessionEndEvent>(session_end(text)).ok().map(|event| event.duration)
}

#[test]
fn a_duration_has_any_number_of_hours_and_at_most_six_digits() {
    let read = |text| read_duration(text).unwrap();
    assert_eq!(read("0:00:00.001981"), Duration::from_micros(1_981));
    assert_eq!(read("0:00:05"), Duration::from_secs(5));
    assert_eq!(read("1:01:01.5"), Duration::from_millis(3_661_500));
    assert_eq!(read("1000000:00:00.000001"), Duration::from_secs(3_600_000_000) + Duration::from_micros(1));
    for bad in [
        "",
        "5",
        "0:05",
        "0:00:60.0",
        "0:60:00.0",
        "0:0:00.0",
        "-1:00:00.0",
        "0:00:00.0000001",
        "0:00:+1.0",
        "0:00:00:00.0",
        "99999999999999999999:00:00.0",
        "0:00:00.-1",
        ":00:00.0x",
    ] {
        assert_eq!(read_duration(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_duration_is_written_in_microseconds_and_read_again(seconds in 0..u64::MAX / 2, nanos in 0..1_000_000_000_u32) {
        let mut event: SessionEndEvent = serde_json::from_value(session_end("0:00:00.000000")).unwrap();
        event.duration = Duration::new(seconds, nanos);
        let written = serde_json::to_value(&event).unwrap();
        let text = written["duration"].as_str().unwrap();
        prop_assert_eq!(text.rsplit('.').next().unwrap().len(), 6);
        prop_assert_eq!(read_duration(text), Some(Duration::new(seconds, nanos / 1_000 * 1_000)));
    }

    #[test]
    fn any_name_and_any_text_arrive_unchanged(name in any::<String>(), text in any::<String>()) {
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        let data = json!({"text": text, &text: 1});
        reporter.log(name.clone(), &data, Severity::Info);
        prop_assert!(reporter.stop(LIMIT));
        let request = check_request(&collector.requests()[0]);
        let Event::Generic(event) = &request.events[0] else { panic!("a generic event") };
        prop_assert_eq!(&event.event_name, &name);
        prop_assert_eq!(Some(&event.event_data), data.as_object());
    }
}
