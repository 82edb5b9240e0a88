//! Keeps the free resend. Where the server closes a reused connection when the next request arrives, that request is
//! sent again once, without a retry, a lost event or a duplicate. On a new connection, or after a byte of the answer,
//! the failure counts as a retry.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tinker_telemetry::{Config, Reporter, Severity};

use crate::support::http::Request;
use crate::support::{KEY, LIMIT, assert_adds_up, check_body, sessionless_to};

/// A server that the test plays step by step.
struct Server(Arc<TcpListener>);

struct Connection(BufReader<TcpStream>);

impl Server {
    fn start() -> (Self, Reporter) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let config = Config::new(KEY).base_url(format!("http://{}", listener.local_addr().unwrap()));
        let reporter = sessionless_to(config).max_retries(1).start().unwrap();
        (Self(Arc::new(listener)), reporter)
    }

    fn accept(&self) -> Connection {
        let (listener, (sender, accepted)) = (Arc::clone(&self.0), mpsc::channel());
        thread::spawn(move || sender.send(listener.accept()));
        let (stream, _) = accepted.recv_timeout(LIMIT).expect("no client connects").unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Connection(BufReader::new(stream))
    }

    fn assert_no_caller_waits(&self) {
        self.0.set_nonblocking(true).unwrap();
        assert_eq!(
            self.0.accept().unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "there is one connection too many"
        );
        self.0.set_nonblocking(false).unwrap();
    }
}

impl Connection {
    fn request(&mut self) -> Request {
        let request = Request::read(&mut self.0).unwrap().expect("a request on this connection");
        check_body(&request.body);
        assert!(request.idempotency_key().is_some());
        request
    }

    fn answer(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn answer_ok(&mut self) {
        self.answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    }
}

/// How a server may close a connection on which a request has begun to arrive.
#[derive(Clone, Copy, Debug)]
enum Close {
    /// After it has read all bytes: an orderly end.
    Finished,
    /// Before it has read all bytes: the kernel resets the connection.
    Reset,
}

impl Close {
    fn play(self, mut connection: Connection) -> Option<Request> {
        match self {
            Self::Finished => {
                let request = connection.request();
                connection.0.get_ref().shutdown(Shutdown::Both).unwrap();
                Some(request)
            }
            Self::Reset => {
                let mut byte = [0];
                // Not through the buffer: that reads all bytes, and then there is no reset.
                connection.0.get_mut().read_exact(&mut byte).unwrap();
                None
            }
        }
    }
}

fn report(reporter: &Reporter, step: u64) {
    assert!(reporter.log("step", step, Severity::Info));
    reporter.flush();
}

/// A connection that has carried one event and stays open.
fn reused_connection(server: &Server, reporter: &Reporter) -> Connection {
    report(reporter, 1);
    let mut connection = server.accept();
    connection.request();
    connection.answer_ok();
    assert!(reporter.wait_until_drained(LIMIT));
    connection
}

#[test]
fn a_request_on_a_stale_connection_is_resent_once_as_the_same_attempt() {
    for close in [Close::Finished, Close::Reset] {
        let (server, reporter) = Server::start();
        let reused = reused_connection(&server, &reporter);

        report(&reporter, 2);
        let lost = close.play(reused);
        let mut fresh = server.accept();
        let resent = fresh.request();
        assert_eq!(resent.retry_count(), Some(0), "{close:?}: no retry");
        if let Some(lost) = lost {
            assert_eq!(
                (lost.idempotency_key(), lost.retry_count(), &lost.body),
                (resent.idempotency_key(), Some(0), &resent.body)
            );
        }
        fresh.answer_ok();
        assert!(reporter.wait_until_drained(LIMIT));
        let stats = reporter.stats();
        assert_adds_up(stats);
        assert_eq!((stats.delivered, stats.dropped.total()), (2, 0), "{close:?}");

        // The fresh connection is reused as well.
        report(&reporter, 3);
        assert_ne!(fresh.request().idempotency_key(), resent.idempotency_key());
        fresh.answer_ok();
        assert!(reporter.wait_until_drained(LIMIT));
        server.assert_no_caller_waits();
    }
}

#[test]
fn a_resend_that_fails_too_is_a_failed_attempt() {
    let (server, reporter) = Server::start();
    let reused = reused_connection(&server, &reporter);

    report(&reporter, 2);
    let requests = [
        Close::Finished.play(reused).unwrap(),
        Close::Finished.play(server.accept()).unwrap(), // the resend
        Close::Finished.play(server.accept()).unwrap(), // the one retry
    ];
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(requests.each_ref().map(Request::retry_count), [Some(0), Some(0), Some(1)]);
    assert!(requests.iter().all(|request| {
        request.idempotency_key() == requests[0].idempotency_key() && request.body == requests[0].body
    }));
    server.assert_no_caller_waits();
    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.dropped.retries_exhausted), (1, 1));
}

#[test]
fn a_fresh_connection_that_closes_is_a_failed_attempt() {
    for after_another in [false, true] {
        for close in [Close::Finished, Close::Reset] {
            let (server, reporter) = Server::start();
            if after_another {
                report(&reporter, 1);
                let mut other = server.accept();
                other.request();
                other.answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                assert!(reporter.wait_until_drained(LIMIT));
            }
            report(&reporter, 2);
            let lost = close.play(server.accept());
            assert!(lost.is_none_or(|lost| lost.retry_count() == Some(0)));
            let mut second = server.accept();
            assert_eq!(second.request().retry_count(), Some(1), "{close:?}, after another: {after_another}");
            second.answer_ok();
            assert!(reporter.wait_until_drained(LIMIT));
            assert_eq!(reporter.stats().delivered, 1 + u64::from(after_another));
            server.assert_no_caller_waits();
        }
    }
}

#[test]
fn an_incomplete_answer_is_a_failed_attempt() {
    for linger in [None, Some(Duration::ZERO)] {
        let (server, reporter) = Server::start();
        let mut reused = reused_connection(&server, &reporter);

        report(&reporter, 2);
        let lost = reused.request();
        reused.answer("HTTP/1.1 2");
        SockRef::from(reused.0.get_ref()).set_linger(linger).unwrap(); // with zero the connection is reset
        drop(reused);
        let mut fresh = server.accept();
        let again = fresh.request();
        assert_eq!((lost.retry_count(), again.retry_count()), (Some(0), Some(1)), "{linger:?}");
        assert_eq!((lost.idempotency_key(), &lost.body), (again.idempotency_key(), &again.body));
        fresh.answer_ok();
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().delivered, 2);
        server.assert_no_caller_waits();
    }
}

#[test]
fn batches_over_connections_that_close_often_arrive_once_each() {
    // Each connection closes after a few answers. It closes either at once, so that the client can see it before the
    // next request, or when the next request has arrived, so that the client cannot.
    let (server, reporter) = Server::start();
    let batches = 300;
    let answered = thread::spawn(move || {
        let mut answered: Vec<Request> = Vec::new();
        while answered.len() < batches {
            let mut connection = server.accept();
            for _ in 0..=answered.len() % 3 {
                // The connection ends before a request: the client saw the close and opened another connection.
                if connection.0.fill_buf().map_or(true, <[u8]>::is_empty) || answered.len() == batches {
                    break;
                }
                answered.push(connection.request());
                connection.answer_ok();
            }
            if answered.len() % 2 == 0 && answered.len() < batches {
                drop(connection.0.fill_buf());
            }
        }
        answered
    });
    for step in 0..batches as u64 {
        assert!(reporter.log("step", step, Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
    }
    let answered = answered.join().unwrap();
    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.dropped.total()), (batches as u64, 0));
    let mut ids: Vec<_> = answered.iter().flat_map(Request::events).map(|event| event.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((answered.len(), ids.len()), (batches, batches), "each batch is answered once");
    assert!(answered.iter().all(|request| request.retry_count() == Some(0)));
}
