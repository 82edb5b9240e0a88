//! What a program says to others and a bridge reports: log records, spans, requests, panics.

mod everything;
mod log;
mod panic_abort;
mod tracing;
mod tracing_context;
mod ureq;

use serde_json::Value;
use tinker_telemetry::event::GenericEvent;

/// The data of an event that a bridge forwards, without its place. Every such event has one.
fn data(event: &GenericEvent) -> Value {
    let mut data = event.event_data.clone();
    let origin = data.remove("origin").expect("an origin");
    for key in ["target", "file", "thread"] {
        assert!(origin[key].is_string(), "{key}: {origin}");
    }
    assert!(origin["line"].is_u64(), "{origin}");
    data.into()
}
