//! Keeps what an answer may cost: no server makes a reporter hold more than 64 KiB, whatever it sends and for how long. Its
//! own binary, since the allocator is the process's.

#[path = "../support/http.rs"]
mod http;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{BufReader, Write};
use std::iter;
use std::mem::forget;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::Request;
use tinker_telemetry::{Config, Reporter, Severity};

/// Longer than anything here takes on a loaded machine: it is there to catch hangs.
const LIMIT: Duration = Duration::from_secs(30);
/// The promise.
const MOST: isize = 64 * 1024;

/// The bytes that threads took other than the test's own, less those that they gave back, and the most that this was
/// since it was last reset.
static HELD: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

fn count(taken: usize, given: usize) {
    if !IS_OURS.get() {
        let change = signed(taken) - signed(given);
        PEAK.fetch_max(HELD.fetch_add(change, Relaxed) + change, Relaxed);
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 0); // for a moment there may be both
        let block = unsafe { System.realloc(block, layout, size) };
        count(0, layout.size());
        block
    }
}

/// What a server sends: a beginning, and then the same again and again, for as long as it is taken.
struct Flood {
    name: &'static str,
    head: String,
    then: Vec<u8>,
}

/// Takes one request and floods it. Gives how much of the flood the client took.
fn serve(listener: &TcpListener, flood: &Flood) -> usize {
    let (stream, _) = listener.accept().unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    Request::read(&mut BufReader::new(&stream)).unwrap().expect("a request");
    let mut sent = 0;
    let mut stream = &stream;
    for next in iter::once(flood.head.as_bytes()).chain(iter::repeat(&flood.then[..])) {
        if stream.write_all(next).is_err() || flood.then.is_empty() {
            break;
        }
        sent += next.len();
    }
    sent
}

/// The most that a reporter's threads held while they read this answer, and how much of it they took.
fn cost(listener: &TcpListener, flood: &Flood) -> (isize, usize) {
    let config = Config::new("tml-example").base_url(format!("http://{}", listener.local_addr().unwrap()));
    let reporter = Reporter::sessionless_builder(config)
        .enabled(true)
        .max_retries(0)
        .http_timeout(LIMIT / 10)
        .start()
        .unwrap();
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    assert!(reporter.log("flooded", (), Severity::Info));
    reporter.flush();
    let taken = serve(listener, flood);
    let started = Instant::now();
    assert!(reporter.wait_until_drained(LIMIT), "{}", flood.name);
    assert!(started.elapsed() < LIMIT / 3, "{}: {:?}", flood.name, started.elapsed());
    let peak = PEAK.load(Relaxed) - before;
    forget(reporter); // what it gives back would be counted for the next
    (peak, taken)
}

fn floods() -> Vec<Flood> {
    let flood = |name, head: &str, then: &[u8]| {
        // Large pieces, so that the flood is as fast as the client is.
        let then = then.repeat(if then.is_empty() { 0 } else { 1 + 65_536 / then.len() });
        Flood { name, head: head.to_owned(), then }
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
    IS_OURS.set(true);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ordinary = Flood {
        name: "an ordinary answer",
        head: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        then: Vec::new(),
    };
    // Buffers that every connection has, whatever is answered.
    let (of_every_answer, _) = cost(&listener, &ordinary);
    println!("{of_every_answer:>8} bytes held for {}", ordinary.name);
    for flood in floods() {
        let (held, taken) = cost(&listener, &flood);
        println!("{held:>8} bytes held for {}, of which {taken} were sent", flood.name);
        let more = held - of_every_answer;
        assert!(more <= MOST, "{more} bytes more for {}", flood.name);
        assert!(held <= 2 * MOST, "{held} bytes in all for {}", flood.name);
    }
}
