//! The viewer alone.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;
use std::sync::mpsc;

use super::start::{IfTaken, start};
use super::{Outcome, say, signals};
use crate::cli::View;
use crate::store::{Imported, import};

pub fn view(options: &View) -> Outcome {
    let mut files = Vec::new();
    for path in &options.files {
        files.push((path, File::open(path).map_err(|error| format!("{}: {error}", path.display()))?));
    }
    let (ended, end) = mpsc::channel();
    signals::send(ended, |signal| signal)?;
    let viewer = start(&options.serving, IfTaken::Fail)?;
    for (path, file) in files {
        let Imported { events, skipped } = import(BufReader::new(file), &viewer.ring)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let note = if skipped == 0 {
            String::new()
        } else {
            format!(", {skipped} lines skipped: torn, or no events")
        };
        say(&format!("{}: {events} events{note}", path.display()));
    }
    say(&format!("The page:        {}", viewer.url()));
    say(&format!("Your program:    TINKER_BASE_URL={} CMD…", viewer.url()));
    let _ = end.recv();
    Ok(ExitCode::SUCCESS)
}
