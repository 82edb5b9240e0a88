//! Keeps the examples correct where an output is closed or full, telemetry is off, or the server is not reachable.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use tinker_telemetry::collector::Collector;

use super::{ALL, QUICKSTART, example, run};
use crate::support::names;

/// An output whose reader has closed its end before the first byte.
fn closed_pipe() -> Stdio {
    Stdio::from(OwnedFd::from(UnixStream::pair().unwrap().0))
}

#[test]
fn a_closed_output_ends_an_example_and_its_session_without_an_error() {
    for (line, code) in ALL {
        let collector = Collector::start().unwrap();
        let mut command = example(line);
        command.env("TINKER_API_KEY", "tml-test").env("TINKER_BASE_URL", collector.url());
        command.stdout(closed_pipe());
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(code), "{line:?}: {}", ended.err);
        assert!(!ended.err.contains("Broken pipe"), "{line:?}: {}", ended.err);
        assert_eq!(names(&collector.events()).last(), Some(&"SESSION_END"), "{line:?}");
    }
}

#[test]
fn an_example_prints_its_table_to_a_closed_output_without_a_panic() {
    for (line, code) in ALL {
        let mut command = example(line);
        command.stdout(closed_pipe());
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(code), "{line:?}: {}", ended.err);
        assert!(!ended.err.contains("Broken pipe"), "{line:?}: {}", ended.err);
    }
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let wrong = [&["quickstart", "not-there"], &["cli_tool", "not-there"]].map(|line| (&line[..], 1));
    for (line, code) in ALL.into_iter().chain(wrong) {
        let mut command = example(line);
        command.stderr(closed_pipe());
        assert_eq!(run(command).status.code(), Some(code), "{line:?}");
    }
    // Here the example fails and cannot print the reason.
    let mut command = example(QUICKSTART);
    command.env("TINKER_BASE_URL", "nonsense").stderr(closed_pipe());
    assert_eq!(run(command).status.code(), Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_the_output_is_an_error_with_its_cause() {
    let mut command = example(QUICKSTART);
    command.stdout(File::create("/dev/full").unwrap());
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.err.contains("quickstart: No space left on device"), "{}", ended.err);
}

#[test]
fn the_two_errors_of_the_default_run_are_announced() {
    let ended = run(example(QUICKSTART));
    assert_eq!(ended.status.code(), Some(0));
    let lines: Vec<_> = ended.out.lines().take(3).collect();
    assert!(lines[0].contains("on purpose"), "{lines:?}");
    assert!(lines[1].starts_with("src/not-there.rs: ") && lines[2].starts_with("Cargo.toml: "), "{lines:?}");
    assert_eq!(ended.err, "");
}

#[test]
fn an_example_names_the_variable_that_turns_telemetry_off_and_prints_no_table() {
    for (line, code) in ALL {
        for (variable, value) in [("TINKER_TELEMETRY", "maybe"), ("DO_NOT_TRACK", "1")] {
            let mut command = example(line);
            command.env(variable, value);
            let ended = run(command);
            assert_eq!(ended.status.code(), Some(code), "{line:?}");
            let output = ended.out + &ended.err;
            assert!(output.contains(&format!("telemetry is off: {variable} is {value:?}\n")), "{output}");
            assert!(
                !output.contains("received by") && !output.contains("index ") && !output.contains("offered")
            );
            let is_unclear = output.contains("TINKER_TELEMETRY is neither on nor off");
            assert_eq!(is_unclear, value == "maybe", "{output}");
        }
    }
}

#[test]
fn an_unreachable_server_is_logged_with_the_cause() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for (line, code) in ALL {
        let mut command = example(line);
        command.env("TINKER_API_KEY", "tml-test").env("TINKER_BASE_URL", format!("http://{closed}"));
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(code), "{line:?}");
        let cause = "telemetry does not reach 127.0.0.1: connection refused";
        assert!(ended.err.contains(cause), "{line:?}: {}", ended.err);
    }
}
