//! The main job in one program: hash every file below a folder, and report it.
//!
//! ```text
//! cargo run --all-features --example quickstart [FOLDER]
//! ```
//!
//! Needs no account and no network: it starts a collector on loopback, and shows at the end what that received. With
//! `TINKER_API_KEY` or `TINKER_BASE_URL` set it reports there instead. Without an argument it hashes this crate's own
//! `src`, and then makes two errors on purpose, to show how they are reported.
//!
//! Exit codes: 0, every file was hashed; 1, something could not be read or printed; 2, wrong arguments. Pipes, devices
//! and the like are skipped. If the reader of the output goes away, as `head` does, the program ends, with 0.

mod backend;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tinker_telemetry::event::Event;
use tinker_telemetry::{ApiError, ErrorCategory, Reporter, Severity, json};

use backend::{Backend, printable};

/// The id that Tinker returns when a program opens its session.
const SESSION: &str = "a2719304-16d9-44b8-a321-efd2d1c8ac74";

/// Hashes every file below a folder, and reports it.
#[derive(Parser)]
struct Arguments {
    /// The folder; without one, this crate's `src`
    folder: Option<PathBuf>,
}

/// What is reported of a file. A struct of borrowed fields is the cheapest data there is.
#[derive(Serialize)]
struct Hashed<'a> {
    path: &'a str,
    bytes: u64,
    sha256: &'a str,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The reporter's warnings say why nothing arrives.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match run(&arguments, &mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(io::stderr(), "quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the output's reader has gone away. Errors of files do not come this far.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether every file was hashed.
fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let backend = Backend::start()?;
    let release = env!("CARGO_PKG_VERSION"); // on every event
    let reporter = Reporter::builder(backend.config(), SESSION).context("release", release).start()?;
    let folder = arguments.folder.as_deref();
    let is_complete = hash_below(folder.unwrap_or(Path::new("src")), &reporter, out)?;
    if folder.is_none() {
        writeln!(out, "Two errors on purpose, to show how they are reported:")?;
        hash_and_report(&[PathBuf::from("src/not-there.rs")], &reporter, out)?;
        hash_below(Path::new("Cargo.toml"), &reporter, out)?;
    }

    // What is logged so far gets its five seconds, retries and all; then the session ends.
    let is_drained = reporter.wait_until_drained(Duration::from_secs(5));
    let is_ended = reporter.stop(Duration::from_secs(5));
    if !reporter.is_enabled() {
        writeln!(out, "{}", backend::why_off())?;
        return Ok(is_complete);
    }
    if let Some(events) = backend.events() {
        show(&events, out)?;
    }
    writeln!(
        out,
        "{}{}",
        reporter.stats(),
        if is_drained && is_ended { "" } else { " (not drained in time)" }
    )?;
    Ok(is_complete)
}

/// Whether every file was hashed.
fn hash_below(folder: &Path, reporter: &Reporter, out: &mut impl Write) -> io::Result<bool> {
    let (mut files, mut unlisted) = (Vec::new(), Vec::new());
    list_below(folder, &mut files, &mut unlisted);
    files.sort();
    let is_complete = hash_and_report(&files, reporter, out)?;
    for (folder, error) in &unlisted {
        // The user who named the folder can mend this: it is a user error, not a failure of the program.
        let error =
            ApiError::new(format!("{}: {error}", folder.display())).with_category(ErrorCategory::User);
        writeln!(out, "{}", printable(&error.to_string()))?;
        reporter.log_exception(&error, Severity::Error);
    }
    Ok(is_complete && unlisted.is_empty())
}

/// Lists the files below a folder, and the folders that cannot be listed.
fn list_below(folder: &Path, files: &mut Vec<PathBuf>, unlisted: &mut Vec<(PathBuf, io::Error)>) {
    match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => {
            for entry in entries {
                // A link to a folder is no folder here, so a circle of links ends.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    list_below(&entry.path(), files, unlisted);
                } else {
                    files.push(entry.path());
                }
            }
        }
        Err(error) => unlisted.push((folder.to_owned(), error)),
    }
}

/// Whether each file was hashed.
fn hash_and_report(files: &[PathBuf], reporter: &Reporter, out: &mut impl Write) -> io::Result<bool> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    let progress = ProgressBar::new(files.len() as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut is_complete = true;
    for file in files {
        let name = file.display().to_string();
        progress.set_message(printable(&name));
        match hash(file) {
            Ok(Some((bytes, sha256))) => {
                reporter.log("file.hashed", Hashed { path: &name, bytes, sha256: &sha256 }, Severity::Info);
            }
            Ok(None) => {
                progress.suspend(|| writeln!(out, "{}: skipped, not a regular file", printable(&name)))?;
                reporter.log("file.skipped", json!({"path": &name}), Severity::Info);
            }
            // Handled: the others are hashed all the same.
            Err(error) => {
                is_complete = false;
                progress.suspend(|| writeln!(out, "{}: {error}", printable(&name)))?;
                let error = anyhow::Error::new(error).context(format!("hashing {name}"));
                reporter.log_exception(&error, Severity::Warning);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(is_complete)
}

/// A file's length and hash. `None`: it is a pipe, a device or the like, which may block or never end.
fn hash(file: &Path) -> io::Result<Option<(u64, String)>> {
    if !fs::metadata(file)?.is_file() {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(Some((bytes, format!("{:x}", hasher.finalize()))))
}

/// What the collector received, as a table.
fn show(events: &[Event], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n{:>5}  {:<8}  {:<20}  what", "index", "severity", "event")?;
    for event in events {
        let (index, severity, name) = (event.session_index(), event.severity(), event.name());
        writeln!(out, "{index:>5}  {severity:<8}  {name:<20}  {}", printable(&summary(event)))?;
    }
    writeln!(out)
}

fn summary(event: &Event) -> String {
    match event {
        Event::SessionStart(event) => event.timestamp.to_string(),
        Event::SessionEnd(event) => format!("after {:?}", event.duration),
        Event::UnhandledException(event) => format!("{}: {}", event.error_type, event.error_message),
        Event::Generic(event) => {
            let text = |field: &str| event.event_data.get(field).and_then(|value| value.as_str());
            match (text("path"), text("sha256")) {
                (Some(path), Some(sha256)) => format!("{sha256:.12}… {path}"),
                _ => text("path").or(text("message")).unwrap_or_default().to_owned(),
            }
        }
        _ => String::new(),
    }
}
