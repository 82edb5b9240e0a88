//! What a user starts, one file each.

mod run;
mod signals;
#[cfg(feature = "spool")]
mod spool;
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
        #[cfg(feature = "spool")]
        Command::Spool(command) => spool::spool(&command),
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

/// What a terminal would obey is shown, not done: control characters, and those that turn the direction of text.
fn plain(text: &str) -> String {
    let hostile = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().fold(String::new(), |mut plain, c| {
        if hostile(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_terminal_is_shown_control_characters_and_does_not_obey_them() {
        assert_eq!(plain("a\u{1b}[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\n\\u{202e}");
    }
}
