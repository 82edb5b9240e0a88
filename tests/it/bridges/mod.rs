//! The bridges: log records, spans, HTTP requests and panics of the program as events.

mod everything;
mod log;
mod panic_abort;
mod tracing;
mod tracing_context;
mod ureq;

use serde_json::Value;
use tinker_telemetry::event::GenericEvent;

/// The data of a forwarded event without its origin. Every forwarded event has an origin.
fn data(event: &GenericEvent) -> Value {
    let mut data = event.event_data.clone();
    let origin = data.remove("origin").expect("an origin");
    for key in ["target", "file", "thread"] {
        assert!(origin[key].is_string(), "{key}: {origin}");
    }
    assert!(origin["line"].is_u64(), "{origin}");
    data.into()
}
