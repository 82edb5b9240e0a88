//! The faults by name: one value is what is played to one request.

use std::fmt::{Display, Write};

/// A whole answer, for the faults that break one.
pub(crate) const FINE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// The length of its head.
pub(crate) const FINE_HEAD: usize = FINE.len() - 2;

/// An answer without fault.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    /// As they are written, each with its line end.
    headers: String,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: String::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Display) -> Self {
        // Cannot fail: it is a string that is written to.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    fn acknowledged(&self) -> Acknowledged {
        if (200..300).contains(&self.status) { Acknowledged::Yes } else { Acknowledged::No }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // These two have no body by definition.
        let rest = if matches!(self.status, 204 | 304) { "\r\n" } else { "content-length: 2\r\n\r\n{}" };
        format!("HTTP/1.1 {} As Scripted\r\n{}{rest}", self.status, self.headers).into_bytes()
    }
}

/// What a connection does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// None: reads the request, answers, and keeps the connection.
    Answer(Answer),
    /// Answers, then closes without having announced it: a keep-alive connection gone stale.
    AnswerThenClose(Answer),
    /// Reads the request and never answers.
    NeverAnswer,
    /// Never reads a byte, behind a receive window that is soon full.
    ReadStall,
    /// Resets once this many bytes of the request were read.
    ResetAfterReading(usize),
    /// Reads the request, resets once this many bytes of a 200 were written.
    ResetAfterWriting(usize),
    /// Reads the request, then closes without a word.
    Close,
    /// Reads the request, ends its own half without a word, and goes on reading.
    HalfClose,
    /// Reads the request, writes half the head of a 200, then nothing.
    PartialHead,
    /// Reads the request, writes a head of a 200 that never ends, a byte at a time.
    HeaderTrickle,
    /// Reads the request, writes a 200 whose body comes a byte at a time and never ends.
    BodyTrickle,
    /// Answers at the end of the request's head and never reads the body, behind a small receive window.
    EarlyReply(Answer),
    /// Reads the request, writes what is no HTTP, and keeps the connection.
    Garbage,
    /// Reads the request, writes a 200 whose body is longer than its Content-Length says.
    LengthTooShort,
    /// Reads the request, writes a 200 whose body is shorter than its Content-Length says, then nothing.
    LengthTooLong,
    /// Reads the request, writes one 1xx after the other.
    InformationalFlood,
    /// Reads the request, writes a 200 with a body that never ends, as fast as it is taken.
    EndlessBody,
    /// Reads the request, writes a 200 that promises 1 GiB, then nothing.
    HugeLength,
    /// Takes what comes and never speaks, from the first byte on: what a TLS client sees of a dead server.
    Mute,
}

/// Whether the sender of a request may believe that it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Acknowledged {
    No,
    /// The head of a 2xx was written, but what followed it was broken: the sender may or may not know.
    Perhaps,
    Yes,
}

impl Fault {
    /// Whether the fault needs a small receive window, which a listener must have before it accepts.
    pub(crate) fn stalls_the_writer(&self) -> bool {
        matches!(self, Self::ReadStall | Self::EarlyReply(_))
    }

    /// Whether it is an answer with one of these statuses, which the answer does not ask to retry.
    pub(crate) fn answers_with(&self, statuses: &[u16]) -> bool {
        let (Self::Answer(answer) | Self::AnswerThenClose(answer)) = self else { return false };
        statuses.contains(&answer.status) && !answer.headers.contains("x-should-retry: true")
    }

    /// Whether the client may take its request as delivered.
    pub(crate) fn acknowledged(&self) -> Acknowledged {
        match self {
            Self::Answer(answer) | Self::AnswerThenClose(answer) => answer.acknowledged(),
            Self::ResetAfterWriting(bytes) if *bytes < FINE_HEAD => Acknowledged::No,
            Self::ResetAfterWriting(_)
            | Self::BodyTrickle
            | Self::LengthTooShort
            | Self::LengthTooLong
            | Self::EndlessBody
            | Self::HugeLength => Acknowledged::Perhaps,
            // Though the server lies: it never had the request.
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
            | Self::Mute => Acknowledged::No,
        }
    }
}
