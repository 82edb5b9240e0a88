//! Keeps the memory for an answer low: no server makes a reporter hold more than 64 KiB, with any answer of any length.
//! It is a binary of its own, since a process has one allocator.

#[path = "../support/http.rs"]
mod http;
#[path = "../support/memory.rs"]
mod memory;

use std::io::{BufReader, Write};
use std::iter;
use std::mem::forget;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use http::Request;
use memory::{Peak, leave_out_this_thread};
use tinker_telemetry::{Config, Reporter, Severity};

/// The limit on every wait. It catches hangs: nothing here takes as long, on a loaded machine either.
const LIMIT: Duration = Duration::from_secs(30);
/// The promised limit, in bytes.
const MAX_HELD: isize = 64 * 1024;

/// The answer of a server: a head, and then the same piece again and again, until the client closes the connection.
struct Flood {
    name: &'static str,
    head: String,
    piece: Vec<u8>,
}

/// Reads one request and answers it with the flood. Returns the number of bytes that the client accepted.
fn serve(listener: &TcpListener, flood: &Flood) -> usize {
    let (stream, _) = listener.accept().unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    Request::read(&mut BufReader::new(&stream)).unwrap().expect("a request");
    let mut sent = 0;
    let mut stream = &stream;
    for next in iter::once(flood.head.as_bytes()).chain(iter::repeat(&flood.piece[..])) {
        if stream.write_all(next).is_err() || flood.piece.is_empty() {
            break;
        }
        sent += next.len();
    }
    sent
}

/// The peak memory of a reporter's threads while they read this answer, and the number of bytes that they accepted.
fn cost(listener: &TcpListener, flood: &Flood) -> (isize, usize) {
    let config = Config::new("tml-example").base_url(format!("http://{}", listener.local_addr().unwrap()));
    let reporter = Reporter::sessionless_builder(config)
        .enabled(true)
        .max_retries(0)
        .http_timeout(LIMIT / 10)
        .start()
        .unwrap();
    let peak = Peak::begin();
    assert!(reporter.log("flooded", (), Severity::Info));
    reporter.flush();
    let accepted = serve(listener, flood);
    let started = Instant::now();
    assert!(reporter.wait_until_drained(LIMIT), "{}", flood.name);
    assert!(started.elapsed() < LIMIT / 3, "{}: {:?}", flood.name, started.elapsed());
    let peak = peak.bytes();
    forget(reporter); // its freed memory would count for the next flood
    (peak, accepted)
}

fn floods() -> Vec<Flood> {
    let flood = |name, head: &str, piece: &[u8]| {
        // Large pieces, so that the server is faster than the client.
        let piece = piece.repeat(if piece.is_empty() { 0 } else { 1 + 65_536 / piece.len() });
        Flood { name, head: head.to_owned(), piece }
    };
    let body = [b'x'; 1024];
    let ok = "HTTP/1.1 200 OK\r\n";
    vec![
        flood("1 GiB of body", &format!("{ok}content-length: 1073741824\r\n\r\n"), &body),
        flood("the longest body", &format!("{ok}content-length: 18446744073709551615\r\n\r\n"), &body),
        flood("a body without end", &format!("{ok}\r\n"), &body),
        flood("an error without end", "HTTP/1.1 503 Service Unavailable\r\n\r\n", &body),
        flood("chunks without end", &format!("{ok}transfer-encoding: chunked\r\n\r\n"), b"1\r\nx\r\n"),
        flood("a chunk of 1 GiB", &format!("{ok}transfer-encoding: chunked\r\n\r\n40000000\r\n"), &body),
        flood("a chunk size without end", &format!("{ok}transfer-encoding: chunked\r\n\r\n"), b"0"),
        flood("a chunk extension without end", &format!("{ok}transfer-encoding: chunked\r\n\r\n1;"), b"x"),
        flood("trailers without end", &format!("{ok}transfer-encoding: chunked\r\n\r\n0\r\n"), b"x: y\r\n"),
        flood("headers without end", ok, b"x-padding: y\r\n"),
        flood("a header without end", &format!("{ok}x-padding: "), b"y"),
        flood("a header name without end", ok, b"x"),
        flood("a reason without end", "HTTP/1.1 200 ", b"x"),
        flood("a status without end", "HTTP/1.1 ", b"2"),
        flood("informational answers without end", "", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
        flood("noise without end", "", b"\x00\xff\x16"),
        flood("line breaks without end", "", b"\r\n"),
    ]
}

#[test]
fn no_answer_makes_a_reporter_hold_more_than_64_kib() {
    leave_out_this_thread();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ordinary = Flood {
        name: "an ordinary answer",
        head: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        piece: Vec::new(),
    };
    // The buffers of every connection, with any answer.
    let (baseline, _) = cost(&listener, &ordinary);
    println!("{baseline:>8} bytes held for {}", ordinary.name);
    for flood in floods() {
        let (held, accepted) = cost(&listener, &flood);
        println!("{held:>8} bytes held for {}, of which {accepted} were sent", flood.name);
        let more = held - baseline;
        assert!(more <= MAX_HELD, "{more} bytes more for {}", flood.name);
        assert!(held <= 2 * MAX_HELD, "{held} bytes in all for {}", flood.name);
    }
}
