//! Removes what is kept, after a question.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use super::{count, named};
use crate::cli;
use crate::command::{Outcome, say};

pub fn purge(options: &cli::Purge) -> Outcome {
    let (spool, name) = named(&options.place)?;
    let kept = spool.status()?;
    if kept.files == 0 {
        say(&format!("{name}: nothing is kept"));
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!("{} in {}", count(kept.events, "event"), count(kept.files, "file"));
    if !options.yes && !agrees(&format!("{name}: remove {what}, for good? [y/N] "))? {
        say("Nothing was removed.");
        return Ok(ExitCode::FAILURE);
    }
    let removed = spool.purge()?;
    println!("{name}: {} removed in {}", count(removed.events, "event"), count(removed.files, "file"));
    let held = kept.files.saturating_sub(removed.files);
    if held > 0 {
        say(&format!("{} left: a program that runs holds what is left.", count(held, "file")));
    }
    Ok(ExitCode::SUCCESS)
}

fn agrees(question: &str) -> Result<bool, Box<dyn std::error::Error>> {
    if !io::stdin().is_terminal() {
        return Err("standard input is no terminal to ask on: --yes removes without a question".into());
    }
    eprint!("{question}");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
