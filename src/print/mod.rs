//! A dry run: events as lines on standard error, in place of requests.
//!
//! The builder gives this transport to a worker when the program or the environment asks for it. It opens no connection
//! and needs no key. The worker writes, so a caller never waits for the terminal. A reader that does not read can hold up
//! the worker; every wait for the worker has its deadline all the same.

mod line;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde::Deserialize;

use crate::model::event::Event;
use crate::transport::Transport;
use crate::transport::retry::Verdict;
use crate::wire::envelope::Request;
use line::Line;

/// Writes the events of each request.
pub(crate) struct Printer<W> {
    out: W,
    is_coloured: bool,
}

impl Printer<io::Stderr> {
    /// To standard error, coloured if that is a terminal, unless `NO_COLOR` is set to anything.
    pub(crate) fn to_stderr(no_color: bool) -> Self {
        let out = io::stderr();
        Self { is_coloured: out.is_terminal() && !no_color, out }
    }
}

impl<W: Write> Printer<W> {
    #[cfg(test)]
    fn new(out: W, is_coloured: bool) -> Self {
        Self { out, is_coloured }
    }

    fn print(&mut self, request: &Request) -> io::Result<()> {
        let Events { events } = serde_json::from_slice(&request.body)?;
        // One write a batch: lines of several reporters do not mix, and a terminal is asked once.
        let mut lines = String::new();
        for event in &events {
            Line { event, is_coloured: self.is_coloured }.write(&mut lines);
        }
        self.out.write_all(lines.as_bytes())?;
        self.out.flush()
    }
}

/// The part of a request that is printed.
#[derive(Deserialize)]
struct Events {
    events: Vec<Event>,
}

impl<W: Write> Transport for Printer<W> {
    fn post(&mut self, request: &Request, _: u32, _: Duration) -> Verdict {
        match self.print(request) {
            Ok(()) => Verdict::Printed,
            // Nothing can be written, to a closed pipe for example. There is no other place to say so.
            Err(_) => Verdict::NotPrinted,
        }
    }

    /// Lines are written in their order.
    fn another(&self) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests;
