//! Keeps the panic hook's promise where panics abort. The test builds a program from the text below with
//! `panic = "abort"`, and runs it until it aborts.
#![cfg(all(feature = "panic", feature = "collector"))]

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use tinker_telemetry::Severity;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;

const PROGRAM: &str = r#"
use tinker_telemetry::{Config, Reporter, bridge};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let config = Config::new("tml-test").base_url(arguments.next().unwrap());
    let reporter = Reporter::builder(config, "session-0001").enabled(true).start().unwrap();
    bridge::install_panic_hook(&reporter);
    match arguments.next().as_deref() {
        Some("capture") => reporter.capture(|| die("in a capture")),
        _ => die("on the main thread"),
    }
}

fn die(message: &str) {
    panic!("{message}")
}
"#;

/// Builds the program. Cargo does nothing where it is up to date.
fn program() -> PathBuf {
    let library = env!("CARGO_MANIFEST_DIR");
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    fs::create_dir_all(home.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"aborts\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies.tinker-telemetry]\npath = {library:?}\ndefault-features = false\n\
         features = [\"panic\"]\n\n\
         [profile.dev]\npanic = \"abort\"\ndebug = false\n\n[workspace]\n"
    );
    fs::write(home.join("Cargo.toml"), manifest).unwrap();
    fs::write(home.join("src/main.rs"), PROGRAM).unwrap();
    // The versions of this test's own build. They are already on this machine.
    fs::copy(format!("{library}/Cargo.lock"), home.join("Cargo.lock")).unwrap();
    let target = home.join("target");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline"])
        .current_dir(&home)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/aborts")
}

#[test]
fn a_panic_that_aborts_is_reported_before_the_abort_also_inside_a_capture() {
    let program = program();
    for (place, message) in [("main", "on the main thread"), ("capture", "in a capture")] {
        let collector = Collector::start().unwrap();
        let output = Command::new(&program).args([&collector.url(), place]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), None, "the process aborts: {stderr}");
        assert!(stderr.contains(message), "{stderr}");

        let events = collector.events();
        let names: Vec<_> = events.iter().map(Event::name).collect();
        assert_eq!(names, ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"]);
        let Event::UnhandledException(exception) = &events[1] else { unreachable!() };
        assert_eq!((exception.severity, exception.error_message.as_str()), (Severity::Critical, message));
        let traceback = exception.traceback.as_ref().unwrap();
        assert!(traceback.starts_with("thread 'main' panicked at src/main.rs:"), "{traceback}");
    }
}
