//! Keeps the README's code compiling: this file holds each paragraph of its Rust blocks and each line of code in the
//! table of bridges.
#![cfg(all(
    feature = "collector",
    feature = "log",
    feature = "panic",
    feature = "spool",
    feature = "tracing",
    feature = "ureq"
))]
#![expect(dead_code, reason = "most of this code reports to the real backend: it is only compiled")]

use std::error::Error;
use std::fs;
use std::io;
use std::time::Duration;

use log::LevelFilter;
use tinker_telemetry::bridge::{self, Attachments, EventFilter, LogBridge, TracingBridge, UreqBridge};
use tinker_telemetry::{Config, Reporter, Severity, collector::Collector, json};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;
use ureq::Agent;

type Tried = Result<(), Box<dyn Error>>;

fn train() -> io::Result<()> {
    fs::read("runs/a").map(drop)
}

fn use_it() -> Tried {
    let reporter = Reporter::from_env("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64")?; // the session's id; the key is in TINKER_API_KEY
    reporter.log("checkpoint.saved", json!({"step": 1200, "loss": 0.4213}), Severity::Info);
    if let Err(error) = train() {
        reporter.log_fatal_exception(&error, Severity::Critical); // the error, the session's end, a bounded flush
    }
    reporter.wait_until_drained(Duration::from_secs(5)); // offline, this takes all of its 5 s
    Ok(())
}

#[cfg(unix)]
fn on_a_signal(reporter: &Reporter) -> Tried {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let at_exit = reporter.downgrade(); // does not keep the session going
    std::thread::spawn(move || {
        for signal in &mut signals {
            at_exit.stop(Duration::from_secs(1));
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    Ok(())
}

#[cfg(unix)]
fn keep_it() -> Tried {
    use tinker_telemetry::Spool;

    let spool = Spool::for_program("my-tool");
    let builder = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").spool(spool);
    let reporter = builder.start()?;
    drop(reporter);
    Ok(())
}

fn whatever_is_wrong() {
    let reporter = Reporter::from_env("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").unwrap_or_else(|error| {
        eprintln!("{error}"); // no API key: set TINKER_API_KEY, or pass one to Config::new
        Reporter::disabled()
    });
    #[derive(serde::Serialize)]
    struct Saved<'a> {
        step: u64,
        path: &'a str,
    }
    reporter.log("checkpoint.saved", Saved { step: 1300, path: "runs/a" }, Severity::Info);
}

#[cfg(feature = "otlp")]
fn to_a_collector(session_id: &str) -> Tried {
    let config = Config::otlp("http://localhost:4318") // before /v1/logs
        .resource("service.name", "trainer")
        .header("authorization", "Bearer …"); // if the server asks for one
    let reporter = Reporter::builder(config, session_id).start()?;
    reporter.flush();
    Ok(())
}

#[test]
fn a_program_that_reports_is_tested_as_the_readme_says() -> Tried {
    let collector = Collector::start()?;
    let config = Config::new("tml-test").base_url(collector.url());
    let session_id = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64";
    let reporter = Reporter::builder(config, session_id).enabled(true).start()?; // whatever the environment says
    reporter.log("checkpoint.saved", json!({"step": 1200}), Severity::Info);
    assert!(reporter.wait_until_drained(Duration::from_secs(5)));
    assert!(collector.events().iter().any(|event| event.name() == "checkpoint.saved"));
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "a reporter, as in the README")]
fn forward_everything(reporter: Reporter) {
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::fmt;

    let attachments = Attachments::everything(&reporter);
    let printed = fmt::layer().with_filter(LevelFilter::INFO); // without a filter, you see the HTTP client at TRACE too
    let bridge = TracingBridge::new(&attachments).with_filter(LevelFilter::INFO);
    registry().with(printed).with(bridge).init();
}

#[expect(clippy::needless_pass_by_value, reason = "a reporter, as in the README")]
fn listen(reporter: Reporter) -> Tried {
    let attachments = Attachments::new();
    attachments.attach("training", &reporter, EventFilter::all().min_severity(Severity::Info))?;

    LogBridge::new(env_logger::builder().build(), &attachments).install(LevelFilter::Info)?;
    registry().with(TracingBridge::new(&attachments)).init();
    bridge::install_panic_hook(&reporter);
    let _ = Agent::config_builder().middleware(UreqBridge::new(&reporter));
    Ok(())
}

/// The text with each sequence of white space replaced by one space.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn all_code_of_the_readme_is_here() {
    let readme = fs::read_to_string("README.md").unwrap();
    let here = flat(&fs::read_to_string("tests/it/caller/readme.rs").unwrap());
    let blocks = readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // Each row is: feature, one line, what is reported.
    let table = readme.split("| feature | one line |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows = table.lines().skip(2).map(|row| row.split('`').nth(3).unwrap());
    let paragraphs = blocks.flat_map(|block| block.split("\n\n")).filter(|code| !code.starts_with("use "));
    let code: Vec<_> = paragraphs.chain(rows).map(flat).collect();
    assert!(code.len() >= 9, "{code:#?}");
    for code in code {
        assert!(here.contains(&code), "not here: {code}");
    }
}
