//! Keeps each fault as its name promises: plain sockets show that it happens. A suite whose faults do not happen proves
//! nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::server::fault::{Acknowledged, Answer, Fault};
use crate::server::journal::HANG;
use crate::server::{FullBacklog, Script, Server};

/// The time without a byte that counts as silence. A time that is too short can miss a broken fault, and it never fails
/// a correct one.
const SILENCE: Duration = Duration::from_millis(150);

fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nX-Idempotency-Key: key-1\r\n\
         X-Stainless-Retry-Count: 2\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, HANG).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.set_write_timeout(Some(HANG)).unwrap();
    stream
}

/// A client that has sent a small request.
fn client(server: &Server) -> TcpStream {
    let mut stream = connect(server.address());
    stream.write_all(&request(b"{}")).unwrap();
    stream
}

/// Starts a server with the fault, and a client that has sent a request to it.
fn server_and_client(fault: Fault) -> (Server, TcpStream) {
    let server = Server::start(fault).unwrap();
    let client = client(&server);
    (server, client)
}

/// Reads to the end. Returns the bytes and how the connection ended.
fn read_to_end_of(mut client: &TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = client.read_to_end(&mut bytes).map(drop);
    (bytes, end)
}

/// Reads until the text has arrived.
fn read_until(mut client: &TcpStream, text: &str) -> String {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(text) {
        let mut piece = [0; 4096];
        let read = client.read(&mut piece).unwrap();
        assert!(read > 0, "ended before {text:?}: {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[track_caller]
fn assert_silence(mut client: &TcpStream) {
    client.set_read_timeout(Some(SILENCE)).unwrap();
    let received = client.read(&mut [0; 64]);
    let kind = received.as_ref().map_err(io::Error::kind);
    assert!(
        matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "the server sent bytes: {received:?}"
    );
    client.set_read_timeout(Some(HANG)).unwrap();
}

#[track_caller]
fn assert_reset(end: &io::Result<()>) {
    assert_eq!(end.as_ref().map_err(io::Error::kind), Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_answer_keeps_the_connection_and_is_in_the_journal_before_it_arrives() {
    let answers = [Answer::new(503).header("retry-after", 7), Answer::new(204), Answer::new(200)];
    let server = Server::start(answers.map(Fault::Answer).to_vec()).unwrap();
    let mut client = client(&server);
    assert!(read_until(&client, "{}").contains("\r\nretry-after: 7\r\n"));
    for (answered, end) in [(1, "\r\n\r\n"), (2, "{}")] {
        assert_eq!(server.read().exchanges.len(), answered);
        client.write_all(&request(b"[1]")).unwrap();
        read_until(&client, end);
    }
    let entries = server.read();
    assert_eq!((entries.connections, entries.begun), (1, 3));
    let expected = [Acknowledged::No, Acknowledged::Yes, Acknowledged::Yes];
    for (exchange, acknowledged) in entries.exchanges.iter().zip(expected) {
        assert_eq!((exchange.connection, exchange.fault.acknowledged()), (0, acknowledged));
        assert_eq!(exchange.request.head.line(), "POST /api/v1/telemetry HTTP/1.1");
        assert_eq!(exchange.request.idempotency_key(), Some("key-1"));
        assert_eq!(exchange.request.retry_count(), Some(2));
    }
    assert_eq!(entries.exchanges[1].request.body, b"[1]");
}

#[test]
fn the_journal_reads_the_events_of_a_request() {
    let recorded = include_str!("../../wire/official-session.json");
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let body = serde_json::to_vec(&recorded["body"]).unwrap();
    let server = Server::start(Fault::Answer(Answer::new(200))).unwrap();
    let mut client = connect(server.address());
    client.write_all(&request(&body)).unwrap();
    server.wait_until(|entries| !entries.exchanges.is_empty());
    let events = server.read().exchanges[0].request.events();
    assert_eq!(events[1].name(), "checkpoint.saved");
    assert_eq!(Some(events.len()), recorded["body"]["events"].as_array().map(Vec::len));
}

#[test]
fn a_stale_connection_answers_and_then_closes_without_an_announcement() {
    let (_server, client) = server_and_client(Fault::AnswerThenClose(Answer::new(200)));
    let (bytes, end) = read_to_end_of(&client);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("{}") && !text.contains("close"), "{text}");
    end.unwrap();
}

#[test]
fn a_server_that_never_answers_and_a_silent_one_read_all_bytes_and_write_none() {
    for fault in [Fault::NeverAnswer, Fault::Silent] {
        let (server, mut client) = server_and_client(fault);
        server.wait_until(|entries| entries.begun == 1);
        assert_silence(&client);
        client.write_all(&vec![0; 4 << 20]).unwrap();
        assert_silence(&client);
    }
}

#[test]
fn a_read_stall_blocks_a_write_within_64_kib() {
    let server = Server::start(Fault::ReadStall).unwrap();
    let mut client = connect(server.address());
    server.wait_until(|entries| entries.begun == 1);
    client.set_write_timeout(Some(SILENCE)).unwrap();
    let body = vec![b' '; 1 << 20];
    let mut written = 0;
    let error = loop {
        match client.write(&body) {
            Ok(bytes) => written += bytes,
            Err(error) => break error.kind(),
        }
        assert!(written < body.len(), "the window never fills");
    };
    assert_eq!(error, ErrorKind::WouldBlock);
    assert!(written < 64 << 10, "{written} bytes were written");
    assert_silence(&client);
}

#[test]
fn a_reset_while_reading_arrives_as_a_reset_at_any_byte() {
    let whole = request(b"{}").len();
    for bytes in [1, 10, whole - 1, whole] {
        let (server, client) = server_and_client(Fault::ResetAfterReading(bytes));
        let (received, end) = read_to_end_of(&client);
        assert!(received.is_empty(), "{received:?}");
        assert_reset(&end);
        assert!(server.read().exchanges.is_empty());
    }
}

#[test]
fn a_reset_while_writing_arrives_as_a_reset_at_any_byte() {
    for bytes in [0, 1, 12, 40, usize::MAX] {
        let (server, client) = server_and_client(Fault::ResetAfterWriting(bytes));
        let (received, end) = read_to_end_of(&client);
        assert!(
            received.len() <= bytes && b"HTTP/1.1 200 OK".starts_with(&received[..received.len().min(15)])
        );
        assert_reset(&end);
        let expected = if bytes == usize::MAX { Acknowledged::Perhaps } else { Acknowledged::No };
        assert_eq!(server.read().exchanges[0].fault.acknowledged(), expected);
    }
}

#[test]
fn a_close_without_an_answer_is_an_orderly_end_and_no_reset() {
    let (server, client) = server_and_client(Fault::Close);
    let (received, end) = read_to_end_of(&client);
    end.unwrap();
    assert!(received.is_empty());
    assert_eq!(server.read().exchanges.len(), 1);
}

#[test]
fn after_a_half_close_the_client_can_write_and_reads_the_end() {
    let (_server, mut client) = server_and_client(Fault::HalfClose);
    let (received, end) = read_to_end_of(&client);
    end.unwrap();
    assert!(received.is_empty());
    // After a full close the second write would fail with a reset.
    for _ in 0..2 {
        client.write_all(&vec![0; 1 << 20]).unwrap();
    }
}

#[test]
fn a_partial_head_stops_before_its_end() {
    let (_server, client) = server_and_client(Fault::PartialHead);
    let received = read_until(&client, "HTTP/1.1 200 OK\r\n");
    assert!(!received.contains("\r\n\r\n"));
    assert_silence(&client);
}

#[test]
fn a_trickle_continues_byte_by_byte() {
    for (fault, trickled) in
        [(Fault::HeaderTrickle, "x-slow: a\r\nx-slow"), (Fault::BodyTrickle, "\r\n\r\n   ")]
    {
        let (_server, mut client) = server_and_client(fault);
        let received = read_until(&client, trickled);
        assert_eq!(trickled.starts_with('x'), !received.contains("\r\n\r\n"));
        for _ in 0..3 {
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 1);
        }
    }
}

#[test]
fn an_early_reply_arrives_while_the_body_is_being_written() {
    let server = Server::start(Fault::EarlyReply(Answer::new(413))).unwrap();
    let client = connect(server.address());
    let mut writer = client.try_clone().unwrap();
    writer.set_write_timeout(Some(SILENCE)).unwrap();
    let stalled = writer.write_all(&request(&vec![b' '; 1 << 20])).unwrap_err();
    assert_eq!(stalled.kind(), ErrorKind::WouldBlock);
    assert!(read_until(&client, "{}").starts_with("HTTP/1.1 413 "));
    assert_silence(&client);
    assert!(server.read().exchanges.is_empty());
}

#[test]
fn garbage_is_not_http() {
    let (_server, client) = server_and_client(Fault::Garbage);
    assert!(!read_until(&client, "\r\n\r\n").starts_with("HTTP/"));
}

#[test]
fn a_wrong_content_length_is_too_short_or_too_long() {
    for (fault, body, header) in [
        (Fault::LengthTooShort, "{} and then what was not announced", "content-length: 2\r\n"),
        (Fault::LengthTooLong, "{}", "content-length: 4096\r\n"),
        (Fault::HugeLength, "\r\n\r\n", "content-length: 1073741824\r\n"),
    ] {
        let (_server, client) = server_and_client(fault);
        let received = read_until(&client, body);
        assert!(received.contains(header) && received.ends_with(body), "{received}");
        assert_silence(&client);
    }
}

#[test]
fn a_flood_and_an_endless_body_continue_for_megabytes() {
    for (fault, start) in [
        (Fault::InformationalFlood, "HTTP/1.1 103 Early Hints\r\n"),
        (Fault::EndlessBody, "HTTP/1.1 200 OK\r\n"),
    ] {
        let (_server, mut client) = server_and_client(fault);
        let mut received = vec![0; 8 << 20];
        client.read_exact(&mut received).unwrap();
        assert!(received.starts_with(start.as_bytes()));
        let ends = received.windows(4).filter(|bytes| bytes == b"\r\n\r\n").count();
        assert_eq!(ends == 1, start.contains("200"));
    }
}

#[test]
fn connecting_to_a_full_backlog_times_out() {
    let full = FullBacklog::start().unwrap();
    let error = TcpStream::connect_timeout(&full.address(), Duration::from_millis(700)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn the_last_fault_of_a_script_repeats() {
    let server = Server::start(vec![Fault::Close, Fault::Answer(Answer::new(200))]).unwrap();
    assert!(read_to_end_of(&client(&server)).0.is_empty());
    for _ in 0..2 {
        read_until(&client(&server), "{}");
    }
    assert_eq!(server.read().connections, 3);
}

#[test]
fn a_dropped_server_closes_its_connections_at_once_during_any_fault() {
    let answer = || Answer::new(200);
    for fault in [
        Fault::Answer(answer()),
        Fault::NeverAnswer,
        Fault::ReadStall,
        Fault::ResetAfterReading(usize::MAX),
        Fault::HalfClose,
        Fault::PartialHead,
        Fault::HeaderTrickle,
        Fault::BodyTrickle,
        Fault::EarlyReply(answer()),
        Fault::Garbage,
        Fault::LengthTooShort,
        Fault::LengthTooLong,
        Fault::InformationalFlood,
        Fault::EndlessBody,
        Fault::HugeLength,
        Fault::Silent,
    ] {
        let name = format!("{fault:?}");
        let begins = !matches!(fault, Fault::ResetAfterReading(_));
        let server = Server::start(Script::from(fault)).unwrap();
        let client = client(&server);
        server.wait_until(|entries| if begins { entries.begun == 1 } else { entries.connections == 1 });
        let dropping = Instant::now();
        drop(server);
        assert!(dropping.elapsed() < Duration::from_secs(2), "{name}: {:?}", dropping.elapsed());
        // The connection ends with an orderly end or a reset. A timeout would mean that it is still open.
        let (_, end) = read_to_end_of(&client);
        let end = end.map_err(|error| error.kind());
        assert!(matches!(end, Ok(()) | Err(ErrorKind::ConnectionReset)), "{name}: {end:?}");
    }
}
