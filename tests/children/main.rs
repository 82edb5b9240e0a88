//! Keeps the behaviour that depends on the process: its environment, its limits, its logger, its panic hook. Each
//! program under test is this binary, started again with one test. So no test affects another.
#![cfg(feature = "collector")]

#[path = "../support/log.rs"]
mod lines;
#[cfg(unix)]
#[path = "../support/process.rs"]
mod process;
#[cfg(unix)]
#[path = "../support/real.rs"]
mod real;
#[cfg(target_os = "linux")]
#[path = "../support/replaced.rs"]
mod replaced;
#[path = "../support/mod.rs"]
mod support;
#[cfg(all(feature = "otlp", feature = "tls"))]
#[path = "../support/tls.rs"]
mod tls;

#[cfg(unix)]
mod credential_command;
mod environment;
mod limits;
mod logger;
#[cfg(unix)]
mod losses;
#[cfg(feature = "otlp")]
mod otlp;
mod panic_hook;
mod resolver;
