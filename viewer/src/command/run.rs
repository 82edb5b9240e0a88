//! A program beside the viewer.

use std::env;
use std::io::{self, ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT};

use super::start::{IfTaken, start};
use super::{Outcome, say, signals};
use crate::cli::Run;

/// The official SDK asks for this beginning.
const DUMMY_KEY: &str = "tml-local-viewer";

enum News {
    Signal(i32),
    Ended(io::Result<ExitStatus>),
}

pub fn run(options: &Run) -> Outcome {
    let (sender, news) = mpsc::channel();
    signals::send(sender.clone(), News::Signal)?;
    let viewer = start(&options.serving, IfTaken::TakeAnother)?;
    say(&format!("tinker-telemetry: the page is {}", viewer.url()));

    let name = options.program[0].to_string_lossy().into_owned();
    let mut child = match spawn(options, &viewer.url()) {
        Ok(child) => child,
        Err(error) => {
            say(&format!("tinker-telemetry: {name}: {error}"));
            // As shells have it: 127 is not found, 126 found but not runnable.
            return Ok(ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 }));
        }
    };
    viewer.show_program(&name, None);
    let pid = child.id();
    thread::spawn(move || sender.send(News::Ended(child.wait())));

    let code = loop {
        match news.recv()? {
            News::Signal(signal) => pass_on(pid, signal),
            News::Ended(status) => break code(status?),
        }
    };
    viewer.show_program(&name, Some(code));
    if !options.exit {
        say(&format!(
            "tinker-telemetry: {name} ended with {code}; the page stays until Ctrl-C: {}",
            viewer.url()
        ));
        while !matches!(news.recv()?, News::Signal(_)) {}
    }
    Ok(ExitCode::from(code))
}

fn spawn(options: &Run, url: &str) -> io::Result<Child> {
    let mut command = Command::new(&options.program[0]);
    command.args(&options.program[1..]).env("TINKER_BASE_URL", url);
    if env::var_os("TINKER_API_KEY").is_none_or(|key| key.is_empty()) {
        command.env("TINKER_API_KEY", DUMMY_KEY);
    }
    command.spawn()
}

/// A terminal sends Ctrl-C and its own end to the program too: it must not come twice.
fn pass_on(pid: u32, signal: i32) {
    let by_terminal = matches!(signal, SIGINT | SIGHUP) && io::stdin().is_terminal();
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let (false, Some(pid), Some(signal)) = (by_terminal, pid, Signal::from_named_raw(signal)) {
        let _ = kill_process(pid, signal);
    }
}

/// As shells have it: 128 and the signal for a program that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(1)
}
