//! The bench's end of a sink: its address, its count, its end.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::Manner;
use super::server::TAKE_COUNT;

/// A sink in a process of its own. A drop ends the process.
pub(crate) struct Sink {
    process: Child,
    address: SocketAddr,
}

impl Sink {
    pub(crate) fn start(manner: Manner) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["sink", &manner.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the sink does not start")?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("the sink has no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the sink printed no address")?;
        Ok(Self { process, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The events received since this was last asked.
    pub(crate) fn take_count(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET {TAKE_COUNT} HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, count) = answer.split_once("\r\n\r\n").context("the sink's answer has no body")?;
        count.parse().context("the sink's count is no number")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.process.stdin.take()); // ends the process
        let _ = self.process.wait();
    }
}
