//! Keeps the collector: it counts every request and answers as the test demands, and a drop leaves no thread and no
//! connection behind.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::event::{Event, TelemetrySendRequest};

use crate::support::LIMIT;
use crate::support::http::read_to_empty_line;

/// A client that sends and receives raw bytes.
struct Client(BufReader<TcpStream>);

/// The status, the head as text, and the body of the length in `content-length`.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(collector: &Collector) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, collector.port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn post(&mut self, body: impl AsRef<[u8]>) {
        self.send(request(body.as_ref()));
    }

    /// The next reply. `None` where the connection ends first.
    fn reply(&mut self) -> Option<Reply> {
        let head = read_to_empty_line(&mut self.0).unwrap()?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        Some(Reply { status, head, body })
    }

    fn status(&mut self) -> Option<u16> {
        self.reply().map(|reply| reply.status)
    }

    /// All bytes up to the end of the connection.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }
}

/// The bytes of a POST of this body.
fn request(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /api/v1/telemetry HTTP/1.1\r\nHost: collector\r\nX-Api-Key: tml-canary\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A telemetry body with one event per number. The number is the event's session index and part of its name.
fn batch(numbers: impl IntoIterator<Item = u64>) -> String {
    let event = |number| {
        json!({
            "event": "GENERIC_EVENT", "event_id": format!("00000000-0000-4000-8000-{number:012}"),
            "event_session_index": number, "severity": "INFO", "timestamp": "2026-11-23T16:17:23.834947Z",
            "event_name": format!("event.{number}"), "event_data": {"number": number},
        })
    };
    json!({
        "events": numbers.into_iter().map(event).collect::<Vec<_>>(),
        "platform": "Linux", "sdk_version": "0.1.0", "session_id": "session-0001",
        "process_uuid": "1e9fef80-a3b9-4c25-999e-bc34a9a067b0",
    })
    .to_string()
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(Event::session_index).collect()
}

#[test]
fn two_requests_on_one_connection_arrive_as_typed_values() {
    let collector = Collector::start().unwrap();
    let mut client = Client::connect(&collector);
    for numbers in [0..3, 3..5] {
        client.post(batch(numbers));
        let reply = client.reply().unwrap();
        assert_eq!((reply.status, &*reply.body), (200, &br#"{"status":"accepted"}"#[..]));
        assert!(reply.head.contains("content-type: application/json\r\n"), "{}", reply.head);
    }

    let first = collector.next_request(LIMIT).unwrap();
    assert_eq!((first.method.as_str(), &*first.path), ("POST", "/api/v1/telemetry"));
    assert_eq!(first.header("x-api-key"), Some("tml-canary"));
    assert_eq!(first.header("x-other"), None);
    assert_eq!(first.body, batch(0..3).as_bytes());
    assert_eq!(first.request.as_ref().unwrap().session_id, "session-0001");
    assert_eq!(first.status, Some(200));
    assert!(!format!("{first:?} {:?}", first.headers).contains("canary"));
    assert_eq!(numbers(collector.next_request(LIMIT).unwrap().events()), [3, 4]);
    assert!(collector.next_request(Duration::ZERO).is_none(), "each request is returned once");

    let events = collector.events();
    assert_eq!(numbers(&events), [0, 1, 2, 3, 4]);
    assert_eq!(events[4].name(), "event.4");
}

#[test]
fn a_recorded_request_of_the_official_sdk_is_read() {
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../wire/official-session.json")).unwrap();
    let collector = Collector::start().unwrap();
    let mut client = Client::connect(&collector);
    client.post(recorded["body"].to_string());
    assert_eq!(client.status(), Some(200));
    let expected: TelemetrySendRequest = serde_json::from_value(recorded["body"].clone()).unwrap();
    assert_eq!(collector.events(), expected.events);
}

#[test]
fn pipelined_requests_are_answered_one_by_one() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(503));
    let mut client = Client::connect(&collector);
    client.send((0..20).flat_map(|number| request(batch([number]).as_bytes())).collect::<Vec<_>>());
    assert_eq!(client.status(), Some(503));
    for _ in 1..20 {
        assert_eq!(client.status(), Some(200));
    }
    assert_eq!(numbers(&collector.events()), (1..20).collect::<Vec<_>>());
}

#[test]
fn queued_answers_are_sent_in_order_and_then_the_default() {
    let collector = Collector::start().unwrap();
    collector.answer_by_default(Answer::status(418).body("teapot"));
    collector.answer(Answer::status(503).header("retry-after", "1").header("x-should-retry", "true"));
    collector.answer(Answer::ok());
    collector.answer(Answer::status(204).body("never sent"));
    let mut client = Client::connect(&collector);

    client.post(batch([0]));
    let reply = client.reply().unwrap();
    assert_eq!((reply.status, reply.body.len()), (503, 0));
    assert!(
        reply
            .head
            .starts_with("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nx-should-retry: true\r\n")
    );
    let ok = &br#"{"status":"accepted"}"#[..];
    for (number, status, body) in [(1, 200, ok), (2, 204, b""), (3, 418, b"teapot"), (4, 418, b"teapot")] {
        client.post(batch([number]));
        let reply = client.reply().unwrap();
        assert_eq!((reply.status, &*reply.body), (status, body));
    }

    assert_eq!(numbers(&collector.events()), [1, 2], "only a 2xx accepts events");
    let statuses: Vec<_> = collector.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [503, 200, 204, 418, 418].map(Some));
}

#[test]
fn an_explicit_length_is_sent_unchanged_and_closes_the_connection() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(200).header("Content-Length", "1073741824").body("short"));
    collector.answer(Answer::status(200).header("transfer-encoding", "chunked").body("2\r\nhi\r\n0\r\n\r\n"));
    let bodies =
        ["content-length: 1073741824\r\nconnection: close\r\n\r\nshort", "\r\n\r\n2\r\nhi\r\n0\r\n\r\n"];
    for body in bodies {
        let mut client = Client::connect(&collector);
        client.post(batch([0]));
        let reply = String::from_utf8(client.rest()).unwrap().replace("Content-Length", "content-length");
        assert!(reply.ends_with(body), "{reply}");
    }
}

#[test]
fn a_delayed_answer_counts_at_once_and_is_sent_late() {
    const DELAY: Duration = Duration::from_millis(60);
    let collector = Collector::start().unwrap();
    collector.answer(Answer::ok().delay(DELAY));
    let mut client = Client::connect(&collector);
    client.post(batch([0]));
    assert_eq!(numbers(&collector.wait_for_events(1, LIMIT)), [0]);
    let arrived = collector.next_request(LIMIT).unwrap().at;
    assert_eq!(client.status(), Some(200));
    assert!(arrived.elapsed() >= DELAY);
}

#[test]
fn held_answers_wait_for_the_last_hold_and_their_requests_count_at_once() {
    let collector = Collector::start().unwrap();
    let holds = [collector.hold_answers(), collector.hold_answers()];
    let mut client = Client::connect(&collector);
    client.post(batch([0]));
    assert_eq!(numbers(collector.next_request(LIMIT).unwrap().events()), [0]);
    for hold in holds {
        // Without the hold the answer would arrive within this time.
        client.0.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(client.0.get_ref().peek(&mut [0]).is_err(), "answered while held");
        client.0.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
        drop(hold);
    }
    assert_eq!(client.status(), Some(200));
}

#[test]
fn hang_up_closes_without_an_answer_and_accepts_no_event() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::hang_up());
    let mut client = Client::connect(&collector);
    client.post(batch([0]));
    assert_eq!(client.rest(), b"");
    let request = collector.next_request(LIMIT).unwrap();
    assert_eq!((request.status, request.events().len()), (None, 1));
    assert!(collector.events().is_empty());

    let mut client = Client::connect(&collector);
    client.post(batch([0]));
    assert_eq!(client.status(), Some(200));
}

#[test]
fn invalid_http_is_refused_and_not_recorded() {
    let collector = Collector::start().unwrap();
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(1 << 20));
    let endless = "y".repeat(1 << 20);
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (bytes, status) in [
        ("nonsense\r\n\r\n", 400),
        ("\0\u{1}\u{2}\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nhost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nmany\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: br\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 68719476736\r\n\r\n", 413),
        (&long, 431),
        (&endless, 431),
        (&many, 431),
    ] {
        let mut client = Client::connect(&collector);
        client.send(bytes);
        assert_eq!(client.status(), Some(status), "{bytes:.60}");
        assert_eq!(client.rest(), b"", "closed after {bytes:.60}");
    }
    assert!(collector.requests().is_empty());
}

#[test]
fn a_body_that_is_not_telemetry_is_recorded_with_the_reason() {
    let collector = Collector::start().unwrap();
    let mut client = Client::connect(&collector);
    for body in ["", "{", "[]", r#"{"events": 1}"#, &"[".repeat(100_000)] {
        client.post(body);
        assert_eq!(client.status(), Some(200));
        let request = collector.next_request(LIMIT).unwrap();
        assert!(request.request.is_err() && request.events().is_empty(), "{body:.20}");
        assert_eq!(request.body, body.as_bytes());
    }
    assert!(collector.events().is_empty());
}

#[test]
fn a_body_of_64_mib_arrives_completely() {
    let collector = Collector::start().unwrap();
    let mut client = Client::connect(&collector);
    let body = vec![b'x'; 64 << 20];
    client.post(&body);
    assert_eq!(client.status(), Some(200));
    assert!(collector.next_request(LIMIT).unwrap().body == body);
}

#[test]
fn a_client_that_expects_a_continue_gets_one() {
    let collector = Collector::start().unwrap();
    let mut client = Client::connect(&collector);
    let body = batch([7]);
    let length = body.len();
    client.send(format!(
        "POST /a/b/api/v1/telemetry?q=1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    ));
    assert_eq!(client.status(), Some(100));
    client.send(&body);
    assert_eq!(client.status(), Some(200));
    assert_eq!(numbers(&collector.events()), [7]);
    assert_eq!(collector.requests()[0].path, "/a/b/api/v1/telemetry?q=1");
}

#[test]
fn a_connection_is_closed_at_the_clients_request() {
    let collector = Collector::start().unwrap();
    for head in [
        "GET / HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut client = Client::connect(&collector);
        client.send(head);
        let reply = client.reply().unwrap();
        assert!(reply.status == 200 && reply.head.contains("connection: close"), "{}", reply.head);
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn concurrent_connections_count_each_event_once() {
    const CLIENTS: u64 = 16;
    const REQUESTS: u64 = 50;
    let collector = Collector::start().unwrap();
    let silent: Vec<_> = (0..8).map(|_| Client::connect(&collector)).collect();
    let barrier = Barrier::new(usize::try_from(CLIENTS).unwrap());
    thread::scope(|scope| {
        for client_number in 0..CLIENTS {
            let (collector, barrier) = (&collector, &barrier);
            scope.spawn(move || {
                let mut client = Client::connect(collector);
                barrier.wait();
                for number in 0..REQUESTS {
                    let first = (client_number * REQUESTS + number) * 2;
                    client.post(batch([first, first + 1]));
                    assert_eq!(client.status(), Some(200));
                }
            });
        }
        let all = usize::try_from(CLIENTS * REQUESTS * 2).unwrap();
        let mut seen = numbers(&collector.wait_for_events(all, LIMIT));
        seen.sort_unstable();
        assert_eq!(seen, (0..CLIENTS * REQUESTS * 2).collect::<Vec<_>>());
    });
    assert_eq!(collector.requests().len(), usize::try_from(CLIENTS * REQUESTS).unwrap());
    drop(silent);
}

#[test]
fn take_events_removes_the_events_and_keeps_the_queued_answers() {
    let collector = Collector::start().unwrap();
    let mut client = Client::connect(&collector);
    client.post(batch(0..2));
    assert_eq!(client.status(), Some(200));
    collector.answer(Answer::status(202));
    assert_eq!(numbers(&collector.take_events()), [0, 1]);
    assert!(collector.take_events().is_empty() && collector.requests().is_empty());

    client.post(batch(2..4));
    assert_eq!(client.status(), Some(202));
    assert_eq!(numbers(&collector.wait_for_events(2, LIMIT)), [2, 3]);
    assert_eq!(numbers(collector.next_request(LIMIT).unwrap().events()), [2, 3]);
}

#[test]
fn a_wait_for_events_that_times_out_returns_the_events_so_far() {
    const WAIT: Duration = Duration::from_millis(5);
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(503));
    let mut client = Client::connect(&collector);
    for status in [503, 200] {
        client.post(batch(0..2));
        assert_eq!(client.status(), Some(status));
    }
    let begin = Instant::now();
    assert_eq!(numbers(&collector.wait_for_events(3, WAIT)), [0, 1]);
    assert!(begin.elapsed() >= WAIT, "events of a refused request do not count");
}

#[test]
fn a_drop_closes_all_connections_at_once_and_frees_the_port() {
    let collector = Collector::start().unwrap();
    let port = collector.port();
    let mut silent = Client::connect(&collector);
    let mut served = Client::connect(&collector);
    served.post(batch([0]));
    assert_eq!(served.status(), Some(200));
    let mut halfway = Client::connect(&collector);
    halfway.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");
    let hold = collector.hold_answers();
    let mut waiting = Client::connect(&collector);
    waiting.post(batch([1]));
    collector.wait_for_events(2, LIMIT);
    let mut more: Vec<_> = (0..50).map(|_| Client::connect(&collector)).collect();

    let begin = Instant::now();
    drop(collector);
    let took = begin.elapsed();
    let again = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    assert!(again.is_ok(), "{again:?}");
    // The drop takes about two milliseconds. The limit is enough for a busy machine and too short for any timeout.
    assert!(took < Duration::from_millis(500), "{took:?}");
    for client in [&mut silent, &mut served, &mut halfway, &mut waiting].into_iter().chain(&mut more) {
        let mut rest = Vec::new();
        // An error is possible too: a connection with unread bytes, or one that was never accepted, is reset.
        let _ = client.0.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    drop(hold);
}

#[test]
fn a_drop_ends_the_threads_of_requests_that_wait_for_their_answer() {
    // A drop waits 50 ms for its threads and then leaves them behind. The quickest of ten drops shows that the threads
    // ended by themselves, also on a busy machine.
    let quickest = (0..10).map(|_| {
        let collector = Collector::start().unwrap();
        collector.answer(Answer::ok().delay(Duration::from_secs(3600)));
        // The answer is larger than the buffers of the sockets, and the client reads none of it, so its writer blocks.
        collector.answer(Answer::status(200).body(vec![0; 32 << 20]));
        let [mut delayed, mut blocked, mut waiting] = [(); 3].map(|()| Client::connect(&collector));
        delayed.post(batch([0]));
        collector.next_request(LIMIT).unwrap();
        blocked.post(batch([1]));
        blocked.0.get_ref().peek(&mut [0]).unwrap();
        let hold = collector.hold_answers();
        waiting.post(batch([2]));
        collector.wait_for_events(3, LIMIT);

        let begin = Instant::now();
        drop(collector);
        let took = begin.elapsed();
        drop(hold);
        assert_eq!((delayed.rest(), waiting.rest()), (vec![], vec![]), "no request is answered after a drop");
        took
    });
    let quickest = quickest.min().unwrap();
    assert!(quickest < Duration::from_millis(40), "{quickest:?}");
}

#[test]
fn a_collector_can_restart_on_its_port() {
    let mut collector = Collector::start().unwrap();
    let port = collector.port();
    for _ in 0..50 {
        let mut client = Client::connect(&collector);
        client.post(batch([0]));
        assert_eq!(client.status(), Some(200));
        drop(collector);
        collector = Collector::start_on(port).unwrap();
        assert!(collector.requests().is_empty());
    }
    assert_eq!(collector.url(), format!("http://127.0.0.1:{port}"));
    assert!(Collector::start_on(port).is_err(), "the port is taken");
}
