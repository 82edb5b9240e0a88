//! Keeps the examples correct with unusual files, outputs and settings. Each runs as a program of its own.
#![cfg(all(unix, feature = "collector", feature = "panic", feature = "tracing", feature = "ureq"))]

#[path = "support/process.rs"]
mod process;
mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use support::{LIMIT, names};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Severity, event};

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

/// An output whose reader has closed its end before the first byte.
fn closed_pipe() -> Stdio {
    Stdio::from(OwnedFd::from(UnixStream::pair().unwrap().0))
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
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
fn pipes_and_sockets_below_the_folder_are_skipped_and_the_files_are_hashed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "text").unwrap();
    make_fifo(&folder.path().join("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero")).unwrap();
    let ended = run(example(&["quickstart", folder.path().to_str().unwrap()]));
    assert_eq!(ended.status.code(), Some(0), "{}", ended.out);
    assert_eq!(ended.out.matches("skipped, not a regular file\n").count(), 4, "{}", ended.out);
    assert_eq!(ended.out.matches("file.hashed").count(), 1, "{}", ended.out);
}

#[test]
fn an_unreadable_file_is_printed_and_reported_and_sets_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    let path = folder.path().to_str().unwrap();
    let cases = [
        ("not-there", "not-there: No such file", "user_error"),
        ("Cargo.toml", "Cargo.toml: Not a directory", "user_error"),
        (path, "dangling: No such file", "UNHANDLED_EXCEPTION"),
    ];
    for (argument, printed, reported) in cases {
        let ended = run(example(&["quickstart", argument]));
        assert_eq!(ended.status.code(), Some(1), "{argument}: {}", ended.out);
        assert!(ended.out.contains(printed) && ended.out.contains(reported), "{argument}: {}", ended.out);
    }
    let ended = run(example(&["cli_tool", "not-there"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.err.contains("cannot check not-there: No such file"), "{}", ended.err);
    assert!(ended.out.contains("user_error"), "{}", ended.out);
    for name in ["quickstart", "cli_tool", "service"] {
        assert_eq!(run(example(&[name, "--nonsense"])).status.code(), Some(2), "{name}");
    }
}

#[test]
fn names_with_control_characters_are_printed_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let (good, dangling) =
        (folder.path().join("good\u{1b}[31m\u{9b}2J\nforged"), folder.path().join("bad\u{9b}2J\nx"));
    fs::write(&good, "{}\n").unwrap();
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    let missing = folder.path().join("missing\u{1b}[2J\nx");
    for (name, path) in
        [("quickstart", folder.path()), ("quickstart", &missing), ("cli_tool", &good), ("cli_tool", &missing)]
    {
        let ended = run(example(&[name, path.to_str().unwrap()]));
        assert_eq!(ended.status.code(), Some(1), "{name}");
        let output = ended.out + &ended.err;
        assert!(output.contains("\\n"), "{name}: {output}");
        assert!(!output.contains(|letter: char| letter != '\n' && letter.is_control()), "{name}: {output:?}");
        assert!(!output.contains("\nforged") && !output.contains("\nx"), "{name}: {output}");
    }
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

/// Starts the service without its demo client. Returns its address as well.
fn started_service() -> (Running, String) {
    let service = start(example(&["service", "--listen", "127.0.0.1:0"]));
    let line = service.wait_for_line("listening");
    let address = line.trim().split_once("address=").unwrap().1.to_owned();
    (service, address)
}

fn answer_to(request: &str, address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer); // after a reset the answer is empty too
    answer
}

#[test]
fn the_service_finishes_and_reports_at_a_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (service, address) = started_service();
        assert!(answer_to("GET /health HTTP/1.1\r\n\r\n", &address).starts_with("HTTP/1.1 200 "));
        let hashed = answer_to("POST /sha256 HTTP/1.1\r\ncontent-length: 4\r\n\r\ntext", &address);
        assert!(hashed.starts_with("HTTP/1.1 200 "), "{hashed}");
        process::signal(&service.child, signal);
        let ended = service.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert!(ended.out.contains("request.stop") && ended.out.contains("SESSION_END"), "{}", ended.out);
        assert!(!ended.out.contains("/health"), "{}", ended.out);
    }
}

#[test]
fn a_second_signal_ends_the_service_while_a_client_is_silent() {
    let (service, address) = started_service();
    let _silent = TcpStream::connect(&address).unwrap();
    // Connections are accepted in order. After this answer the silent connection has been accepted too.
    assert!(answer_to("GET /health HTTP/1.1\r\n\r\n", &address).starts_with("HTTP/1.1 200 "));
    process::signal(&service.child, libc::SIGTERM);
    service.wait_for_line("stopping");
    process::signal(&service.child, libc::SIGTERM);
    assert_eq!(service.end().status.signal(), Some(libc::SIGTERM));
}

#[test]
fn a_demo_that_fails_stops_the_service_and_is_reported() {
    let folder = tempfile::tempdir().unwrap(); // it does not have the files that the demo sends
    let mut command = example(SERVICE);
    command.current_dir(folder.path());
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(ended.out.contains("UNHANDLED_EXCEPTION     std::io::Error: No such file"), "{}", ended.out);
}

#[test]
fn a_request_cannot_put_control_characters_into_the_services_output() {
    let (service, address) = started_service();
    for path in ["/\u{1b}[31m", "/\u{9b}2J", "/\u{7f}"] {
        assert_eq!(answer_to(&format!("GET {path} HTTP/1.1\r\n\r\n"), &address), "");
    }
    process::signal(&service.child, libc::SIGTERM);
    let ended = service.end();
    let output = ended.out + &ended.err;
    assert_eq!(output.matches("not a request").count(), 3, "{output}");
    assert!(!output.contains(|letter: char| letter != '\n' && letter.is_control()), "{output:?}");
}

#[test]
fn a_port_in_use_is_printed_and_reported() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(example(&["service", "--listen", &address]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.err.contains(&format!("cannot listen on {address}: Address already in use")),
        "{}",
        ended.err
    );
    assert!(ended.out.contains("CRITICAL  UNHANDLED_EXCEPTION"), "{}", ended.out);
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

#[test]
fn the_sdk_client_logs_each_event_of_the_official_sdk_with_its_severity() {
    use Severity::{Error, Warning};
    let collector = Collector::start().unwrap();
    let mut command = example(SDK_CLIENT);
    command.env("TINKER_API_KEY", "tml-test").env("TINKER_BASE_URL", collector.url());
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    let events = collector.events();
    let logged: Vec<_> = events.iter().map(|event| (event.name(), event.severity())).collect();
    let of_calls = &logged[1..logged.len() - 1];
    let expected = [
        (event::names::REQUEST_EXCEPTION, Warning),
        (event::names::RESULT_STATUS_ERROR, Warning),
        (event::names::RESULT_CONNECTION_ERROR, Warning),
        (event::names::RETRY_EXCEPTION, Warning),
        (event::names::RESULT_APPLICATION_ERROR, Warning),
        (event::names::RETRY_EXCEPTION, Warning),
        (event::names::USER_ERROR, Warning),
        (event::names::RESULT_DECODING_ERROR, Error),
        (event::names::RETRY_EXCEPTION, Error),
        ("UNHANDLED_EXCEPTION", Error),
        (event::names::RESULT_VALIDATION_ERROR, Error),
        (event::names::RETRY_EXCEPTION, Error),
        ("UNHANDLED_EXCEPTION", Error),
        (event::names::RESULT_TIMEOUT, Error),
        (event::names::RETRY_EXCEPTION, Error),
        ("UNHANDLED_EXCEPTION", Error),
    ];
    assert_eq!(of_calls, expected);
    let requests = collector.requests();
    assert_eq!(requests[0].header("user-agent"), Some("tinker-rust-sdk/0.3.0"));
    assert_eq!(requests[0].request.as_ref().unwrap().sdk_version, "0.3.0");
    let releases = events.iter().filter_map(|event| event.data()).map(|data| &data["release"]);
    assert!(
        releases.clone().count() == 13
            && releases.clone().all(|release| release == env!("CARGO_PKG_VERSION"))
    );
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

#[cfg(feature = "otlp")]
#[test]
fn the_otlp_example_sends_a_session_to_its_endpoint() {
    let collector = Collector::start().unwrap();
    let url = collector.url();
    let mut by_environment = example(&["otlp"]);
    by_environment.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    for command in [example(&["otlp", &url]), by_environment] {
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("telemetry: 6 offered, 6 delivered\n", ""));
    }
    let requests = collector.requests();
    assert!(requests.len() >= 2 && requests.iter().all(|request| request.path == "/v1/logs"));
    let ended = run(example(&["otlp", "http://localhost/?query"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.err.contains("otlp: the OTLP endpoint"), "{}", ended.err);
}
