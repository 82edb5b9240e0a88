//! Reports one event to the viewer that `TINKER_BASE_URL` names, and ends once it is delivered. A browser test plays an
//! outage for it.

use std::process::ExitCode;
use std::time::Duration;

use tinker_telemetry::{Config, Reporter, Severity, StartError, json};

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<ExitCode, StartError> {
    let reporter = Reporter::builder(Config::from_env(), "a-real-reporter")
        .retry_base_delay(Duration::from_millis(100)) // many of them outlast any outage of the test
        .max_retries(20)
        .start()?;
    reporter.log("checkpoint.saved", json!({"step": 1}), Severity::Info);
    let delivered = reporter.stop(LIMIT) && reporter.stats().delivered == 3;
    Ok(if delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
