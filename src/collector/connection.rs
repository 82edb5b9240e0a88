//! One connection: requests in, answers out, until one side closes it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use http::{Method, StatusCode};

use super::answer::{Afterwards, Answer};
use super::http::{Fault, MAX_BODY, Requests};
use super::received::Received;
use super::shared::Shared;

/// Serves a connection on a thread of its own. A connection that arrives after the close is dropped.
pub(super) fn start(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    // An answer is one write, so a delay to join it with the next would only cost time. If this fails, the client
    // is gone, and the first read fails too.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let Some(number) = shared.open(&stream) else { return Ok(()) };
    let registered = Registration { shared: Arc::clone(shared), number };
    thread::Builder::new().name("collector-conn".into()).spawn(move || {
        serve(&stream, &registered.shared);
        drop(stream);
        drop(registered); // after the stream, so the socket is closed when the collector sees that the connection is gone
    })?;
    Ok(())
}

/// Removes the connection from the list when its thread ends, by a panic too.
struct Registration {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.change(|state| state.open.remove(&self.number));
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) {
    let mut requests = Requests::new(stream);
    loop {
        let (received, afterwards) = match receive(&mut requests, stream) {
            Ok(Some(arrived)) => arrived,
            Ok(None) | Err(Fault::Gone) => return,
            Err(Fault::Refused(status)) => return refuse(stream, status),
        };
        let answer = shared.record(received);
        if !shared.wait_until_due(&answer) {
            return;
        }
        let Some((bytes, afterwards)) = answer.encode(afterwards) else { return };
        if stream.write_all(&bytes).is_err() || afterwards == Afterwards::Close {
            return;
        }
    }
}

/// The next request, and what happens to the connection after its answer. `None`: the client closed the connection.
fn receive(
    requests: &mut Requests<&TcpStream>,
    mut stream: &TcpStream,
) -> Result<Option<(Received, Afterwards)>, Fault> {
    let Some(head) = requests.head()? else { return Ok(None) };
    if head.expects_continue && !requests.has_more() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Fault::Gone)?;
    }
    let body = requests.body(&head.framing)?;
    // An answer to HEAD has no body. This one has, so the connection is closed after it.
    let keep_open = head.keep_alive && head.method != Method::HEAD;
    let received = Received {
        at: Instant::now(),
        request: serde_json::from_slice(&body),
        method: head.method,
        path: head.path,
        headers: head.headers,
        body,
        status: None,
    };
    Ok(Some((received, if keep_open { Afterwards::KeepOpen } else { Afterwards::Close })))
}

/// Answers bytes that are no request, then reads what else arrives, within a limit. To close with unread bytes would
/// reset the connection, and the client might never see the answer.
fn refuse(mut stream: &TcpStream, status: StatusCode) {
    let Some((bytes, _)) = Answer::status(status.as_u16()).encode(Afterwards::Close) else { return };
    if stream.write_all(&bytes).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        let _ = io::copy(&mut stream.take(MAX_BODY as u64), &mut io::sink());
    }
}
