//! Answers programs: as the backend would, as the outage wants, or with the real backend's answer.

use std::io;

use super::Viewer;
use super::forward::Payload;
use super::outage::Mode;
use crate::http::{Answer, Connection, Head};
use crate::store::{Circumstances, Other, Received, Telemetry, parse};

const TELEMETRY: &str = "/api/v1/telemetry";
/// The library sends 1 MiB at most. The backend's own limit is not known.
const MAX_BODY: u64 = 16 << 20;

/// Whether the connection is of further use.
pub fn answer(viewer: &Viewer, connection: &mut Connection, head: &Head) -> io::Result<bool> {
    if head.method == "POST" && head.path().trim_end_matches('/').ends_with(TELEMETRY) {
        telemetry(viewer, connection, head)
    } else {
        other(viewer, connection, head)
    }
}

fn telemetry(viewer: &Viewer, connection: &mut Connection, head: &Head) -> io::Result<bool> {
    let mut body = connection.body(head)?;
    let Some(bytes) = body.read_all(MAX_BODY)? else {
        let usable = body.skip();
        viewer.take(not_telemetry(head, MAX_BODY, "larger than 16 MiB", 413));
        connection.answer(&Answer::detail(413, "Request Entity Too Large"), head)?;
        return Ok(usable);
    };
    let parsed = parse(&bytes);
    let keep = |status: u16| viewer.take(received(head, &bytes, &parsed, status));

    match viewer.outage.mode() {
        Mode::Hang => {
            keep(0);
            viewer.outage.hang(|| connection.is_closed_within(std::time::Duration::from_millis(1)));
            return Ok(false);
        }
        Mode::Refuse(status) => {
            keep(status);
            connection.answer(&Answer::detail(status, "an outage, played by the viewer"), head)?;
            return Ok(true);
        }
        Mode::Slow => viewer.outage.slow(),
        Mode::Back => {}
    }
    if let Some(forward) = &viewer.forward {
        let mut backend = forward.pass(head, Payload::Whole(&bytes));
        keep(backend.status());
        return backend.answer(connection, head);
    }
    let answer = match &parsed {
        Ok(_) => Answer::json(200, r#"{"status":"accepted"}"#),
        Err(why) => Answer::detail(422, why),
    };
    keep(answer.status());
    connection.answer(&answer, head)?;
    Ok(true)
}

fn other(viewer: &Viewer, connection: &mut Connection, head: &Head) -> io::Result<bool> {
    let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let why = match viewer.forward {
        Some(_) => "passed on to the backend",
        None => "the viewer answers telemetry alone",
    };
    let keep = |status| viewer.take(not_telemetry(head, length, why, status));
    match viewer.outage.mode() {
        Mode::Hang => {
            keep(0);
            viewer.outage.hang(|| connection.is_closed_within(std::time::Duration::from_millis(1)));
            return Ok(false);
        }
        Mode::Slow => viewer.outage.slow(),
        Mode::Refuse(_) | Mode::Back => {}
    }
    let body = connection.body(head)?;
    if let (Some(forward), Mode::Back | Mode::Slow) = (&viewer.forward, viewer.outage.mode()) {
        let mut body = body;
        let mut backend = forward.pass(head, Payload::Streamed(&mut body));
        let usable = body.skip();
        keep(backend.status());
        return Ok(backend.answer(connection, head)? && usable);
    }
    let answer = match viewer.outage.mode() {
        Mode::Refuse(status) => Answer::detail(status, "an outage, played by the viewer"),
        _ => Answer::detail(404, "Not Found"),
    };
    let usable = body.skip();
    keep(answer.status());
    connection.answer(&answer, head)?;
    Ok(usable)
}

fn received(head: &Head, bytes: &[u8], parsed: &Result<Telemetry<'_>, String>, status: u16) -> Received {
    match parsed {
        Ok(telemetry) => {
            let retry =
                head.header("x-stainless-retry-count").and_then(|count| count.parse().ok()).unwrap_or(0);
            Received::telemetry(telemetry, Circumstances { retry, status })
        }
        Err(why) => not_telemetry(head, bytes.len() as u64, why, status),
    }
}

fn not_telemetry(head: &Head, bytes: u64, why: &str, status: u16) -> Received {
    Received::other(&Other { method: &head.method, path: head.path(), bytes, why }, status)
}
