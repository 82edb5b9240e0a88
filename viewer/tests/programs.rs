//! Keeps what programs get from the viewer: the backend's answers, outages, and their events shown as they were sent.

mod support;

use std::time::Duration;

use support::{TELEMETRY, Viewer, body_of};
use tinker_telemetry::{Config, Reporter, Severity, json};

fn reporter(viewer: &Viewer) -> Reporter {
    Reporter::builder(Config::new("tml-secret-key").base_url(viewer.url()), "session-0001")
        .enabled(true)
        .retry_base_delay(Duration::from_millis(100)) // eight of them last longer than the outage here
        .max_retries(8)
        .start()
        .expect("a reporter")
}

#[test]
fn the_librarys_events_arrive_in_order_and_whole() {
    let viewer = Viewer::start(&[]);
    let reporter = reporter(&viewer);
    reporter.log("checkpoint.saved", json!({"step": 1200, "loss": 0.4213}), Severity::Info);
    assert!(reporter.stop(support::LIMIT));
    assert_eq!(reporter.stats().delivered, 3);

    let lines = viewer.lines();
    let kinds: Vec<_> =
        lines.iter().map(|line| line["event"]["event"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["SESSION_START", "GENERIC_EVENT", "SESSION_END"]);
    assert_eq!(lines[1]["event"]["event_data"], serde_json::json!({"step": 1200, "loss": 0.4213}));
    assert!(
        lines.iter().all(|line| line["session_id"] == "session-0001" && line["status"] == 200),
        "{lines:?}"
    );
    assert!(lines[0]["process_uuid"].is_string());
}

#[test]
fn an_outage_makes_a_reporter_retry_and_back_lets_it_deliver() {
    let viewer = Viewer::start(&[]);
    viewer.outage("503");
    let reporter = reporter(&viewer);
    reporter.log("checkpoint.saved", json!({}), Severity::Info);
    reporter.flush();
    viewer.wait_for(|line| line["status"] == 503);
    viewer.outage("back");
    assert!(reporter.wait_until_drained(support::LIMIT));
    assert_eq!(reporter.stats().delivered, 2);
    let delivered = viewer.wait_for(|line| line["status"] == 200);
    assert!(delivered["retry"].as_u64() >= Some(1), "{delivered}");
}

#[test]
fn each_outage_is_what_it_says() {
    let viewer = Viewer::start(&[]);
    for status in ["503", "401", "413"] {
        viewer.outage(status);
        let answer = viewer.post(TELEMETRY, "", body_of("s", &["a"]).as_bytes());
        assert_eq!(answer.status.to_string(), status);
    }
    viewer.outage("hang");
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| viewer.post(TELEMETRY, "", body_of("hanging", &["a"]).as_bytes()));
        viewer.wait_for(|line| line["session_id"] == "hanging" && line["status"] == 0);
        viewer.outage("back");
        assert_eq!(hanging.join().expect("an end").status, 0, "a request that hangs is never answered");
    });
    assert_eq!(viewer.post("/_viewer/outage", "", b"sideways").status, 422);
}

#[test]
fn a_recorded_request_of_the_official_sdk_is_shown_event_by_event() {
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("support/official-session.json")).expect("JSON");
    let mut body = recorded["body"].clone();
    let viewer = Viewer::start(&[]);
    let path = recorded["path"].as_str().expect("a path");
    assert_eq!(viewer.post(path, "", body.to_string().as_bytes()).status, 200);
    let events: Vec<_> = viewer.lines().into_iter().map(|line| line["event"].clone()).collect();
    assert_eq!(serde_json::Value::from(events), body["events"]);

    body.as_object_mut().expect("an object").remove("process_uuid"); // as Tinkex sends it
    assert_eq!(viewer.post(path, "", body.to_string().as_bytes()).status, 200);
}

#[test]
fn what_is_no_telemetry_is_shown_as_such_and_answered_as_the_backend_would() {
    let viewer = Viewer::start(&[]);
    assert_eq!(viewer.post(TELEMETRY, "", b"{\"events\": 7}").status, 422);
    assert_eq!(viewer.post("/api/v1/asample?key=tml-secret", "", b"{}").status, 404);
    let lines = viewer.lines();
    assert!(lines[0]["other"]["why"].as_str().is_some_and(|why| why.contains("invalid type")), "{lines:?}");
    assert_eq!(lines[1]["other"]["path"], "/api/v1/asample", "a query may hold secrets");
}

#[test]
fn a_body_in_chunks_is_read() {
    let viewer = Viewer::start(&[]);
    let body = body_of("chunked", &["a"]);
    let (first, second) = body.split_at(20);
    let chunks =
        format!("{:x}\r\n{first}\r\n{:x};note=1\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let head = format!(
        "POST {TELEMETRY} HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        viewer.address
    );
    assert_eq!(viewer.request(&head, chunks.as_bytes()).status, 200);
    assert_eq!(viewer.lines().len(), 1);
}
