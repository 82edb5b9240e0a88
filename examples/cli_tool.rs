//! A command-line tool with telemetry: checks fine-tuning samples in JSON Lines files, as many as it is given.
//!
//! ```text
//! cargo run --all-features --example cli_tool -- [FILES]... [--strict] [--panic-at LINE]
//! ```
//!
//! Exit codes: 0, all samples are good; 1, some are not, or a file cannot be read; 2, wrong arguments; 101, a panic.
//! SIGTERM and Ctrl-C end it as they end any program, after a report. Telemetry changes none of this; it costs a second
//! if the server does not answer, and two after a panic.

mod backend;
mod signals;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Reporter, Severity, UserError, bridge, json};

use backend::{Backend, ShowAtEnd, printable};

/// The id that Tinker returns when a program opens its session.
const SESSION: &str = "4e7cab95-25b6-4b75-b416-f15fc1304b15";

/// How long telemetry may delay the end of the program.
const PATIENCE: Duration = Duration::from_secs(1);

/// Checks fine-tuning samples: JSON objects with the texts `prompt` and `completion`, one on each line.
#[derive(Parser)]
struct Arguments {
    /// The files to check
    #[arg(default_value = "examples/data/samples.jsonl")]
    files: Vec<PathBuf>,
    /// Stop at the first sample that is not good
    #[arg(long)]
    strict: bool,
    /// Panic at this line of each file, to see how that is reported
    #[arg(long, value_name = "LINE")]
    panic_at: Option<usize>,
}

#[derive(Deserialize)]
struct Sample {
    prompt: String,
    completion: String,
}

/// What is reported of a file.
#[derive(Default, Serialize)]
struct Checked {
    file: String,
    good: usize,
    bad: usize,
    letters: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all samples are good.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let backend = Backend::start()?;
    let reporter = Reporter::builder(backend.config(), SESSION)
        .flush_timeout(PATIENCE)
        .shutdown_timeout(PATIENCE)
        .context("release", env!("CARGO_PKG_VERSION"))
        .before_send(|event| Some(without_home(event)))
        // A missing file is the user's to mend, who typed its name. The message begins with what was being done.
        .user_errors(|error| {
            let error = error.downcast_ref::<io::Error>()?;
            (error.kind() == io::ErrorKind::NotFound)
                .then(|| UserError::new("std::io::Error", error.to_string()))
        })
        .start()?;
    let shown = Arc::new(backend.show_at_end(&reporter));
    bridge::install_panic_hook(&reporter);
    report_signals(&reporter, &shown)?;

    let outcome = check_all(arguments, &reporter);
    if let Err(error) = &outcome {
        reporter.log_fatal_exception(error, Severity::Critical);
    }
    // At the end of `main` the drop of the reporter would do the same.
    reporter.stop(PATIENCE);
    log_stats(&reporter);
    outcome
}

/// Has a signal end the program at once, after a report. `main` may wait for a pipe that nothing is written to, so the
/// signal does not wait for `main`.
fn report_signals(reporter: &Reporter, shown: &Arc<ShowAtEnd>) -> io::Result<()> {
    // Weak: this thread never ends, and must not keep the session open.
    let (reporter, shown) = (reporter.downgrade(), Arc::downgrade(shown));
    signals::on_end(move |signal| {
        if let Some(reporter) = reporter.upgrade() {
            reporter.log("check.interrupted", json!({"signal": signal}), Severity::Warning);
            reporter.stop(PATIENCE);
            log_stats(&reporter);
        }
        if let Some(shown) = shown.upgrade() {
            shown.show();
        }
        signals::end_by(signal);
    })
}

fn log_stats(reporter: &Reporter) {
    if reporter.is_enabled() {
        log::info!("{}", reporter.stats());
    }
}

/// The event without the path of the user's home, which is in the names of files.
fn without_home(mut event: Event) -> Event {
    let home = std::env::var("HOME").unwrap_or_default();
    if home.len() > 1 {
        match &mut event {
            Event::Generic(event) => {
                for text in ["file", "message"] {
                    if let Some(Value::String(text)) = event.event_data.get_mut(text) {
                        *text = text.replace(&home, "~");
                    }
                }
            }
            Event::UnhandledException(event) => {
                let texts = [Some(&mut event.error_message), event.traceback.as_mut()];
                for text in texts.into_iter().flatten() {
                    *text = text.replace(&home, "~");
                }
            }
            _ => {}
        }
    }
    event
}

fn check_all(arguments: &Arguments, reporter: &Reporter) -> anyhow::Result<bool> {
    let mut all_good = true;
    for file in &arguments.files {
        let name = printable(&file.display().to_string());
        let checked = check(file, arguments).with_context(|| format!("cannot check {name}"))?;
        log::info!("{name}: {} good, {} bad", checked.good, checked.bad);
        let severity = if checked.bad == 0 { Severity::Info } else { Severity::Warning };
        all_good &= checked.bad == 0;
        reporter.log("file.checked", checked, severity);
    }
    Ok(all_good)
}

fn check(file: &Path, arguments: &Arguments) -> anyhow::Result<Checked> {
    let mut checked = Checked { file: file.display().to_string(), ..Checked::default() };
    let lines = BufReader::new(File::open(file)?).lines();
    for (number, line) in (1..).zip(lines) {
        assert!(arguments.panic_at != Some(number), "line {number} panics, as --panic-at asks");
        match serde_json::from_str::<Sample>(&line?) {
            Ok(sample) => {
                checked.good += 1;
                checked.letters += sample.prompt.chars().count() + sample.completion.chars().count();
            }
            Err(error) => {
                log::warn!("{}:{number}: {error}", printable(&checked.file));
                checked.bad += 1;
                ensure!(!arguments.strict, "line {number} is not a sample: {error}");
            }
        }
    }
    Ok(checked)
}
