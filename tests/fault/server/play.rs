//! How each fault is played on a connection.

use std::io;
use std::time::Duration;

use crate::server::fault::{FINE, FINE_HEAD, Fault};
use crate::server::line::Line;

/// Between two bytes of a trickle: often enough to defeat any timeout that each byte starts anew.
const TRICKLE: Duration = Duration::from_millis(5);
const GIBIBYTE: usize = 1 << 30;

/// What becomes of the connection.
pub(crate) enum Next {
    /// The next request is welcome.
    Keep,
    /// It is closed.
    Close,
}

impl Fault {
    /// Plays it to its end: the answer given, the client gone, or the server gone. An error is the client
    /// or the server going in the middle, which is an end like any other.
    pub(crate) fn play(&self, line: &mut Line) -> io::Result<Next> {
        match self {
            Self::ReadStall => {
                line.begin();
                line.freeze();
            }
            Self::Mute => {
                line.begin();
                line.listen();
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

    /// The faults that begin where the request has been read.
    fn answer(&self, line: &Line) -> io::Result<Next> {
        match self {
            Self::Answer(answer) => {
                line.write(&answer.bytes())?;
                return Ok(Next::Keep);
            }
            Self::AnswerThenClose(answer) => line.write(&answer.bytes())?,
            Self::ResetAfterWriting(bytes) => {
                line.write(&FINE[..FINE.len().min(*bytes)])?;
                line.reset_on_close()?;
            }
            Self::HalfClose => {
                line.shut_write()?;
                line.listen();
            }
            Self::PartialHead => {
                line.write(&FINE[..FINE_HEAD / 2])?;
                line.listen();
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
                line.listen();
            }
            Self::LengthTooShort => {
                write_head(line, 2)?;
                line.write(b"{} and then what was not announced")?;
                line.listen();
            }
            Self::LengthTooLong => {
                write_head(line, 4096)?;
                line.write(b"{}")?;
                line.listen();
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
                line.listen();
            }
            Self::NeverAnswer => line.listen(),
            // Close needs nothing more; the others never come here.
            Self::Close | Self::ReadStall | Self::Mute | Self::ResetAfterReading(_) | Self::EarlyReply(_) => {
            }
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

/// Writes the bytes over and over, each on its own.
fn trickle(line: &Line, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes.iter().cycle() {
        line.write(&[*byte])?;
        line.pause(TRICKLE);
    }
    Ok(())
}
