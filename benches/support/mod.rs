//! What the benchmarks share: the data that they log, reporters to log it to, and a description of the machine.

#![allow(dead_code, reason = "each benchmark uses its own part")]

pub mod machine;
pub mod quantile;
pub mod threads;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::json;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::internals::{EventHeader, Payload};
use tinker_telemetry::{Builder, Config, Reporter, Severity};

/// Longer than anything here takes. It ends a benchmark that hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A flush interval that never passes.
pub const NEVER: Duration = Duration::from_secs(3600);

/// Whether this is `cargo bench`. `cargo test --benches` only checks that the benchmark runs.
pub fn is_bench() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// A reporter without a session, so that only the benchmark's own events are sent.
pub fn builder(url: &str) -> Builder {
    Reporter::sessionless_builder(Config::new("tml-example").base_url(url))
        .enabled(true)
        .flush_interval(NEVER)
}

/// A reporter with a queue of this size, which does not send by itself before the queue is full.
pub fn quiet(url: &str, max_queue_size: usize) -> Reporter {
    quiet_builder(url, max_queue_size).start().expect("the settings are valid")
}

pub fn quiet_builder(url: &str, max_queue_size: usize) -> Builder {
    let builder = builder(url).flush_threshold(max_queue_size).max_queue_size(max_queue_size);
    builder.max_queue_bytes(1 << 30).max_batch_bytes(1 << 30)
}

/// A reporter whose queue is full and stays full: no server listens on port 9, and a retry waits longer than anything
/// here takes.
pub fn full() -> Reporter {
    let builder = builder("http://127.0.0.1:9").max_queue_size(1).retry_base_delay(LIMIT);
    let reporter = builder.start().expect("the settings are valid");
    assert!(log_saved(&reporter, 0), "the queue has room for one");
    reporter
}

/// Waits until nothing is pending, and removes the events from the collector.
pub fn drain(reporter: &Reporter, collector: &Collector) {
    assert!(reporter.wait_until_drained(LIMIT));
    drop(collector.take_events());
}

/// Three fields: a typical event.
#[derive(Serialize)]
pub struct Saved<'a> {
    step: u64,
    loss: f64,
    path: &'a str,
}

pub fn saved(step: u64) -> Saved<'static> {
    Saved { step, loss: 0.4213, path: "runs/a/ckpt-1200" }
}

/// The same event as its caller encodes it for the queue.
pub fn offered(step: u64) -> Payload {
    let head = EventHeader { refused: 0, severity: Severity::Info, time: SystemTime::now() };
    Payload::generic(head, "checkpoint.saved", &saved(step), 1_000).expect("small data are taken")
}

/// Logs the same three fields by the crate's macro, which borrows them.
pub fn log_json(reporter: &Reporter, step: u64) -> bool {
    let data = tinker_telemetry::json!({"step": step, "loss": 0.4213, "path": "runs/a/ckpt-1200"});
    reporter.log("checkpoint.saved", data, Severity::Info)
}

/// Logs the same three fields by `serde_json`'s macro, which makes a tree of values first.
pub fn log_tree(reporter: &Reporter, step: u64) -> bool {
    let data = json!({"step": step, "loss": 0.4213, "path": "runs/a/ckpt-1200"});
    reporter.log("checkpoint.saved", data, Severity::Info)
}

/// Half a kilobyte of text, with characters that JSON must escape.
#[derive(Serialize)]
pub struct Sampled<'a> {
    prompt: &'a str,
    completion: &'a str,
    model: &'a str,
    stop_reason: &'a str,
}

pub fn sampled() -> Sampled<'static> {
    Sampled {
        prompt: "Write a function that tells whether a word reads the same in both directions.\n\
            It takes \"word\" as text, and answers yes or no. Letters count the same in either case.",
        completion: "fn is_palindrome(word: &str) -> bool {\n\tlet letters: Vec<char> = word.to_lowercase()\
            .chars().collect();\n\tletters.iter().eq(letters.iter().rev())\n}\n\nIt compares the letters with \
            themselves read backwards: \"Anna\" is one, \"Hanna\" is none. Größe counts by letters, not bytes.",
        model: "meta-llama/Llama-3.1-8B",
        stop_reason: "stop",
    }
}

/// Structs in lists in a struct: twenty numbers and names from a training step.
#[derive(Serialize)]
pub struct Step {
    number: u64,
    batch: Shape,
    losses: Vec<Loss>,
}

#[derive(Serialize)]
struct Shape {
    sequences: u32,
    tokens: u32,
}

#[derive(Serialize)]
struct Loss {
    name: &'static str,
    value: f64,
    by_layer: [f32; 3],
}

pub fn step() -> Step {
    let loss = |name, value| Loss { name, value, by_layer: [0.25, 0.5, 1.125] };
    let losses = vec![
        loss("cross_entropy", 1.203_125),
        loss("kl", 0.017_5),
        loss("entropy", 2.5),
        loss("policy", -0.312_5),
    ];
    Step { number: 1200, batch: Shape { sequences: 64, tokens: 131_072 }, losses }
}

pub fn log_saved(reporter: &Reporter, step: u64) -> bool {
    reporter.log("checkpoint.saved", saved(step), Severity::Info)
}

/// The body of a request with this many events, as a reporter sends it.
pub fn body_of(events: u64) -> Vec<u8> {
    let collector = Collector::start().expect("loopback has a free port");
    let reporter = quiet(&collector.url(), 1_000);
    (0..events).for_each(|step| assert!(log_saved(&reporter, step)));
    assert!(reporter.wait_until_drained(LIMIT));
    collector.requests()[0].body.clone()
}

/// An open connection without an HTTP client, to measure what the network itself takes.
pub struct Bare {
    connection: TcpStream,
    request: Vec<u8>,
}

impl Bare {
    pub fn new(port: u16, body: &[u8]) -> Self {
        let connection = TcpStream::connect(("127.0.0.1", port)).expect("the collector listens");
        connection.set_nodelay(true).expect("a socket takes its options");
        let head =
            format!("POST /api/v1/telemetry HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        Self { connection, request: [head.as_bytes(), body].concat() }
    }

    /// Sends a request and reads the response.
    pub fn round_trip(&mut self) {
        self.connection.write_all(&self.request).expect("the collector reads");
        let mut answer = [0; 1024]; // the response comes in one piece
        let length = self.connection.read(&mut answer).expect("the collector answers");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    }
}
