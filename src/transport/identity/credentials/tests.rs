#![cfg(unix)]

use std::path::Path;
use std::thread;
use std::time::Instant;

use super::*;

/// No test waits as long, unless it fails.
const LIMIT: Duration = Duration::from_secs(60);

fn of_command(command: &str) -> Credentials {
    Credentials::new(CredentialSource::Command(command.to_owned()))
}

fn key_of(command: &str) -> Option<HeaderValue> {
    of_command(command).key_other_than(None, LIMIT)
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap().lines().count()
}

#[test]
fn a_command_prints_the_key() {
    assert_eq!(key_of("echo; echo ' tml-printed '").unwrap(), "tml-printed");
    assert_eq!(key_of("printf tml-printed").unwrap(), "tml-printed");
}

#[test]
fn a_text_that_is_no_key_is_none_nor_is_what_a_command_prints_that_fails() {
    for command in [
        "true",
        "echo",
        "exit 1",
        "echo please log in; exit 1",
        "echo tml-part; kill -9 $$",
        "/nonexistent/command",
        r"printf 'tml-a\r\nx-evil: 1'",
        r"printf '\377'",
    ] {
        assert_eq!(key_of(command), None, "{command}");
    }
}

/// It prints for ever. It is stopped after 64 KiB, and what is so long is no key.
#[test]
fn a_command_that_prints_without_end_is_stopped() {
    let credentials = of_command("yes tml-printed");
    assert_eq!(credentials.key_other_than(None, LIMIT), None);
    assert!(credentials.known().unanswered.is_none(), "the command has ended");
}

#[test]
fn a_command_that_prints_a_key_and_goes_on_is_ended() {
    assert_eq!(key_of("echo tml-printed; exec >&-; sleep 1000; true").unwrap(), "tml-printed");
}

/// What the shell has started holds its output open. So the command is asked again only if that has ended too.
#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let credentials = of_command(&format!("echo $$ >> '{}'; sleep 1000; true", runs.display()));
    assert_eq!(credentials.key_other_than(None, Duration::from_millis(500)), None);
    assert_eq!(credentials.key_other_than(None, LIMIT), None);
    assert!(credentials.known().unanswered.is_none(), "the output is closed");
    if cfg!(target_os = "linux") {
        let shell = fs::read_to_string(&runs).unwrap();
        assert!(!Path::new("/proc").join(shell.trim()).exists(), "the shell has been waited for");
    }
    assert_eq!(credentials.key_other_than(None, Duration::from_millis(500)), None);
    assert_eq!(lines(&runs), 2);
}

#[test]
fn a_command_has_five_seconds_even_if_the_request_has_more() {
    let begun = Instant::now();
    assert_eq!(of_command("sleep 1000; true").key_other_than(None, LIMIT), None);
    assert!((MAX_WAIT..LIMIT / 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[test]
fn closing_kills_the_command_that_runs_and_no_other_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let begun = folder.path().join("begun");
    assert!(Command::new("mkfifo").arg(&begun).status().unwrap().success());
    let credentials =
        of_command(&format!("echo >> '{}'; echo > '{}'; sleep 1000; true", runs.display(), begun.display()));
    let answer = start(credentials.source.clone()).unwrap();
    credentials.known().unanswered = Some(Arc::clone(&answer));
    fs::read(&begun).unwrap(); // returns when the command runs
    credentials.close();
    assert!(answer.wait(LIMIT).is_some(), "the output is closed");
    assert_eq!(credentials.key_other_than(None, LIMIT), None);
    assert_eq!(lines(&runs), 1);
}

/// The question has been asked, and its thread has not started the command yet.
#[test]
fn a_command_that_starts_after_its_time_is_killed_at_once() {
    let answer = Arc::<Answer>::default();
    answer.kill();
    let running = Arc::clone(&answer);
    let command = thread::spawn(move || running.run("sleep 1000; true"));
    let deadline = Instant::now() + LIMIT;
    while !command.is_finished() && Instant::now() < deadline {
        thread::yield_now();
    }
    assert!(command.is_finished());
}
