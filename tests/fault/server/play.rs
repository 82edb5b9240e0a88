//! Plays each fault on a connection.

use std::io;
use std::time::Duration;

use crate::server::fault::{COMPLETE, COMPLETE_HEAD, Fault};
use crate::server::line::Line;

/// The pause between two bytes of a trickle. It is shorter than any timeout that each byte restarts.
const TRICKLE: Duration = Duration::from_millis(5);
const GIBIBYTE: usize = 1 << 30;

/// What happens to the connection after the fault.
pub(crate) enum Next {
    /// It stays open for the next request.
    Keep,
    /// It is closed.
    Close,
}

impl Fault {
    /// Plays the fault until the answer is written, the client closes the connection, or the server is dropped. An
    /// error means that the client or the server ended early. That is a normal end.
    pub(crate) fn play(&self, line: &mut Line) -> io::Result<Next> {
        match self {
            Self::ReadStall => {
                line.begin();
                line.freeze();
            }
            Self::Silent => {
                line.begin();
                line.read_silently();
            }
            Self::ResetAfterReading(bytes) => {
                line.receive(*bytes)?;
                line.begin();
                line.reset_on_close()?;
            }
            Self::EarlyReply(answer) => {
                line.read_head()?;
                line.begin();
                line.write(&answer.bytes())?;
                line.freeze();
            }
            _ => {
                line.read_request(self)?;
                line.begin();
                return self.answer(line);
            }
        }
        Ok(Next::Close)
    }

    /// Plays the faults that begin after the request.
    fn answer(&self, line: &Line) -> io::Result<Next> {
        match self {
            Self::Answer(answer) => {
                line.write(&answer.bytes())?;
                return Ok(Next::Keep);
            }
            Self::AnswerThenClose(answer) => line.write(&answer.bytes())?,
            Self::ResetAfterWriting(bytes) => {
                line.write(&COMPLETE[..COMPLETE.len().min(*bytes)])?;
                line.reset_on_close()?;
            }
            Self::HalfClose => {
                line.shut_write()?;
                line.read_silently();
            }
            Self::PartialHead => {
                line.write(&COMPLETE[..COMPLETE_HEAD / 2])?;
                line.read_silently();
            }
            Self::HeaderTrickle => {
                line.write(b"HTTP/1.1 200 OK\r\n")?;
                trickle(line, b"x-slow: a\r\n")?;
            }
            Self::BodyTrickle => {
                write_head(line, GIBIBYTE)?;
                trickle(line, b" ")?;
            }
            Self::Garbage => {
                line.write(b"\x16\x03\x01\x00\xff\xfe no \r\n HTTP \0\r\n\r\n")?;
                line.read_silently();
            }
            Self::LengthTooShort => {
                write_head(line, 2)?;
                line.write(b"{} and then what was not announced")?;
                line.read_silently();
            }
            Self::LengthTooLong => {
                write_head(line, 4096)?;
                line.write(b"{}")?;
                line.read_silently();
            }
            Self::InformationalFlood => loop {
                line.write(&b"HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n".repeat(100))?;
            },
            Self::EndlessBody => {
                line.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
                loop {
                    line.write(&[b' '; 16 * 1024])?;
                }
            }
            Self::HugeLength => {
                write_head(line, GIBIBYTE)?;
                line.read_silently();
            }
            Self::NeverAnswer => line.read_silently(),
            // `Close` needs no step. `play` has handled the others.
            Self::Close
            | Self::ReadStall
            | Self::Silent
            | Self::ResetAfterReading(_)
            | Self::EarlyReply(_) => {}
        }
        Ok(Next::Close)
    }
}

fn write_head(line: &Line, length: usize) -> io::Result<()> {
    line.write(
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
            .as_bytes(),
    )
}

/// Writes the bytes again and again, one at a time.
fn trickle(line: &Line, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes.iter().cycle() {
        line.write(&[*byte])?;
        line.pause(TRICKLE);
    }
    Ok(())
}
