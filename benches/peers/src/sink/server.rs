//! The process of the sink: a thread per connection, an answer per request, one count of events.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::Manner;
use super::request::{Request, Requests, count};
use crate::payload::SHARD;

/// The path that returns the count of events and resets it to zero.
pub(super) const TAKE_COUNT: &str = "/take-count";

/// Serves on a free port of loopback and prints the address as the first line of standard output. Ends with standard
/// input, so a sink cannot outlive the bench that started it.
pub(crate) fn serve(manner: Manner) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    thread::spawn(move || accept(&listener, manner));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn accept(listener: &TcpListener, manner: Manner) {
    let events = Arc::new(AtomicU64::new(0));
    for stream in listener.incoming().flatten() {
        let events = Arc::clone(&events);
        // A client that disconnects within a request was killed or timed out. Its own figures show that.
        thread::spawn(move || converse(stream, manner, &events).ok());
    }
}

fn converse(stream: TcpStream, manner: Manner, events: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut requests = Requests::new(stream);
    while let Some(request) = requests.next()? {
        if request.path == TAKE_COUNT {
            let taken = events.swap(0, Ordering::AcqRel).to_string();
            answer(&mut out, "text/plain", taken.as_bytes())?;
            continue;
        }
        let received = count(&request.body, SHARD) as u64;
        match manner {
            Manner::After(delay) => {
                events.fetch_add(received, Ordering::AcqRel);
                if !delay.is_zero() {
                    thread::sleep(delay);
                }
                let (content_type, body) = accepted(&request);
                answer(&mut out, content_type, body)?;
            }
            Manner::Stalled => {}
        }
    }
    Ok(())
}

/// The answer of each protocol's server to an accepted request.
fn accepted(request: &Request) -> (&'static str, &'static [u8]) {
    match request.path.as_str() {
        "/v1/logs" if request.content_type == "application/x-protobuf" => ("application/x-protobuf", b""),
        "/v1/logs" => ("application/json", br#"{"partialSuccess":{}}"#),
        "/api/1/envelope/" => ("application/json", br#"{"id":"fc6d8c0c43fc4630ad850ee518f1b9d0"}"#),
        "/batch/" => ("application/json", br#"{"status":"Ok"}"#),
        _ => ("application/json", br#"{"status":"accepted"}"#),
    }
}

fn answer(out: &mut TcpStream, content_type: &str, body: &[u8]) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut message = head.into_bytes();
    message.extend_from_slice(body);
    out.write_all(&message) // one segment
}
