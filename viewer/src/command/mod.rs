//! What a user starts, one file each.

mod run;
mod signals;
mod start;
mod tail;
mod view;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{self, Cli, Command};

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// A line to the user. One whose terminal is gone misses it; the viewer serves on.
fn say(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

pub fn execute(cli: Cli) -> Outcome {
    match cli.command {
        Command::Run(run) => run::run(&run),
        Command::View(view) => view::view(&view),
        Command::Tail(tail) => tail::tail(&tail),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut cli::definition(), "tinker-telemetry", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(cli::definition()).render(&mut io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
