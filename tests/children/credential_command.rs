//! Keeps the end of a program whose credential command hangs: it is on time, and leaves no process behind.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tinker_telemetry::{Reporter, Severity};

use crate::support::{LIMIT, SESSION};

/// A named pipe, through which the command tells the program under test that it runs.
const BEGUN: &str = "TELEMETRY_TEST_BEGUN";

/// The program under test.
#[test]
fn child() {
    let Some(begun) = env::var_os(BEGUN) else { return };
    let reporter = Reporter::from_env(SESSION).unwrap();
    assert!(reporter.log("step", 1, Severity::Info));
    reporter.flush();
    fs::read(begun).unwrap();
    let before = Instant::now();
    assert!(!reporter.stop(Duration::from_millis(50)));
    assert!(before.elapsed() < Duration::from_secs(3), "the stop does not wait for the command");
    assert_eq!(reporter.stats().dropped.deadline, reporter.stats().accepted);
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_stop_kills_a_credential_command_with_all_that_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let (begun, alive) = (folder.path().join("begun"), folder.path().join("alive"));
    make_pipe(&begun);
    make_pipe(&alive);
    // The command and its `sleep` hold the pipe `alive` open for writing. Its reader sees the end when both have ended.
    let command = format!("exec 3> '{}'; echo > '{}'; sleep 1000; true", alive.display(), begun.display());
    let (ended, has_ended) = mpsc::channel();
    thread::spawn(move || ended.send(fs::read(alive)));
    let mut program = Command::new(env::current_exe().unwrap());
    program.args(["--exact", "credential_command::child"]).env_clear().env("PATH", "/usr/bin:/bin");
    program.env("TINKER_BASE_URL", "http://127.0.0.1:9").env("TINKER_CREDENTIAL_CMD", command);
    let output = program.env(BEGUN, begun).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(has_ended.recv_timeout(LIMIT).is_ok(), "the command is still there");
}
