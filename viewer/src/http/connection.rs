//! A connection: heads of requests in, answers out.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Answer, Body};

/// As long as a client may stay silent, between requests or within one.
const READ: Duration = Duration::from_secs(60);
/// As long as a client may leave its buffer full before it is cut off; twice that if some bytes went out first.
const WRITE: Duration = Duration::from_secs(3);
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;

#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

/// The head of a request. No `Debug`: its headers hold the key.
pub struct Head {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub keep_alive: bool,
}

impl Head {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A value of the query, not decoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(own, _)| *own == name))
            .map(|(_, value)| value)
    }
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(READ))?;
        stream.set_write_timeout(Some(WRITE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::with_capacity(16 << 10, stream) })
    }

    /// The next request's head; `None` at the connection's end.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        let mut text = Vec::new();
        loop {
            let read =
                (&mut self.reader).take((MAX_HEAD - text.len()) as u64).read_until(b'\n', &mut text)?;
            if read == 0 {
                return if text.is_empty() {
                    Ok(None)
                } else {
                    Err(bad("a head without an end, or too large"))
                };
            }
            if text == b"\r\n" {
                text.clear(); // an empty line between requests is allowed
            } else if text.ends_with(b"\r\n\r\n") || text.ends_with(b"\n\n") {
                return parse(&text).map(Some);
            }
        }
    }

    /// The body that follows a head.
    pub fn body(&mut self, head: &Head) -> io::Result<Body<'_>> {
        if head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Body::of(head, &mut self.reader)
    }

    pub fn answer(&mut self, answer: &Answer, head: &Head) -> io::Result<()> {
        self.write(&answer.bytes(head.keep_alive, head.method != "HEAD"))
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_ref().write_all(bytes)
    }

    /// Whether the client hung up. Waits up to `time` for it.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        let stream = self.reader.get_ref();
        let _ = stream.set_read_timeout(Some(time));
        let closed = match stream.peek(&mut [0]) {
            Ok(0) => true,
            Ok(_) => {
                std::thread::sleep(time); // a pipelined request waits; so do we, and not in a busy loop
                false
            }
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        let _ = stream.set_read_timeout(Some(READ));
        closed
    }
}

fn parse(text: &[u8]) -> io::Result<Head> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(text).map_err(|error| bad(&error.to_string()))?;
    let mut head = Head {
        method: request.method.unwrap_or_default().into(),
        target: request.path.unwrap_or_default().into(),
        headers: request.headers.iter().map(|header| (header.name.into(), header.value.into())).collect(),
        keep_alive: request.version == Some(1),
    };
    // A client of a proxy names the whole URL; it is meant for the path.
    if let Some(rest) = head.target.strip_prefix("http://") {
        head.target = rest.find('/').map_or("/", |at| &rest[at..]).into();
    }
    if let Some(connection) = head.header("connection") {
        head.keep_alive &= !connection.eq_ignore_ascii_case("close");
    }
    Ok(head)
}

fn bad(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}
