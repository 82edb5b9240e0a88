//! Sends what is kept, as the program's next run would.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::{Config, Reporter};

use super::{count, named};
use crate::cli;
use crate::command::{Outcome, say};

const LOOK: Duration = Duration::from_millis(100);
/// The library's reporter says what it sent, but not that it is through. So it is, once nothing has changed for so long.
const QUIET: Duration = Duration::from_secs(1);
const STOP: Duration = Duration::from_secs(5);

pub fn send(options: &cli::Send) -> Outcome {
    let (spool, name) = named(&options.place)?;
    let before = spool.status()?;
    if before.events == 0 {
        say(&format!("{name}: nothing is kept"));
        return Ok(ExitCode::SUCCESS);
    }
    // A reporter without a session makes no events of its own.
    let reporter =
        Reporter::sessionless_builder(Config::from_env()).enabled(true).spool(spool.clone()).start()?;
    let deadline = Instant::now() + Duration::from_secs(options.timeout);
    let (mut seen, mut since) = (reporter.stats().replayed, Instant::now());
    while Instant::now() < deadline && spool.status()?.events > 0 {
        thread::sleep(LOOK);
        let now = reporter.stats().replayed;
        if now != seen || now.pending > 0 {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > QUIET {
            break;
        }
    }
    reporter.stop(STOP);
    let sent = reporter.stats().replayed;
    let left = spool.status()?.events;
    println!(
        "{name}: {} sent, {} given up, {left} left",
        count(sent.delivered, "event"),
        sent.dropped.total()
    );
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    say(
        "What is left was kept for another TINKER_BASE_URL or key, is held by a program that runs, or was not taken.",
    );
    Ok(ExitCode::FAILURE)
}
