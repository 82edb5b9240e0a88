//! What programs keep for their next run: shown, sent, removed.

mod file;
mod ls;
mod purge;
mod send;

use std::env;
use std::path::PathBuf;

use tinker_telemetry::Spool;

use super::Outcome;
use crate::cli;

pub fn spool(command: &cli::Spool) -> Outcome {
    match command {
        cli::Spool::Ls(place) => ls::ls(place),
        cli::Spool::Send(options) => send::send(options),
        cli::Spool::Purge(options) => purge::purge(options),
    }
}

/// The folder below which programs have theirs, as the library has it.
fn state_home() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")))
}

/// The spool that is named, and its name for the user.
fn named(place: &cli::Place) -> Result<(Spool, String), &'static str> {
    match (&place.at, &place.program) {
        (Some(folder), _) => Ok((Spool::at(folder), folder.display().to_string())),
        (None, Some(program)) => Ok((Spool::for_program(program), program.clone())),
        (None, None) => Err("name the program, or its folder with --at"),
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
