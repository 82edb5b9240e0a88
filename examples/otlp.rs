//! Sends a session with a few events to an OpenTelemetry collector.
//!
//! ```text
//! cargo run --all-features --example otlp -- [ENDPOINT]
//! ```
//!
//! Without an argument the environment says where to, as for any exporter of OpenTelemetry; its default is a collector on
//! this machine, at `http://localhost:4318`.
//!
//! Exit codes: 0, every event was delivered; 1, some were not, or the endpoint cannot be used.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tinker_telemetry::{Config, Reporter, Severity, StartError, json};

/// The id that Tinker returns when a program opens its session.
const SESSION: &str = "a2719304-16d9-44b8-a321-efd2d1c8ac74";

fn main() -> ExitCode {
    // The reporter's warnings say why nothing arrives.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match run(std::env::args().nth(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(io::stderr(), "otlp: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every event was delivered.
fn run(endpoint: Option<String>) -> Result<bool, StartError> {
    let config = endpoint.map_or_else(Config::otlp_from_env, Config::otlp);
    let config = config.resource("service.version", env!("CARGO_PKG_VERSION"));
    let reporter = Reporter::builder(config, SESSION).start()?;
    for step in 0..3 {
        let loss = 1.0 / f64::from(step + 1);
        reporter.log("train.step", json!({"step": step, "loss": loss, "rates": [0.1, 0.01]}), Severity::Info);
    }
    let missing = io::Error::new(io::ErrorKind::NotFound, "checkpoint 1200 is not there");
    reporter.log_exception(&missing, Severity::Warning);
    reporter.stop(Duration::from_secs(5));
    let stats = reporter.stats();
    let line = if reporter.is_enabled() {
        stats.to_string()
    } else {
        "The environment switches telemetry off.".to_owned()
    };
    let _ = writeln!(io::stdout(), "{line}");
    Ok(stats.delivered == stats.offered)
}
