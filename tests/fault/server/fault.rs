//! The faults by name. One value describes what the server does with one request.

use std::fmt::{Display, Write};

/// A complete answer, for the faults that send a part of one.
pub(crate) const COMPLETE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// The length of its head.
pub(crate) const COMPLETE_HEAD: usize = COMPLETE.len() - 2;

/// An answer without a fault.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    /// The header lines, each with its line end.
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: String::new(), body: b"{}".to_vec() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Display) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }

    fn acknowledged(&self) -> Acknowledged {
        if (200..300).contains(&self.status) { Acknowledged::Yes } else { Acknowledged::No }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let head = format!("HTTP/1.1 {} As Scripted\r\n{}", self.status, self.headers);
        // These two have no body by definition.
        if matches!(self.status, 204 | 304) {
            return format!("{head}\r\n").into_bytes();
        }
        let length = format!("content-length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), length.as_bytes(), &self.body].concat()
    }
}

/// What a connection does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// No fault: reads the request, answers, and keeps the connection open.
    Answer(Answer),
    /// Answers, then closes without an announcement: a stale keep-alive connection.
    AnswerThenClose(Answer),
    /// Reads the request and never answers.
    NeverAnswer,
    /// Never reads a byte. The receive window is small and soon full.
    ReadStall,
    /// Resets when it has read this many bytes of the request.
    ResetAfterReading(usize),
    /// Reads the request, and resets when it has written this many bytes of a 200.
    ResetAfterWriting(usize),
    /// Reads the request, then closes without an answer.
    Close,
    /// Reads the request, closes its writing half without an answer, and goes on reading.
    HalfClose,
    /// Reads the request, writes half of the head of a 200, then nothing.
    PartialHead,
    /// Reads the request, writes the head of a 200 one byte at a time and never ends it.
    HeaderTrickle,
    /// Reads the request, writes the body of a 200 one byte at a time and never ends it.
    BodyTrickle,
    /// Answers after the request's head and never reads the body. The receive window is small.
    EarlyReply(Answer),
    /// Reads the request, writes bytes that are not HTTP, and keeps the connection open.
    Garbage,
    /// Reads the request, writes a 200 whose body is longer than its Content-Length.
    LengthTooShort,
    /// Reads the request, writes a 200 whose body is shorter than its Content-Length, then nothing.
    LengthTooLong,
    /// Reads the request, writes 1xx answers without end.
    InformationalFlood,
    /// Reads the request, writes a 200 with a body that never ends, as fast as the client reads it.
    EndlessBody,
    /// Reads the request, writes a 200 with a Content-Length of 1 GiB, then nothing.
    HugeLength,
    /// Reads all bytes and never writes one. A TLS client sees the same of a dead server.
    Silent,
}

/// Whether the client may believe that its request was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Acknowledged {
    No,
    /// The server wrote the head of a 2xx and then a broken rest. The client may or may not know.
    Perhaps,
    Yes,
}

impl Fault {
    /// Whether the fault needs a small receive window, which a listener must have before it accepts.
    pub(crate) fn stalls_the_writer(&self) -> bool {
        matches!(self, Self::ReadStall | Self::EarlyReply(_))
    }

    /// The status and the body of the answer, if it is a complete one.
    pub(crate) fn complete_answer(&self) -> Option<(u16, &[u8])> {
        let (Self::Answer(answer) | Self::AnswerThenClose(answer)) = self else { return None };
        Some((answer.status, &answer.body))
    }

    /// Whether the answer has this header line.
    pub(crate) fn has_header(&self, line: &str) -> bool {
        let (Self::Answer(answer) | Self::AnswerThenClose(answer)) = self else { return false };
        answer.headers.contains(&format!("{line}\r\n"))
    }

    /// Whether the client may take its request as delivered.
    pub(crate) fn acknowledged(&self) -> Acknowledged {
        match self {
            Self::Answer(answer) | Self::AnswerThenClose(answer) => answer.acknowledged(),
            Self::ResetAfterWriting(bytes) if *bytes < COMPLETE_HEAD => Acknowledged::No,
            Self::ResetAfterWriting(_)
            | Self::BodyTrickle
            | Self::LengthTooShort
            | Self::LengthTooLong
            | Self::EndlessBody
            | Self::HugeLength => Acknowledged::Perhaps,
            // The server acknowledges a request that it never received completely.
            Self::EarlyReply(answer) if answer.acknowledged() == Acknowledged::Yes => Acknowledged::Perhaps,
            Self::EarlyReply(_)
            | Self::NeverAnswer
            | Self::ReadStall
            | Self::ResetAfterReading(_)
            | Self::Close
            | Self::HalfClose
            | Self::PartialHead
            | Self::HeaderTrickle
            | Self::Garbage
            | Self::InformationalFlood
            | Self::Silent => Acknowledged::No,
        }
    }
}
