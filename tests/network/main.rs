//! Keeps the path between a reporter and its server: TLS and proxies. It is a binary of its own, because the tests read
//! the process's log. Each test looks only for its own lines.
#![cfg(feature = "collector")]

#[path = "../support/log.rs"]
mod log;
#[cfg(all(target_os = "linux", feature = "tls"))]
#[path = "../support/real.rs"]
mod real;
#[cfg(target_os = "linux")]
#[path = "../support/replaced.rs"]
mod replaced;
#[cfg(all(target_os = "linux", feature = "tls"))]
#[path = "../support/sandbox.rs"]
mod sandbox;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
#[path = "../support/tls.rs"]
mod tls;

mod families;
mod proxies;
mod real_proxy;
mod socks;
mod trust;
