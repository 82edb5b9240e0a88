//! Reads HTTP/1.1 requests from a connection: the part of the protocol that the clients here use.

use std::io::{self, Read};

use memchr::memmem;

/// The parts of a request that the answer depends on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// Reads one request after the other from a keep-alive connection.
pub(crate) struct Requests<R> {
    input: R,
    buffer: Vec<u8>,
}

/// How the end of the body is marked.
enum Framing {
    Length(usize),
    Chunked,
}

impl<R: Read> Requests<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// The next request. `None` where the client has closed the connection between two requests.
    pub(crate) fn next(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some((request, used)) = parse(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(Some(request));
            }
            if !self.fill()? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(bad("closed within a request")) };
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let length = self.buffer.len();
        self.buffer.resize(length + 64 * 1024, 0);
        let read = self.input.read(&mut self.buffer[length..]);
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

/// A complete request at the start of `bytes`, and its length. `None` where it is not complete yet.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_length) = head.parse(bytes).map_err(|_| bad("not a request"))? else {
        return Ok(None);
    };
    let value = |name: &str| {
        let header = head.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name));
        header.and_then(|it| str::from_utf8(it.value).ok()).unwrap_or_default()
    };
    let framing = if value("transfer-encoding").eq_ignore_ascii_case("chunked") {
        Framing::Chunked
    } else {
        Framing::Length(value("content-length").parse().unwrap_or(0))
    };
    let Some((body, body_length)) = body(&bytes[head_length..], &framing)? else { return Ok(None) };
    let request = Request {
        path: head.path.unwrap_or_default().to_owned(),
        content_type: value("content-type").to_owned(),
        body,
    };
    Ok(Some((request, head_length + body_length)))
}

/// The body at the start of `bytes` without chunk headers, and the number of bytes that it used.
fn body(bytes: &[u8], framing: &Framing) -> io::Result<Option<(Vec<u8>, usize)>> {
    match framing {
        Framing::Length(length) => Ok(bytes.get(..*length).map(|body| (body.to_vec(), *length))),
        Framing::Chunked => {
            let mut body = Vec::new();
            let mut at = 0;
            loop {
                let status = httparse::parse_chunk_size(&bytes[at..]).map_err(|_| bad("not a chunk"))?;
                let httparse::Status::Complete((start, size)) = status else { return Ok(None) };
                let size = size as usize;
                let Some(chunk) = bytes.get(at + start..at + start + size + 2) else { return Ok(None) };
                body.extend_from_slice(&chunk[..size]);
                at += start + size + 2;
                if size == 0 {
                    return Ok(Some((body, at)));
                }
            }
        }
    }
}

/// The number of times that `needle` is in `body`.
pub(crate) fn count(body: &[u8], needle: &str) -> usize {
    memmem::find_iter(body, needle).count()
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(bytes: &'static [u8]) -> Vec<Request> {
        /// A reader that returns one byte at a time, the hardest case for a parser.
        struct Dripping(&'static [u8]);
        impl Read for Dripping {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                out[0] = *first;
                self.0 = rest;
                Ok(1)
            }
        }
        let mut requests = Requests::new(Dripping(bytes));
        let mut all = Vec::new();
        while let Some(request) = requests.next().unwrap() {
            all.push(request);
        }
        all
    }

    #[test]
    fn two_requests_on_one_connection_are_two() {
        let all = requests(
            b"POST /a HTTP/1.1\r\ncontent-length: 3\r\ncontent-type: x/y\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n",
        );
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].path.as_str(), all[0].content_type.as_str()), ("/a", "x/y"));
        assert_eq!(all[0].body, b"abc");
        assert_eq!(all[1].path, "/b");
    }

    #[test]
    fn chunks_are_joined_before_events_are_counted() {
        let all = requests(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsha\r\n5\r\nrdsha\r\n2\r\nrd\r\n0\r\n\r\n",
        );
        assert_eq!(count(&all[0].body, "shard"), 2);
    }

    #[test]
    fn a_connection_that_ends_within_a_request_is_an_error() {
        let mut requests = Requests::new(&b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\na"[..]);
        assert!(requests.next().is_err());
    }
}
