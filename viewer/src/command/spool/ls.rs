//! Lists what is kept: folders, files, sessions, how much, how old, and who holds it.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::file::File;
use super::{count, state_home};
use crate::cli::Place;
use crate::command::{Outcome, plain};

pub fn ls(place: &Place) -> Outcome {
    let mut out = io::stdout().lock();
    let mut is_empty = true;
    for folder in folders(place)? {
        let files = files(&folder)?;
        if files.is_empty() {
            continue;
        }
        is_empty = false;
        writeln!(out, "{}", plain(&folder.display().to_string()))?;
        print(&mut out, &files)?;
    }
    if is_empty {
        writeln!(out, "nothing is kept")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn folders(place: &Place) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    if let Some(folder) = &place.at {
        return Ok(vec![folder.clone()]);
    }
    let home = state_home().ok_or("neither HOME nor XDG_STATE_HOME is set")?;
    let programs = match &place.program {
        Some(program) => vec![home.join(program)],
        None => entries(&home)?,
    };
    Ok(programs.into_iter().map(|program| program.join("telemetry")).collect())
}

/// The files of all endpoints and keys, the oldest first.
fn files(folder: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for account in entries(folder)? {
        for path in entries(&account)? {
            match File::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {} // sent meanwhile
                read => files.extend(read?),
            }
        }
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.age));
    Ok(files)
}

/// What is in a folder, in the order of names. Nothing, if it is no folder.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        read => {
            read.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?
        }
    };
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn print(out: &mut impl Write, files: &[File]) -> io::Result<()> {
    let mut row = |[events, bytes, age, holder, session, endpoint]: [&str; 6]| {
        writeln!(out, "  {events:>7}  {bytes:>9}  {age:>4}  {holder:<20}  {session:<38}  {endpoint}")
    };
    row(["EVENTS", "BYTES", "AGE", "HELD BY", "SESSION", "FOR"])?;
    for file in files {
        row([
            &file.events.to_string(),
            &file.bytes.to_string(),
            &age(file.age),
            &plain(file.holder.as_deref().unwrap_or("-")),
            &plain(&file.session),
            &plain(&file.base_url),
        ])?;
    }
    let events = files.iter().map(|file| file.events).sum();
    writeln!(out, "  {}, {}", count(files.len() as u64, "file"), count(events, "event"))
}

fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
