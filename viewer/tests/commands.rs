//! Keeps the commands: what they pass on, print, and say when something is wrong.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use support::{TELEMETRY, Viewer, body_of, command};

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn run_sets_the_environment_and_passes_on_output_and_exit_code() {
    let script = "echo $TINKER_BASE_URL $TINKER_API_KEY; echo err >&2; exit 7";
    let output = run(&["run", "--exit", "--port", "0", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7));
    let out = text(&output.stdout);
    assert!(out.starts_with("http://127.0.0.1:") && out.trim_end().ends_with(" tml-local-viewer"), "{out}");
    assert!(text(&output.stderr).contains("err\n"));
}

#[test]
fn run_keeps_a_key_that_is_there() {
    let output = command(&["run", "--exit", "--port", "0", "--", "sh", "-c", "echo $TINKER_API_KEY"])
        .env("TINKER_API_KEY", "tml-own")
        .output()
        .expect("it ends");
    assert_eq!(text(&output.stdout), "tml-own\n");
    assert!(!text(&output.stderr).contains("tml-own"));
}

#[test]
fn run_passes_a_signal_on() {
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = command(&["run", "--exit", "--port", "0", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    assert_eq!(lines.next().expect("a line").expect("text"), "asked");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

#[test]
fn a_program_that_a_signal_ends_is_128_and_the_signal() {
    assert_eq!(
        run(&["run", "--exit", "--port", "0", "--", "sh", "-c", "kill -KILL $$"]).status.code(),
        Some(137)
    );
}

#[test]
fn a_program_that_does_not_exist_is_127_with_its_name() {
    let output = run(&["run", "--port", "0", "--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("no-such-program"), "{}", text(&output.stderr));
}

#[test]
fn a_command_that_is_none_is_answered_with_the_one_that_was_meant() {
    let output = run(&["veiw"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("'veiw'") && said.contains("view"), "{said}");
}

#[test]
fn a_second_run_takes_another_port_when_the_usual_one_is_taken() {
    // Whoever has the usual port: this test, or something that was there before it.
    let _taken = std::net::TcpListener::bind("127.0.0.1:8970");
    let output = run(&["run", "--exit", "--", "sh", "-c", "echo $TINKER_BASE_URL"]);
    let out = text(&output.stdout);
    assert!(out.starts_with("http://127.0.0.1:") && !out.contains(":8970"), "{out}");
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_by_whom_and_what_to_do() {
    let viewer = Viewer::start(&[]);
    let port = viewer.address.rsplit(':').next().expect("a port");
    let said = text(&run(&["view", "--port", port]).stderr);
    assert!(said.contains("taken by another viewer") && said.contains("--port"), "{said}");

    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port().to_string();
    let said = text(&run(&["view", "--port", &port]).stderr);
    assert!(said.contains("taken by another program"), "{said}");
}

#[test]
fn what_is_kept_comes_back_as_it_was_and_torn_lines_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.jsonl");
    let name = path.to_str().expect("text");
    let first = Viewer::start(&["--keep", name]);
    first.post(TELEMETRY, "", body_of("s", &["a", "b"]).as_bytes());
    let sent = first.lines();
    drop(first);

    let mut kept = std::fs::read(&path).expect("the file");
    kept.extend_from_slice(b"{\"level\":\"info\"}\n{\"session_id\":\"s\",\"event\":{\"ev");
    std::fs::write(&path, kept).expect("written");
    let second = Viewer::start(&[name]);
    assert!(second.said.contains("2 events, 2 lines skipped"), "{}", second.said);
    assert_eq!(second.lines(), sent);

    let missing = text(&run(&["view", "--port", "0", "no-such.jsonl"]).stderr);
    assert!(missing.contains("no-such.jsonl"), "{missing}");
}

/// Lines of `tail` from now on, as many as are asked for.
fn tail(viewer: &Viewer, options: &[&str], lines: usize) -> Vec<String> {
    let port = viewer.address.rsplit(':').next().expect("a port");
    let mut child = command(&[&["tail", "--port", port], options].concat())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = BufReader::new(child.stdout.take().expect("its output"));
    let lines = out.lines().take(lines).map(|line| line.expect("text")).collect();
    let _ = child.kill();
    let _ = child.wait();
    lines
}

#[test]
fn tail_prints_what_passes_its_filters() {
    let viewer = Viewer::start(&[]);
    viewer.post(TELEMETRY, "", body_of("s", &["train.a", "bad.b", "train.c", "bad.d"]).as_bytes());
    let bad = tail(&viewer, &["--min", "error"], 2);
    assert!(bad[0].contains("ERROR") && bad[0].contains("bad.b") && bad[1].contains("bad.d"), "{bad:?}");
    let train = tail(&viewer, &["--name", "train.", "--json"], 2);
    let names: Vec<_> = train
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["event"]["event_name"].clone()
        })
        .collect();
    assert_eq!(names, ["train.a", "train.c"]);
}

#[test]
fn tail_says_what_was_lost() {
    let viewer = Viewer::start(&[]);
    let body = body_of("s", &["a", "b", "c", "d"]);
    let mut value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let events = value["events"].as_array_mut().expect("events");
    events.drain(1..3);
    viewer.post(TELEMETRY, "", value.to_string().as_bytes());
    let lines = tail(&viewer, &[], 3);
    assert!(lines[1].contains("2 events never came"), "{lines:?}");
}

#[test]
fn help_completions_and_the_man_page_are_there() {
    assert!(text(&run(&["--help"]).stdout).contains("tinker-telemetry run -- python train.py"));
    assert!(text(&run(&["completions", "bash"]).stdout).contains("complete -F"));
    assert!(text(&run(&["man"]).stdout).contains(".TH tinker-telemetry"));
}
