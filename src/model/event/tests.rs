use serde_json::json;

use super::*;

fn read_duration(text: &str) -> Result<Duration, serde_json::Error> {
    let event = json!({
        "event": "SESSION_END", "event_id": Uuid::nil(), "event_session_index": 0, "severity": "INFO",
        "timestamp": "2026-11-23T16:17:23.834947Z", "duration": text,
    });
    serde_json::from_value::<SessionEndEvent>(event).map(|event| event.duration)
}

#[test]
fn durations_of_the_python_sdk_past_a_day_are_read() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let rest = Duration::new(3605, 8_000);
    assert_eq!(read_duration("1 day, 1:00:05.000008").unwrap(), DAY + rest);
    assert_eq!(read_duration("12 days, 1:00:05.000008").unwrap(), 12 * DAY + rest);
    assert_eq!(
        read_duration("-1 day, 23:59:59.999000").unwrap(),
        Duration::ZERO,
        "of a clock that was set back"
    );
    for wrong in
        ["day, 1:00:00", "1 week, 1:00:00", "1 day 1:00:00", "1 day, ", "213503982334602 days, 0:00:00"]
    {
        assert!(read_duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_request_without_a_process_uuid_is_read_and_written_as_it_was() {
    let body = json!({"events": [], "platform": "Linux", "sdk_version": "0.23.0", "session_id": "session"});
    let request: TelemetrySendRequest = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(request, TelemetrySendRequest::new("session", Vec::new(), "Linux", "0.23.0"));
    assert_eq!(serde_json::to_value(request).unwrap(), body);
}

#[test]
fn a_severity_is_read_in_any_case_and_an_unknown_one_is_an_error() {
    for severity in Severity::ALL {
        for text in [severity.as_str().to_owned(), severity.as_str().to_lowercase()] {
            assert_eq!(text.parse(), Ok(severity));
            assert_eq!(Severity::try_from(&*text), Ok(severity));
        }
    }
    for unknown in ["", "WARN", "fatal", " INFO"] {
        assert_eq!(unknown.parse::<Severity>(), Err(ParseSeverityError), "{unknown}");
    }
}

#[test]
fn every_event_gives_what_all_have_and_a_generic_one_its_data() {
    let events: [Event; 4] = [
        SessionStartEvent::new().into(),
        SessionEndEvent::new(Duration::from_secs(1)).into(),
        UnhandledExceptionEvent::new("Error", "failed").into(),
        GenericEvent::new("step").into(),
    ];
    for event in &events {
        let json = serde_json::to_value(event).unwrap();
        assert_eq!(json["timestamp"], event.timestamp().to_string());
        assert_eq!(json["severity"], event.severity().as_str());
        assert_eq!(event.data().is_some(), event.as_generic().is_some());
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), *event);
    }
    assert_eq!(events[3].name(), "step");
    assert_eq!(events[2].as_exception().unwrap().error_message, "failed");
}
