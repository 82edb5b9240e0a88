//! The main job in one program: hash every file below a folder, and report it.
//!
//! ```text
//! cargo run --all-features --example quickstart [FOLDER]
//! ```
//!
//! Needs no account and no network: it starts a collector on loopback, and shows at the end what that received. With
//! `TINKER_API_KEY` or `TINKER_BASE_URL` set it reports there instead. Without an argument it hashes this crate's own
//! `src`, and tries a file that is not there and a folder that is a file, so that there are errors to report.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{ApiError, Config, ErrorCategory, Reporter, Severity, StartError};

const SESSION: &str = "quickstart-0001";

/// What is reported of a file. A struct of borrowed fields is the cheapest data there is.
#[derive(Serialize)]
struct Hashed<'a> {
    path: &'a str,
    bytes: u64,
    sha256: &'a str,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (reporter, collector) = start()?;
    let (folders, missing) = work();
    for folder in &folders {
        match files_below(folder) {
            Ok(files) => hash_all(&reporter, files.into_iter().chain(missing.clone())),
            // Whoever typed the argument can mend it: a user error, not a failure of the program.
            Err(error) => {
                let error = ApiError::new(format!("{}: {error}", folder.display()))
                    .with_category(ErrorCategory::User);
                println!("{error}");
                reporter.log_exception(&error, Severity::Error);
            }
        }
    }

    // What is logged so far gets its five seconds, retries and all; then the session ends.
    let drained = reporter.wait_until_drained(Duration::from_secs(5));
    let ended = reporter.stop(Duration::from_secs(5));
    match collector {
        Some(collector) if reporter.is_enabled() => show(&collector.events()),
        Some(_) => println!("\ntelemetry is switched off (TINKER_TELEMETRY, DO_NOT_TRACK)"),
        None => {}
    }
    println!("{}{}", reporter.stats(), if drained && ended { "" } else { " (not drained in time)" });
    Ok(())
}

/// A reporter to where the environment says, or else to a collector of our own.
fn start() -> Result<(Reporter, Option<Collector>), Box<dyn std::error::Error>> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("TINKER_API_KEY") || is_set("TINKER_BASE_URL") {
        return Ok((Reporter::from_env(SESSION)?, None));
    }
    let collector = Collector::start()?;
    let config = Config::new("tml-quickstart").base_url(collector.url());
    let started: Result<Reporter, StartError> = Reporter::builder(config, SESSION).start();
    Ok((started?, Some(collector)))
}

/// The folders to hash, and a file to miss.
fn work() -> (Vec<PathBuf>, Option<PathBuf>) {
    match std::env::args_os().nth(1) {
        Some(folder) => (vec![folder.into()], None),
        None => (vec!["src".into(), "Cargo.toml".into()], Some("src/not-there.rs".into())),
    }
}

fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_symlink() || !path.is_dir() {
            files.push(path);
        } else {
            // A folder that cannot be listed is one more thing that cannot be read.
            files.extend(files_below(&path).unwrap_or_else(|_| vec![path]));
        }
    }
    files.sort();
    Ok(files)
}

fn hash_all(reporter: &Reporter, files: impl Iterator<Item = PathBuf>) {
    let files: Vec<_> = files.collect();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    let progress = ProgressBar::new(files.len() as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    for path in files {
        let name = path.display().to_string();
        progress.set_message(name.clone());
        match hash(&path) {
            Ok((bytes, sha256)) => {
                reporter.log("file.hashed", Hashed { path: &name, bytes, sha256: &sha256 }, Severity::Info);
            }
            // Handled: the others are hashed all the same.
            Err(error) => {
                progress.suspend(|| println!("{name}: {error}"));
                reporter.log_exception(&error, Severity::Warning);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
}

fn hash(path: &Path) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((bytes, format!("{:x}", hasher.finalize())))
}

/// What the collector received, as a table.
fn show(events: &[Event]) {
    println!("\n{:>5}  {:<8}  {:<20}  what", "index", "severity", "event");
    for event in events {
        println!(
            "{:>5}  {:<8}  {:<20}  {}",
            event.session_index(),
            event.severity(),
            event.name(),
            summary(event)
        );
    }
    println!();
}

fn summary(event: &Event) -> String {
    match event {
        Event::SessionStart(event) => event.timestamp.to_string(),
        Event::SessionEnd(event) => format!("after {:?}", event.duration),
        Event::UnhandledException(event) => format!("{}: {}", event.error_type, event.error_message),
        Event::Generic(event) => {
            let text =
                |field: &str| event.event_data.get(field).map(|value| value.as_str().unwrap_or_default());
            match (text("path"), text("sha256")) {
                (Some(path), Some(sha256)) => format!("{sha256:.12}… {path}"),
                _ => text("message").unwrap_or_default().to_owned(),
            }
        }
        _ => String::new(),
    }
}
