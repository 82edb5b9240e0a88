//! Keeps the promise that no behaviour of a server makes the reporter hang, lie or lose count.
//!
//! `server` plays the faults over real sockets and shows that each is what it says it is; `exit_bound` is about time,
//! `truth` about counts.
#![cfg(all(test, unix))] // elsewhere a small segment size cannot be asked for

#[path = "../support/http.rs"]
mod http;

mod exit_bound;
mod server;
mod truth;
