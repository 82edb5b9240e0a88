//! Keeps the promise that no behaviour of a server makes the reporter hang or count wrong.
//!
//! `server` plays the faults over real sockets, and tests that each fault happens as named. `exit_bound` is about time,
//! `truth` about counts.
#![cfg(all(test, unix))] // only Unix allows a small segment size

#[path = "../support/http.rs"]
mod http;

mod exit_bound;
mod server;
mod truth;
