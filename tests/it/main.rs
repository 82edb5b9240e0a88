//! Keeps the behaviour that many tests can check at once in one process.
//!
//! A test belongs here unless it changes the state of the process: the logger, the panic hook, the environment, the
//! allocator, a limit, a fork. A test that does needs a process of its own. `Cargo.toml` lists those tests.
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
#[cfg(feature = "otlp")]
mod otlp;
