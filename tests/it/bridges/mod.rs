//! What a program says to others and a bridge reports: log records, spans, requests, panics.

mod log;
mod panic_abort;
mod tracing;
mod ureq;
