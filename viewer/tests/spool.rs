//! Keeps `spool`: what the library's reporter has kept is listed, sent as it was, and removed.

#![cfg(feature = "spool")]

mod support;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::{LIMIT, Viewer};
use tempfile::TempDir;
use tinker_telemetry::{Builder, Config, Reporter, Severity, Spool, json};

const KEY: &str = "tml-secret-key";

/// A user's home, and a backend for the programs in it.
struct Scene {
    home: TempDir,
    viewer: Viewer,
}

impl Scene {
    fn new() -> Self {
        let viewer = Viewer::start(&[]);
        viewer.outage("503");
        Self { home: tempfile::tempdir().expect("a folder"), viewer }
    }

    fn spool(&self, program: &str) -> Spool {
        Spool::at(self.home.path().join(program).join("telemetry"))
    }

    fn program(&self, program: &str) -> Builder {
        Reporter::builder(Config::new(KEY).base_url(self.viewer.url()), format!("session-of-{program}"))
            .enabled(true)
            .max_retries(0)
            .spool(self.spool(program))
    }

    /// Runs a program to its end, whose three events no backend takes.
    fn keep(&self, program: &str) {
        let reporter = self.program(program).start().expect("a reporter");
        reporter.log("checkpoint.saved", json!({"step": 1}), Severity::Info);
        reporter.stop(LIMIT);
        assert_eq!(reporter.stats().spooled, 3, "{}", reporter.stats());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = support::command(&[&["spool"], arguments].concat());
        command.env("XDG_STATE_HOME", self.home.path());
        command.env("TINKER_BASE_URL", self.viewer.url()).env("TINKER_API_KEY", KEY);
        command
    }

    fn run(&self, arguments: &[&str]) -> (Output, String) {
        let output = self.command(arguments).output().expect("it ends");
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        assert!(!said.contains("secret"), "{said}");
        (output, said)
    }
}

#[test]
fn ls_shows_the_files_of_all_programs_with_their_sessions_and_counts() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["ls"]).1, "nothing is kept\n");
    scene.keep("one");
    scene.keep("two");
    let (_, said) = scene.run(&["ls"]);
    for program in ["one", "two"] {
        let session = format!("session-of-{program}");
        let line = said.lines().find(|line| line.contains(&session)).unwrap_or_else(|| panic!("{said}"));
        let fields: Vec<_> = line.split_whitespace().collect();
        assert_eq!((fields[0], fields[3], fields[5]), ("3", "-", scene.viewer.url().as_str()), "{line}");
        assert!(said.contains(&format!("{program}/telemetry\n")), "{said}");
    }
    assert_eq!(said.matches("1 file, 3 events").count(), 2, "{said}");
    let (_, said) = scene.run(&["ls", "two"]);
    assert!(said.contains("session-of-two") && !said.contains("session-of-one"), "{said}");
}

#[test]
fn ls_counts_as_the_library_does_while_a_program_holds_its_file_and_names_the_holder() {
    let scene = Scene::new();
    let spool = scene.spool("running");
    let reporter = scene
        .program("running")
        .spool(spool.clone().write_ahead(Duration::from_millis(1)))
        .max_retries(20) // what is written waits for its next attempt, far beyond the test
        .retry_base_delay(LIMIT)
        .start()
        .expect("a reporter");
    reporter.log("checkpoint.saved", json!({}), Severity::Info);
    let began = Instant::now();
    while spool.status().expect("a status").events < 2 {
        assert!(began.elapsed() < LIMIT, "nothing is written ahead");
        std::thread::yield_now();
    }
    let (_, said) = scene.run(&["ls", "running"]);
    assert!(said.contains(&format!("({})", std::process::id())), "{said}");
    assert!(said.contains("1 file, 2 events"), "{said}");
    let (_, said) = scene.run(&["purge", "running", "--yes"]);
    assert!(said.contains("0 events removed in 0 files") && said.contains("1 file left"), "{said}");
    reporter.stop(Duration::ZERO);
}

#[test]
fn send_delivers_what_is_kept_as_it_was_and_no_event_of_its_own() {
    let scene = Scene::new();
    scene.keep("tool");
    let kept: Vec<_> = scene.viewer.lines().into_iter().map(|line| line["event"].clone()).collect();
    let (output, said) = scene.run(&["send", "tool"]);
    assert!(!output.status.success() && said.contains("0 events sent, 0 given up, 3 left"), "{said}");

    scene.viewer.outage("back");
    let (output, said) = scene.run(&["send", "tool"]);
    assert!(output.status.success() && said.contains("3 events sent, 0 given up, 0 left"), "{said}");
    let lines = scene.viewer.lines();
    let arrived: Vec<_> =
        lines.iter().filter(|line| line["status"] == 200).map(|line| line["event"].clone()).collect();
    assert_eq!(arrived, kept);
    assert!(lines.iter().all(|line| line["session_id"] == "session-of-tool"), "{lines:?}");
    assert!(scene.run(&["send", "tool"]).1.contains("nothing is kept"));
}

#[test]
fn send_leaves_what_was_kept_for_another_key() {
    let scene = Scene::new();
    scene.keep("tool");
    scene.viewer.outage("back");
    let output =
        scene.command(&["send", "tool"]).env("TINKER_API_KEY", "tml-another").output().expect("an end");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("0 events sent, 0 given up, 3 left"), "{said}");
}

#[test]
fn purge_removes_after_a_yes_alone() {
    let scene = Scene::new();
    scene.keep("tool");
    let (output, said) = scene.run(&["purge", "tool"]);
    assert!(!output.status.success() && said.contains("--yes"), "{said}");
    assert_eq!(scene.spool("tool").status().expect("a status").events, 3);
    let (output, said) = scene.run(&["purge", "tool", "--yes"]);
    assert!(output.status.success() && said.contains("3 events removed in 1 file"), "{said}");
    assert_eq!(scene.spool("tool").status().expect("a status").files, 0);
}

#[test]
fn send_and_purge_ask_for_a_name() {
    let scene = Scene::new();
    for command in ["send", "purge"] {
        let (output, said) = scene.run(&[command]);
        assert!(!output.status.success() && said.contains("--at"), "{said}");
    }
}
