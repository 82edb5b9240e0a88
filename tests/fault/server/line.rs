//! One accepted connection, as a fault sees it: bytes in, bytes out, silence, and the ways to end it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use crate::server::fault::Fault;
use crate::server::journal::{Exchange, Journal, Request};

/// No request of ours has a head near this size.
const LONGEST_HEAD: usize = 64 * 1024;

/// Set when the server goes; ends every pause.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Closing {
    pub(crate) fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, at_most: Duration) {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(set, at_most, |set| !*set);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The head of a request; its body may still be on the way.
#[derive(Debug)]
pub(crate) struct Head {
    request: Request,
    length: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Line {
    stream: Arc<TcpStream>,
    /// Received and not yet part of a request.
    unread: Vec<u8>,
    connection: usize,
    journal: Arc<Journal>,
    closing: Arc<Closing>,
}

impl Line {
    pub(crate) fn new(
        stream: Arc<TcpStream>,
        connection: usize,
        journal: Arc<Journal>,
        closing: Arc<Closing>,
    ) -> Self {
        Self { stream, unread: Vec::new(), connection, journal, closing }
    }

    /// Tells the journal that the client sees the fault from here on.
    pub(crate) fn begin(&self) {
        self.journal.write(|entries| entries.begun += 1);
    }

    /// Waits for the first byte of the next request. An error when the client has gone.
    pub(crate) fn wait_for_request(&mut self) -> io::Result<()> {
        self.receive(1)
    }

    /// Receives until at least this many bytes are unread.
    pub(crate) fn receive(&mut self, bytes: usize) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        while self.unread.len() < bytes {
            match (&*self.stream).read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.unread.extend_from_slice(&piece[..read]),
            }
        }
        Ok(())
    }

    pub(crate) fn read_head(&mut self) -> io::Result<Head> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            if self.unread.len() > LONGEST_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.receive(self.unread.len() + 1)?;
        };
        let text = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let request = Request { line, headers, body: Vec::new() };
        let length = match request.header("content-length").map(str::parse) {
            Some(Ok(length)) => length,
            Some(Err(_)) => return Err(io::ErrorKind::InvalidData.into()),
            None => 0,
        };
        Ok(Head { request, length })
    }

    /// Reads a request and enters it into the journal, which thereby knows the answer before the client does.
    pub(crate) fn read_request(&mut self, fault: &Fault) -> io::Result<()> {
        let Head { mut request, length } = self.read_head()?;
        self.receive(length)?;
        request.body = self.unread.drain(..length).collect();
        let exchange = Exchange { connection: self.connection, request, fault: fault.clone() };
        self.journal.write(|entries| entries.exchanges.push(exchange));
        Ok(())
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    /// A pause between two bytes: part of the fault, not a wait for anything.
    pub(crate) fn pause(&self, pause: Duration) {
        self.closing.wait(pause);
    }

    /// Says nothing more and takes whatever comes, until the client or the server goes.
    pub(crate) fn listen(&self) {
        let mut piece = [0; 16 * 1024];
        while matches!((&*self.stream).read(&mut piece), Ok(1..)) {}
    }

    /// Neither says nor takes anything until the server goes.
    pub(crate) fn freeze(&self) {
        while !self.closing.is_set() {
            self.closing.wait(Duration::MAX);
        }
    }

    /// Ends our half: the client reads to the end of what was sent, and can still write.
    pub(crate) fn shut_write(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Makes the close that follows a reset.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO))
    }
}
