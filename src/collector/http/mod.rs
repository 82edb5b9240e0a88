//! The receiving half of HTTP/1.1: bytes to requests, within bounds.

use std::io::{ErrorKind, Read};

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHORIZATION};
use http::header::{HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use httparse::Status;

/// The largest request head. A reporter's has half a kilobyte. Servers commonly allow between 8 and 64.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// The largest request body: 64 times what a reporter sends by default.
pub(super) const MAX_BODY: usize = 64 * 1024 * 1024;

/// The most headers of a request, and of a trailer.
const MAX_HEADERS: usize = 100;

/// How much is read at once while the length is not known.
const READ: usize = 8 * 1024;

/// Headers with credentials, besides those of HTTP itself.
const CREDENTIALS: [&str; 3] = ["x-api-key", "cf-access-client-id", "cf-access-client-secret"];

/// Why there is no request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection failed or was closed.
    Gone,
    /// The answer has this status. The rest of the connection cannot be read as requests.
    Refused(StatusCode),
}

const BAD_REQUEST: Fault = Fault::Refused(StatusCode::BAD_REQUEST);
const HEAD_TOO_LARGE: Fault = Fault::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
const BODY_TOO_LARGE: Fault = Fault::Refused(StatusCode::PAYLOAD_TOO_LARGE);

/// A request without its body.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// How the end of the body is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes, at most [`MAX_BODY`].
    Length(usize),
    Chunked,
}

/// The requests of one connection, one after the other: a head, then its body.
pub(super) struct Requests<R> {
    from: R,
    /// Bytes that are read and not used yet.
    buffer: Vec<u8>,
}

impl<R: Read> Requests<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Vec::new() }
    }

    /// The head of the next request. `None` if the client closed the connection instead.
    pub(super) fn head(&mut self) -> Result<Option<RequestHead>, Fault> {
        loop {
            if let Some((used, head)) = parse_head(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(Some(head));
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(HEAD_TOO_LARGE);
            }
            if self.fill()? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(BAD_REQUEST) };
            }
        }
    }

    /// Whether bytes after the last head or body were read.
    pub(super) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The body of the head that was read last.
    pub(super) fn body(&mut self, framing: &Framing) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        match *framing {
            Framing::Length(length) => self.append(length, &mut body)?,
            Framing::Chunked => self.append_chunks(&mut body)?,
        }
        Ok(body)
    }

    fn append_chunks(&mut self, body: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            let size = self.parse(|bytes| {
                let Ok(size) = httparse::parse_chunk_size(bytes) else { return Err(BAD_REQUEST) };
                Ok(if let Status::Complete(size) = size { Some(size) } else { None })
            })?;
            if size == 0 {
                return self.skip_trailer();
            }
            let size = usize::try_from(size).map_err(|_| BODY_TOO_LARGE)?;
            if size > MAX_BODY - body.len() {
                return Err(BODY_TOO_LARGE);
            }
            self.append(size, body)?;
            let mut line_end = Vec::new();
            self.append(2, &mut line_end)?;
            if line_end != b"\r\n" {
                return Err(BAD_REQUEST);
            }
        }
    }

    fn skip_trailer(&mut self) -> Result<(), Fault> {
        self.parse(|bytes| {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            match httparse::parse_headers(bytes, &mut headers) {
                Ok(Status::Complete((used, _))) => Ok(Some((used, ()))),
                Ok(Status::Partial) => Ok(None),
                Err(_) => Err(BAD_REQUEST),
            }
        })
    }

    /// Reads until `parser` finds its element, and takes that off the buffer. This is inside a body, so the end of the
    /// input is a fault, and so is a line or trailer that is longer than a head may be.
    fn parse<T>(&mut self, parser: impl Fn(&[u8]) -> Result<Option<(usize, T)>, Fault>) -> Result<T, Fault> {
        loop {
            // Cut to the limit, because the buffer may hold the next requests too.
            if let Some((used, found)) = parser(&self.buffer[..self.buffer.len().min(MAX_HEAD)])? {
                self.buffer.drain(..used);
                return Ok(found);
            }
            if self.buffer.len() >= MAX_HEAD || self.fill()? == 0 {
                return Err(BAD_REQUEST);
            }
        }
    }

    /// Appends exactly `length` bytes. It allocates for what arrives, not for what a header promises.
    fn append(&mut self, length: usize, to: &mut Vec<u8>) -> Result<(), Fault> {
        let buffered = length.min(self.buffer.len());
        to.extend(self.buffer.drain(..buffered));
        let missing = length - buffered;
        let read = self.from.by_ref().take(missing as u64).read_to_end(to).map_err(|_| Fault::Gone)?;
        if read == missing { Ok(()) } else { Err(BAD_REQUEST) }
    }

    /// Reads once, at least one byte. Returns 0 at the end of the input.
    fn fill(&mut self) -> Result<usize, Fault> {
        let mut bytes = [0; READ];
        loop {
            match self.from.read(&mut bytes) {
                Ok(read) => {
                    self.buffer.extend_from_slice(&bytes[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Fault::Gone),
            }
        }
    }
}

/// The head at the start of `bytes`, and its length. `None` if it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, RequestHead)>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let used = match request.parse(bytes) {
        Ok(Status::Complete(used)) if used <= MAX_HEAD => used,
        Ok(Status::Partial) => return Ok(None),
        Ok(Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
        Err(_) => return Err(BAD_REQUEST),
    };
    let headers = header_map(request.headers).ok_or(BAD_REQUEST)?;
    let is_1_1 = request.version == Some(1);
    if is_1_1 && !headers.contains_key(HOST) {
        return Err(BAD_REQUEST);
    }
    let head = RequestHead {
        method: request.method.unwrap_or_default().parse().map_err(|_| BAD_REQUEST)?,
        path: request.path.unwrap_or_default().to_owned(),
        framing: framing(&headers)?,
        keep_alive: is_1_1 && !has_token(&headers, &CONNECTION, "close"),
        expects_continue: is_1_1 && has_token(&headers, &EXPECT, "100-continue"),
        headers,
    };
    Ok(Some((used, head)))
}

fn header_map(parsed: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_bytes(header.value).ok()?;
        value.set_sensitive(
            [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(&name)
                || CREDENTIALS.contains(&name.as_str()),
        );
        headers.append(name, value);
    }
    Some(headers)
}

/// How the body ends. Headers that contradict each other are refused, as RFC 9112 section 6.3 asks.
fn framing(headers: &HeaderMap) -> Result<Framing, Fault> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (None, Some(coding)) => {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if chunked { Ok(Framing::Chunked) } else { Err(Fault::Refused(StatusCode::NOT_IMPLEMENTED)) }
        }
        (Some(length), None) if lengths.all(|other| other == length) => body_length(length),
        (Some(_), _) => Err(BAD_REQUEST),
    }
}

fn body_length(value: &HeaderValue) -> Result<Framing, Fault> {
    let digits = value.to_str().map_err(|_| BAD_REQUEST)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BAD_REQUEST);
    }
    // A number that does not fit is too large in any case.
    let length = digits.parse().unwrap_or(usize::MAX);
    if length <= MAX_BODY { Ok(Framing::Length(length)) } else { Err(BODY_TOO_LARGE) }
}

/// Whether one of the words between the commas of a header is `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests;
