//! The body of a request, by its length or in chunks.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;

use super::Head;

#[derive(Debug)]
pub struct Body<'a> {
    reader: &'a mut BufReader<TcpStream>,
    /// What is left of the length, or of the chunk.
    left: u64,
    chunked: bool,
    /// No chunk was begun yet: no line feed ends it.
    fresh: bool,
}

impl<'a> Body<'a> {
    pub(super) fn of(head: &Head, reader: &'a mut BufReader<TcpStream>) -> io::Result<Self> {
        let bad = |why: &str| Err(io::Error::new(ErrorKind::InvalidData, why.to_owned()));
        let lengths =
            head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).count();
        let chunked = match head.header("transfer-encoding") {
            None => false,
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => true,
            Some(_) => return bad("a transfer coding that is not known"),
        };
        // Two lengths are two readings of where the request ends.
        if lengths > 1 || (chunked && lengths > 0) {
            return bad("more than one length");
        }
        let left = match head.header("content-length").map(str::parse) {
            None => 0,
            Some(Ok(length)) => length,
            Some(Err(_)) => return bad("a length that is no number"),
        };
        Ok(Self { reader, left, chunked, fresh: true })
    }

    pub fn is_empty(&self) -> bool {
        !self.chunked && self.left == 0
    }

    /// The whole body, or `None` if it is larger than `limit`.
    pub fn read_all(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.left > limit {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.take(limit + 1).read_to_end(&mut bytes)?;
        let fits = bytes.len() as u64 <= limit;
        if fits && self.left > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(fits.then_some(bytes))
    }

    /// Reads what is left, if that is little. `false`: the connection is of no more use.
    pub fn skip(mut self) -> bool {
        const LITTLE: u64 = 1 << 20;
        let read = io::copy(&mut (&mut self).take(LITTLE), &mut io::sink());
        matches!(read, Ok(read) if read < LITTLE)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if !self.fresh {
            self.line()?;
        }
        self.fresh = false;
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        self.left = u64::from_str_radix(size, 16).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        if self.left == 0 {
            while !self.line()?.is_empty() {}
            self.chunked = false;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut *self.reader).take(1024).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.chunked {
            self.next_chunk()?;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut into[..most])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
