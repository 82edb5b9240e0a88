//! A program that ends while it is offline, and its next run, which sends what the first one kept.
//!
//! ```text
//! cargo run --all-features --example next_run
//! ```
//!
//! Needs no account and no network: in the first run nobody listens, and for the next one a collector is started on
//! loopback. What is kept is in a temporary folder, which is removed at the end.
//!
//! Exit codes: 0, every event of the first run arrived with the number and id that it had; 1, something else happened.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Config, Reporter, Severity, Spool, Stats, json};

/// The ids that Tinker returns when a program opens a session: one in each run.
const FIRST: &str = "a2719304-16d9-44b8-a321-efd2d1c8ac74";
const NEXT: &str = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64";

/// How long to wait for what the collector is to receive.
const LIMIT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match run(&mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(io::stderr(), "next_run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the next run sent what the first one kept.
fn run(out: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let spool = Spool::at(folder.path().join("telemetry"));
    let port = Collector::start()?.port(); // it ends here, so nobody listens
    let config = Config::new("tml-example").base_url(format!("http://127.0.0.1:{port}"));

    let (kept, stats, took) = first_run(config.clone(), spool.clone())?;
    writeln!(out, "The first run, offline, ended in {took:.1?}: {stats}")?;
    show(&kept, out)?;
    let held = spool.status()?;
    writeln!(out, "The spool: {} events in {} bytes.\n", held.events, held.bytes)?;

    let collector = Collector::start_on(port)?;
    let reporter = Reporter::builder(config, NEXT).enabled(true).spool(spool.clone()).start()?;
    let arrived = collector.wait_for_events(kept.len(), LIMIT);
    reporter.stop(LIMIT);
    writeln!(out, "The next run: {}", reporter.stats())?;
    let of_first = |event: &&Event| kept.iter().any(|kept| kept.id() == event.id());
    let arrived: Vec<_> = arrived.iter().filter(of_first).cloned().collect();
    show(&arrived, out)?;
    writeln!(out, "The spool: {} events.", spool.status()?.events)?;
    Ok(arrived == kept)
}

/// Logs some events while nobody listens, and ends. Returns the events as they were to be sent.
fn first_run(config: Config, spool: Spool) -> Result<(Vec<Event>, Stats, Duration), Box<dyn Error>> {
    let (seen, events) = mpsc::channel();
    let builder = Reporter::builder(config, FIRST).enabled(true).spool(spool).before_send(move |event| {
        let _ = seen.send(event.clone());
        Some(event)
    });
    let reporter = builder.start()?;
    for step in 0..3 {
        reporter.log("train.step", json!({"step": step}), Severity::Info);
    }
    let began = Instant::now();
    reporter.stop(Duration::from_secs(5)); // five seconds, if there were a server to wait for
    let (stats, took) = (reporter.stats(), began.elapsed());
    drop(reporter);
    Ok((events.iter().collect(), stats, took))
}

fn show(events: &[Event], out: &mut impl Write) -> io::Result<()> {
    for event in events {
        writeln!(out, "{:>5}  {:<14}  {}", event.session_index(), event.name(), event.id())?;
    }
    Ok(())
}
