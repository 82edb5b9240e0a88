//! The HTTP request reader of the servers that tests play.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{self, BufRead, ErrorKind, Read};

use tinker_telemetry::event::{Event, TelemetrySendRequest};

/// Bytes. Far above the size of any request head of ours.
const LONGEST_HEAD: u64 = 64 * 1024;
/// Far above the number of headers of any request of ours.
const MOST_HEADERS: usize = 64;

/// A complete request.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
}

/// The head of a request. Its body may not have arrived yet.
#[derive(Clone, Debug)]
pub struct Head {
    /// The text as received, including the empty line at its end.
    pub text: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads a request with the length that its header declares. `None` where the connection ends before the request
    /// begins.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(head) = Head::read(stream)? else { return Ok(None) };
        let mut body = vec![0; head.content_length()?];
        stream.read_exact(&mut body)?;
        Ok(Some(Self { head, body }))
    }

    pub fn idempotency_key(&self) -> Option<&str> {
        self.head.header("x-idempotency-key")
    }

    pub fn retry_count(&self) -> Option<u32> {
        self.head.header("x-stainless-retry-count")?.parse().ok()
    }

    /// The events of a telemetry request. Empty where the body is something else.
    pub fn events(&self) -> Vec<Event> {
        let request = serde_json::from_slice::<TelemetrySendRequest>(&self.body);
        request.map(|request| request.events).unwrap_or_default()
    }
}

impl Head {
    /// Reads a head. `None` where the connection ends before the head begins.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(text) = read_to_empty_line(stream)? else { return Ok(None) };
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(text.as_bytes()).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let headers = request.headers.iter().map(|header| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
        });
        let headers = headers.collect();
        Ok(Some(Self { text, headers }))
    }

    /// Method, path and version.
    pub fn line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The value of the first header with this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The length of the body.
    pub fn content_length(&self) -> io::Result<usize> {
        let length = self.header("content-length").unwrap_or("0");
        length.parse().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }
}

/// Reads the head of a request or of an answer, including the empty line at its end. `None` where the connection ends
/// before the head begins.
pub fn read_to_empty_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    let mut stream = stream.take(LONGEST_HEAD);
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
    }
    Ok(Some(head))
}
