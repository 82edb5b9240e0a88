//! Keeps the command-line tool's promises: a signal is reported, and paths below the home stay at home.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc;
use std::thread;

use super::{example, make_fifo, run, start};
use crate::process;
use crate::support::LIMIT;

#[test]
fn a_signal_is_reported_and_ends_the_tool_while_it_waits_for_a_pipe() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        make_fifo(&pipe);
        let running = start(example(&["cli_tool", pipe.to_str().unwrap()]));
        // Opens when the tool opens its end, and stays open as long as the tool runs.
        let (opened, is_open) = mpsc::channel();
        thread::spawn(move || opened.send(OpenOptions::new().write(true).open(pipe).unwrap()));
        let _pipe = is_open.recv_timeout(LIMIT).unwrap();
        process::signal(&running.child, signal);
        let ended = running.end();
        assert_eq!(ended.status.signal(), Some(signal), "{}", ended.err);
        let interrupted = format!("\"signal\":{signal}}}");
        assert!(ended.out.contains("check.interrupted") && ended.out.contains(&interrupted), "{}", ended.out);
        assert!(ended.out.contains("SESSION_END"), "{}", ended.out);
        assert!(ended.err.contains("telemetry: 3 offered, 3 delivered"), "{}", ended.err);
    }
}

#[test]
fn paths_below_the_home_are_not_sent_by_the_tool() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("samples.jsonl");
    fs::write(&file, "{}\n").unwrap();
    for argument in [file, home.path().join("not-there")] {
        let mut command = example(&["cli_tool", argument.to_str().unwrap()]);
        let ended = run({
            command.env("HOME", home.path());
            command
        });
        let table = ended.out.split("received by").nth(1).unwrap();
        assert!(table.contains("~/") && !table.contains(home.path().to_str().unwrap()), "{table}");
    }
}
