//! Keeps secrets. Keys, tokens and passwords reach only their server or their proxy. They never appear in the program's
//! log at `TRACE`, which includes the HTTP client's records, nor in an error, a `Debug`, a panic or a request to
//! another host. The tests set the logger of the process.
#![cfg(feature = "collector")]

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::fmt::{self, Debug, Display, Write as _};
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::panic;
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use support::http::Head;
use support::{LIMIT, NEVER, Panics};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Reporter, Severity, StartError};

/// Part of every secret below, and of nothing else.
const CANARY: &str = "c4n4ry";

const KEY: &str = "tml-c4n4ry-of-the-key-5f1e";
const HEADER: &str = "c4n4ry-of-a-header-9b02";
const ID: &str = "c4n4ry-of-the-id.access";
const SECRET: &str = "c4n4ry-of-the-access-secret";
const PROXY_PASSWORD: &str = "c4n4ry-of-the-proxy";
/// `me:c4n4ry-of-the-proxy` as the proxy receives it.
const PROXY_HEADER: &str = "bWU6YzRuNHJ5LW9mLXRoZS1wcm94eQ==";

/// The thread and the text of each line so far: of the log, of panics, of errors and of `Debug`. Each begins with its
/// source.
static LINES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

fn record(source: &str, text: impl Display) {
    let line = format!("{source}: {text}");
    LINES.lock().unwrap().push((thread::current().id(), line));
}

fn lines() -> Vec<(ThreadId, String)> {
    LINES.lock().unwrap().clone()
}

struct RecordingLogger;

impl Log for RecordingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, line: &Record<'_>) {
        record(line.target(), line.args());
    }

    fn flush(&self) {}
}

/// Begins to record. Each test of this binary calls it.
fn start_recording() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        log::set_logger(&RecordingLogger).unwrap();
        log::set_max_level(LevelFilter::Trace);
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            record("panic", panic);
            print(panic);
        }));
    });
}

/// The bytes on the wire, from the client's dumps in the log, thread by thread. Each row has 16 bytes in hexadecimal.
fn dumped() -> String {
    let mut rows = lines();
    rows.retain(|(_, line)| line.starts_with(DUMP));
    rows.sort_by_key(|(thread, _)| format!("{thread:?}")); // stable: each thread's rows stay in order
    let bytes = rows.iter().flat_map(|(_, row)| {
        let digits: Vec<u8> = row[DUMP.len()..].bytes().take(40).filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks_exact(2).map(byte).collect::<Vec<_>>()
    });
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

const DUMP: &str = "ureq_proto::util: ";

fn assert_no_secret() {
    for (_, line) in lines() {
        assert!(!line.contains(CANARY) && !line.contains(PROXY_HEADER), "{line}");
    }
    let dumped = dumped();
    let canary = dumped.find(CANARY).or_else(|| dumped.find(PROXY_HEADER));
    assert!(canary.is_none(), "{:?}", canary.and_then(|at| dumped.get(at.saturating_sub(40)..at + 40)));
    // The documentation of the crate: the client logs heads of requests and answers, and no events.
    assert!(!dumped.contains("event_name"), "events are dumped");
}

/// Records the debug texts of a value.
fn record_debug(source: &str, value: &impl Debug) {
    record(source, format_args!("{value:?} {value:#?}"));
}

fn record_error(error: &StartError) {
    let mut text = format!("{error} {error:#} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, " {error} {error:?}").unwrap();
        source = error.source();
    }
    record("StartError", text);
}

fn config() -> Config {
    Config::new(KEY).header("x-team", HEADER).header("authorization", HEADER).cloudflare_access(ID, SECRET)
}

fn start(config: Config) -> Result<Reporter, StartError> {
    record_debug("Config", &config);
    let builder = Reporter::builder(config, "session-0001");
    let builder = builder.enabled(true).flush_interval(NEVER).retry_base_delay(Duration::from_millis(1));
    let builder = builder.max_retries(1);
    record_debug("Builder", &builder);
    builder.start()
}

/// Reports some events, and records the texts of the reporter and of its counts.
fn report(config: Config) {
    let reporter = start(config).unwrap();
    reporter.log("checkpoint.saved", "data", Severity::Info);
    reporter.log("panics", Panics, Severity::Info);
    reporter.log_exception(&Panics, Severity::Error);
    reporter.log_exception(&fmt::Error, Severity::Error);
    assert!(reporter.wait_until_drained(LIMIT));
    record_debug("Reporter", &reporter);
    record_debug("WeakReporter", &reporter.downgrade());
    let stats = reporter.stats();
    record("Stats", format_args!("{stats} {stats:?}"));
    reporter.log_fatal_exception(&fmt::Error, Severity::Critical);
    assert!(reporter.stop(LIMIT));
}

#[test]
fn the_error_of_an_invalid_configuration_shows_no_secret() {
    start_recording();
    let url = |url: &str| config().base_url(url);
    let refused = [
        Config::new(format!("{CANARY} ")),
        Config::new(format!("{CANARY}\n")),
        Config::new(format!("{CANARY}ü")),
        config().header("x-team", format!("{CANARY}\r\nx-evil: 1")),
        config().header("x-api-key", CANARY),
        config().header(format!("{CANARY} "), "value"),
        config().cloudflare_access(ID, ""),
        config().cloudflare_access(format!("{CANARY}\t"), SECRET),
        config().root_certificates(CANARY),
        config()
            .root_certificates(format!("-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n")),
        url("https://me:c4n4ry@tinker.example"),
        url("http://c4n4ry@127.0.0.1:8080"),
        url("https://tinker.example?token=c4n4ry"),
        url("https://tinker.example/#c4n4ry"),
        url("https://me:c4n4ry@tinker example"),
        url("ftp://me:c4n4ry@tinker.example"),
        url("me:c4n4ry@tinker.example"),
        url("https://tinker.example:c4n4ry"),
        url("http://me:c4n4ry@tinker.example"),
        config().proxy("http://me:c4n4ry@"),
        config().proxy("http://me:c4n4ry@proxy example:3128"),
        config().proxy("socks4://me:c4n4ry@proxy.example"),
        config().proxy("http://me:c4n4ry@proxy.example:c4n4ry"),
        config().proxy("http://me:c4n4ry/1@proxy.example"),
    ];
    for config in refused {
        let what = format!("{config:?}");
        let Err(error) = start(config) else { panic!("{what}") };
        record_error(&error);
    }
    assert_no_secret();
}

#[test]
fn with_any_answer_only_the_server_gets_the_secrets() {
    start_recording();
    let collector = Collector::start().unwrap();
    let answers = [
        Answer::ok(),
        Answer::status(400).body(KEY.replace(CANARY, "echoed")),
        Answer::status(401),
        Answer::status(403),
        Answer::status(413),
        Answer::status(429).header("retry-after-ms", "1"),
        Answer::status(503),
        Answer::hang_up(),
        Answer::ok().header("content-length", "many"),
        Answer::ok().header("content-length", "9"),
    ];
    for answer in answers {
        collector.answer_by_default(answer);
        report(config().base_url(collector.url()));
    }
    let port = collector.port();
    for request in collector.requests() {
        let sent = |name| request.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((sent("x-api-key"), sent("x-team")), (Some(KEY), Some(HEADER)));
        assert_eq!(sent("authorization"), Some(HEADER));
        assert_eq!((sent("cf-access-client-id"), sent("cf-access-client-secret")), (Some(ID), Some(SECRET)));
        record_debug("Received", &*request);
    }
    assert!(collector.requests().len() > 10);
    drop(collector);
    report(config().base_url(format!("http://127.0.0.1:{port}"))); // a closed port
    report(config().base_url(format!("http://localhost:{port}")));
    assert_no_secret();

    // The client logs what it sends, so a secret would be in these lines.
    let dumped = dumped();
    assert!(dumped.contains("POST /api/v1/telemetry HTTP/1.1"));
    assert!(dumped.contains(&format!("x-api-key: {}\r\n", "*".repeat(KEY.len()))));
    assert!(lines().iter().any(|(_, line)| line.starts_with("panic: ")));
}

/// Text in protobuf is as it was logged. An event may quote the log, where the client shows asterisks.
#[cfg(feature = "otlp")]
#[test]
fn an_event_that_reads_like_a_request_gets_no_secret() {
    start_recording();
    let collector = Collector::start().unwrap();
    let config = Config::otlp(collector.url()).header("authorization", HEADER);
    #[cfg(feature = "gzip")]
    let config = config.gzip(false);
    let reporter = start(config).unwrap();
    let head = format!("POST /v1/logs HTTP/1.1\r\nauthorization: {}\r\n\r\n", "*".repeat(HEADER.len()));
    for length in [0, 40_000] {
        // In the second body it stands behind the first part that is sent.
        reporter.log("quoted", format!("{}{head}", "x".repeat(length)), Severity::Info);
        assert!(reporter.wait_until_drained(LIMIT));
    }
    assert_eq!(reporter.stats().delivered, 3);
    for request in collector.requests() {
        assert_eq!(request.headers["authorization"], HEADER);
        assert!(!String::from_utf8_lossy(&request.body).contains(CANARY));
    }
    assert_no_secret();
}

#[test]
fn a_redirect_sends_nothing_to_the_other_host() {
    start_recording();
    let (first, second) = (Collector::start().unwrap(), Collector::start().unwrap());
    for status in [301, 302, 303, 307, 308] {
        for elsewhere in [second.url(), second.url().replace("127.0.0.1", "localhost")] {
            let location = format!("{elsewhere}/api/v1/telemetry");
            first.answer_by_default(Answer::status(status).header("location", location));
            report(config().base_url(first.url()));
        }
    }
    assert!(first.requests().len() >= 10);
    assert_eq!(second.requests().len(), 0);
    assert_no_secret();
}

#[test]
fn a_proxy_gets_its_password_and_no_other_secret() {
    start_recording();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = format!("http://me:{PROXY_PASSWORD}@{}", listener.local_addr().unwrap());
    let heads = thread::spawn(move || {
        let mut heads = String::new();
        for stream in listener.incoming() {
            let mut client = BufReader::new(stream.unwrap());
            let Some(head) = Head::read(&mut client).unwrap() else { break };
            heads.push_str(&head.text);
            let _ = client.get_ref().write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        }
        heads
    });
    let at = proxy.rsplit_once('@').unwrap().1.to_owned();
    report(config().base_url("http://tinker.example").allow_insecure_http(true).proxy(proxy).no_proxy(""));
    drop(TcpStream::connect(at).unwrap()); // a connection without a request ends the proxy
    let heads = heads.join().unwrap();
    assert!(heads.contains("CONNECT tinker.example:80") && heads.contains(PROXY_HEADER), "{heads}");
    assert!(!heads.contains(CANARY), "{heads}");
    assert_no_secret();
}
