//! One accepted connection with the steps of the faults: read, write, pause, and the ways to end it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use crate::http::{Head, Request};
use crate::server::fault::Fault;
use crate::server::journal::{Exchange, Journal};

/// Set when the server is dropped. It ends every pause.
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

/// The connection's socket. The server shuts it down when it is dropped.
#[derive(Debug)]
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(piece)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Line {
    input: BufReader<Socket>,
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
        Self { input: BufReader::new(Socket(stream)), connection, journal, closing }
    }

    /// Records in the journal that the client sees the fault from now on.
    pub(crate) fn begin(&self) {
        self.journal.write(|entries| entries.begun += 1);
    }

    fn stream(&self) -> &TcpStream {
        &self.input.get_ref().0
    }

    /// Waits for the first byte of the next request. An error where the client has closed the connection.
    pub(crate) fn wait_for_request(&mut self) -> io::Result<()> {
        if self.input.fill_buf()?.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Reads this many bytes of a request.
    pub(crate) fn receive(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let received = io::copy(&mut self.input.by_ref().take(bytes), &mut io::sink())?;
        if received < bytes { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Reads the head of a request and not its body.
    pub(crate) fn read_head(&mut self) -> io::Result<()> {
        Head::read(&mut self.input)?.map(drop).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// Reads a request and records it in the journal, before the client gets an answer.
    pub(crate) fn read_request(&mut self, fault: &Fault) -> io::Result<()> {
        let request = Request::read(&mut self.input)?.ok_or(ErrorKind::UnexpectedEof)?;
        let exchange = Exchange { connection: self.connection, request, fault: fault.clone() };
        self.journal.write(|entries| entries.exchanges.push(exchange));
        Ok(())
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.stream().write_all(bytes)
    }

    /// A pause between two bytes. It is part of the fault and no wait for an event.
    pub(crate) fn pause(&self, pause: Duration) {
        self.closing.wait(pause);
    }

    /// Writes nothing more and reads all bytes, until the client closes the connection or the server is dropped.
    pub(crate) fn read_silently(&self) {
        let mut piece = [0; 16 * 1024];
        while matches!(self.stream().read(&mut piece), Ok(1..)) {}
    }

    /// Neither writes nor reads until the server is dropped.
    pub(crate) fn freeze(&self) {
        while !self.closing.is_set() {
            self.closing.wait(Duration::MAX);
        }
    }

    /// Closes the writing half. The client reads to the end and can still write.
    pub(crate) fn shut_write(&self) -> io::Result<()> {
        self.stream().shutdown(Shutdown::Write)
    }

    /// Turns the later close into a reset.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO))
    }
}
