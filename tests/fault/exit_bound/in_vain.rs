//! Keeps the promise that a program does not wait in vain: the README's program ends long before its deadlines where no
//! server answers, and loses nothing where one does.

use std::io::{self, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::{Builder, Config, Reporter, Severity};

use crate::exit_bound::control::machine;
use crate::exit_bound::warm_up_backtraces;
use crate::http::Request;
use crate::server::fault::{Answer, Fault};
use crate::server::journal::HANG;
use crate::server::{FullBacklog, Refused, Server};
use crate::truth::audit::contradiction;

/// How long an attempt may take in these programs.
const HTTP_TIMEOUT: Duration = Duration::from_millis(1500);

/// What a busy machine may add. Without the promise each of these programs takes 5 s or more.
const SLACK: Duration = Duration::from_secs(1);

fn builder(base_url: &str) -> Builder {
    let config = Config::new("tml-fault").base_url(base_url).allow_insecure_http(true);
    Reporter::builder(config, "session-0001").enabled(true)
}

/// The README's program. Returns how long it takes to end.
fn program(base_url: &str, has_failed: bool) -> Duration {
    warm_up_backtraces();
    let reporter = builder(base_url).http_timeout(HTTP_TIMEOUT).start().expect("the reporter starts");
    reporter.log("fault.played", (), Severity::Info);
    let began = Instant::now();
    if has_failed {
        reporter.log_fatal_exception(&io::Error::other("the end"), Severity::Critical);
    }
    assert!(!reporter.wait_until_drained(Duration::from_secs(5)), "the server never answers");
    let stats = reporter.stats();
    assert_eq!(contradiction(&stats), None);
    assert_eq!((stats.pending, stats.dropped.total()), (stats.accepted, 0), "nothing is lost by a wait");
    drop(reporter);
    began.elapsed()
}

#[track_caller]
fn assert_ends_within(limit: Duration, base_url: &str) {
    for has_failed in [false, true] {
        let took = program(base_url, has_failed);
        assert!(took < limit + SLACK, "{took:?}, has_failed: {has_failed}");
    }
}

#[test]
fn a_program_ends_within_a_second_if_no_server_listens() {
    let _machine = machine();
    let refused = Refused::start().unwrap();
    assert_ends_within(Duration::from_secs(1), &refused.base_url());
}

#[test]
fn a_program_ends_with_its_first_attempt_if_the_server_never_answers() {
    let _machine = machine();
    let server = Server::start(Fault::NeverAnswer).unwrap();
    assert_ends_within(HTTP_TIMEOUT, &server.base_url());
}

#[test]
fn a_program_ends_with_its_first_attempt_if_connecting_hangs() {
    let _machine = machine();
    let server = FullBacklog::start().unwrap();
    assert_ends_within(HTTP_TIMEOUT, &server.base_url());
}

#[test]
fn a_stop_in_an_outage_does_not_last_as_long_as_an_attempt() {
    let _machine = machine();
    let server = Server::start(Fault::NeverAnswer).unwrap();
    let reporter = builder(&server.base_url()).http_timeout(HTTP_TIMEOUT).start().unwrap();
    reporter.log("fault.played", (), Severity::Info);
    assert!(!reporter.wait_until_drained(HANG), "the first attempt has no answer");
    let began = Instant::now();
    assert!(!reporter.stop(HANG));
    assert!(began.elapsed() < HTTP_TIMEOUT, "{:?}", began.elapsed());
    let stats = reporter.stats();
    assert_eq!((contradiction(&stats), stats.dropped.deadline), (None, stats.accepted));
}

#[test]
fn a_wait_ends_at_once_if_the_server_asks_for_a_retry_after_its_deadline() {
    let _machine = machine();
    let server = Server::start(Fault::Answer(Answer::new(503).header("retry-after", 60))).unwrap();
    let reporter = builder(&server.base_url()).start().unwrap();
    reporter.log("fault.played", (), Severity::Info);
    let began = Instant::now();
    assert!(!reporter.wait_until_drained(HANG));
    assert!(began.elapsed() < HANG / 2, "{:?}", began.elapsed());
    assert_eq!(reporter.stats().pending, reporter.stats().accepted);
    reporter.stop(Duration::ZERO);
}

/// Takes one request, and answers it with 200 after this time.
fn answer_one(listener: &TcpListener, delay: Duration) {
    let (mut stream, _) = listener.accept().unwrap();
    assert!(Request::read(&mut BufReader::new(&stream)).unwrap().is_some());
    let (_sender, nothing) = mpsc::channel::<()>();
    assert!(nothing.recv_timeout(delay).is_err());
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}

#[test]
fn a_server_that_takes_two_seconds_for_an_answer_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let reporter = builder(&base_url).start().unwrap();
    let server = thread::spawn(move || answer_one(&listener, Duration::from_secs(2)));
    reporter.log("fault.played", (), Severity::Info);
    assert!(reporter.wait_until_drained(HANG));
    assert_eq!(reporter.stats().delivered, reporter.stats().accepted);
    server.join().unwrap();
    reporter.stop(Duration::ZERO);
}

#[test]
fn a_server_that_listens_again_gets_its_events_by_the_next_wait() {
    let refused = Refused::start().unwrap();
    let reporter = builder(&refused.base_url()).retry_base_delay(HANG).start().unwrap();
    reporter.log("fault.played", (), Severity::Info);
    assert!(!reporter.wait_until_drained(HANG), "no server listens");
    let listener = refused.listen().unwrap();
    let server = thread::spawn(move || answer_one(&listener, Duration::ZERO));
    // A busy machine may not come to an attempt in the tenth of a second that a wait in an outage has.
    let began = Instant::now();
    while !reporter.wait_until_drained(HANG) {
        assert!(began.elapsed() < HANG / 2, "the retry comes later than this");
    }
    assert_eq!(reporter.stats().delivered, reporter.stats().accepted);
    server.join().unwrap();
    reporter.stop(Duration::ZERO);
}
