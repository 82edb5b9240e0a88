//! A command-line tool with telemetry: checks fine-tuning samples in JSON Lines files, as many as it is given.
//!
//! ```text
//! cargo run --all-features --example cli_tool -- [FILES]... [--strict] [--panic-at LINE]
//! ```
//!
//! Exit codes: 0, all samples are good; 1, some are not, or a file cannot be read; 2, wrong arguments; 101, a panic;
//! 130, interrupted by Ctrl-C. Telemetry changes none of them; when nobody answers it costs a second, a panic two.

mod backend;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use serde::{Deserialize, Serialize};
use tinker_telemetry::{Reporter, Severity, UserError, bridge};

use backend::Backend;

/// How long telemetry may hold up the end of the program.
const PATIENCE: Duration = Duration::from_secs(1);

/// Set by Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

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
        Ok(_) if INTERRUPTED.load(Ordering::Relaxed) => ExitCode::from(130),
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
    let reporter = Reporter::builder(backend.config(), "cli-tool-0001")
        .flush_timeout(PATIENCE)
        .shutdown_timeout(PATIENCE)
        // Whoever typed the name of a file that is not there can mend it.
        .user_errors(|error| {
            let error = error.downcast_ref::<io::Error>()?;
            (error.kind() == io::ErrorKind::NotFound).then(|| UserError::new("io::Error", error.to_string()))
        })
        .start()?;
    bridge::install_panic_hook(&reporter);
    end_on_interrupt(&reporter)?;

    let outcome = check_all(arguments, &reporter);
    match &outcome {
        Ok(_) if INTERRUPTED.load(Ordering::Relaxed) => {
            reporter.log("check.interrupted", (), Severity::Warning);
        }
        Ok(_) => {}
        Err(error) => {
            reporter.log_fatal_exception(error, Severity::Critical);
        }
    }
    // At the end of `main` the drop of the reporter would do the same.
    reporter.stop(PATIENCE);
    log::info!("{}", reporter.stats());
    outcome
}

/// The first Ctrl-C ends the work at the next line, the second the program on the spot.
fn end_on_interrupt(reporter: &Reporter) -> Result<(), ctrlc::Error> {
    let reporter = reporter.downgrade();
    ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            // Nothing is dropped by `exit`: the session is ended by hand, without waiting for anybody.
            if let Some(reporter) = reporter.upgrade() {
                reporter.stop(Duration::ZERO);
            }
            std::process::exit(130);
        }
    })
}

fn check_all(arguments: &Arguments, reporter: &Reporter) -> anyhow::Result<bool> {
    let mut all_good = true;
    for file in &arguments.files {
        let checked = check(file, arguments).with_context(|| format!("cannot check {}", file.display()))?;
        log::info!("{}: {} good, {} bad", checked.file, checked.good, checked.bad);
        let severity = if checked.bad == 0 { Severity::Info } else { Severity::Warning };
        all_good &= checked.bad == 0;
        reporter.log("file.checked", checked, severity);
        if INTERRUPTED.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(all_good)
}

fn check(file: &Path, arguments: &Arguments) -> anyhow::Result<Checked> {
    let mut checked = Checked { file: file.display().to_string(), ..Checked::default() };
    let lines = BufReader::new(File::open(file)?).lines();
    for (number, line) in (1..).zip(lines) {
        if INTERRUPTED.load(Ordering::Relaxed) {
            break;
        }
        assert!(arguments.panic_at != Some(number), "line {number} was to panic");
        match serde_json::from_str::<Sample>(&line?) {
            Ok(sample) => {
                checked.good += 1;
                checked.letters += sample.prompt.chars().count() + sample.completion.chars().count();
            }
            Err(error) => {
                log::warn!("{}:{number}: {error}", checked.file);
                checked.bad += 1;
                ensure!(!arguments.strict, "line {number} is not a sample: {error}");
            }
        }
    }
    Ok(checked)
}
