//! Keeps the examples correct with unusual files, outputs and settings. Each runs as a program of its own.
#![cfg(all(unix, feature = "collector", feature = "panic", feature = "tracing", feature = "ureq"))]

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod cli_tool;
mod files;
#[cfg(feature = "spool")]
mod next_run;
#[cfg(feature = "otlp")]
mod otlp;
mod output;
mod sdk_client;
mod service;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use support::LIMIT;
use tinker_telemetry::collector::Collector;

const QUICKSTART: &[&str] = &["quickstart"];
const CLI_TOOL: &[&str] = &["cli_tool"];
const SDK_CLIENT: &[&str] = &["sdk_client"];
const SERVICE: &[&str] = &["service", "--listen", "127.0.0.1:0", "--demo"];
/// All examples, each with its exit code.
const ALL: [(&[&str], i32); 4] = [(QUICKSTART, 0), (CLI_TOOL, 1), (SDK_CLIENT, 0), (SERVICE, 0)];

/// An example with its arguments, in an empty environment.
fn example(line: &[&str]) -> Command {
    let mut command = Command::new(binary(line[0]));
    command.args(&line[1..]).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The path of an example. `cargo test` builds the examples, but not with `--test`, so this asserts that they are
/// fresh.
fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this.ancestors().nth(2).unwrap().join("examples").join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let source = Path::new("examples").join(name).with_extension("rs");
    let text = fs::read_to_string(&source).unwrap();
    let modules = text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let mut sources = modules.map(|module| Path::new("examples").join(module).join("mod.rs"));
    let is_fresh = |source: &Path| changed(source) <= changed(&path);
    assert!(
        is_fresh(&source) && sources.all(|source| is_fresh(&source)),
        "{name} is not built: run `cargo build --examples`, with the same features"
    );
    path
}

/// The exit status and the output of a program.
struct Ended {
    status: ExitStatus,
    out: String,
    err: String,
}

/// A running program. A drop kills it.
struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

fn start(mut command: Command) -> Running {
    let mut child = command.spawn().unwrap();
    let (out, err) = (lines(child.stdout.take()), lines(child.stderr.take()));
    Running { child, out, err }
}

/// The lines of an output, one by one.
fn lines(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
            let _ = sender.send(line.unwrap() + "\n");
        }
    });
    receiver
}

impl Running {
    /// Waits for a line of standard error that contains this text.
    fn wait_for_line(&self, text: &str) -> String {
        loop {
            let line = self.err.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("no {text}: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        let rest = |lines: &Receiver<String>| {
            let mut text = String::new();
            loop {
                match lines.recv_timeout(LIMIT) {
                    Ok(line) => text += &line,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return text,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs: {text}"),
                }
            }
        };
        let (out, err) = (rest(&self.out), rest(&self.err));
        Ended { status: self.child.wait().unwrap(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: Command) -> Ended {
    start(command).end()
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn the_sessions_of_the_examples_are_uuids() {
    for (line, _) in ALL {
        let collector = Collector::start().unwrap();
        let mut command = example(line);
        command.env("TINKER_API_KEY", "tml-test").env("TINKER_BASE_URL", collector.url());
        run(command);
        let received = collector.requests();
        let body: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
        let id = body["session_id"].as_str().unwrap();
        assert!(uuid::Uuid::parse_str(id).is_ok_and(|parsed| parsed.to_string() == id), "{line:?}: {id}");
    }
}

/// A text whose numbers are all 0, for a comparison.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        if !letter.is_ascii_digit() {
            plain.push(letter);
        } else if !plain.ends_with('0') {
            plain.push('0');
        }
    }
    plain
}

#[test]
fn the_events_in_the_documents_are_those_that_the_commands_print() {
    let document = fs::read_to_string("docs/events.md").unwrap();
    let blocks: Vec<_> = document.split("```").skip(1).step_by(2).collect();
    assert_eq!(blocks.len() % 2, 0, "each command has an output");
    for block in blocks.chunks(2) {
        let line = block[0].strip_prefix("sh\n").unwrap().trim();
        let (variables, line) = line.split_once(" cargo run --all-features --example ").unwrap();
        let words: Vec<_> = line.split(' ').filter(|word| *word != "--").collect();
        let mut command = example(&words);
        command.envs(variables.split(' ').map(|variable| variable.split_once('=').unwrap()));
        let printed = without_numbers(&run(command).err);
        let mut lines = printed.lines();
        let shown = block[1].strip_prefix("text\n").unwrap().lines();
        // Places in the code are printed only with debug information.
        for line in shown.filter(|line| *line != "…" && !line.trim().starts_with("at ")) {
            let line = without_numbers(line);
            assert!(lines.any(|other| other == line), "`{line}` is not, or not there, in:\n{printed}");
        }
    }
    assert!(blocks.len() >= 4);
}

#[test]
fn code_for_unix_is_compiled_only_on_unix() {
    for file in
        ["quickstart.rs", "cli_tool.rs", "sdk_client.rs", "service.rs", "backend/mod.rs", "signals/mod.rs"]
    {
        let text = fs::read_to_string(Path::new("examples").join(file)).unwrap();
        let mut portable = String::new();
        let mut is_portable = true;
        for line in text.lines() {
            // A function for Unix ends at its closing brace. A statement for Unix is the next line.
            is_portable &= line.trim() != "#[cfg(unix)]";
            if is_portable {
                portable += line;
            }
            is_portable |= line == "}" || line.starts_with("    let _ = ");
        }
        for name in ["signal_hook", "os::unix", "libc::"] {
            assert!(!portable.contains(name), "{file} names {name} for every system");
        }
    }
}
