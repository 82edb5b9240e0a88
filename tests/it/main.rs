//! Keeps the library's behaviour, as far as one process can show it to many tests at once.
//!
//! A test belongs here unless it needs something of which a process has only one: the logger, the panic hook, the
//! environment, the allocator, a limit, a fork. Such a test has a process of its own; `Cargo.toml` lists those.
#![cfg(feature = "collector")]

#[path = "../support/real.rs"]
mod real;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
#[path = "../support/tls.rs"]
mod tls;

mod bridges;
mod caller;
mod collector;
mod delivery;
