//! A small collector on loopback: for the quickstart, for development without an account, and for tests of programs
//! that report.
//!
//! It receives what a reporter sends, keeps it as typed values, and answers 200, or what a test asks it to answer. This
//! is a whole test of a program's telemetry:
//!
//! ```
//! use std::time::Duration;
//! use serde_json::json;
//! use tinker_telemetry::collector::{Answer, Collector};
//! use tinker_telemetry::{Config, Reporter, Severity};
//!
//! let collector = Collector::start()?;
//! let config = Config::new("tml-test").base_url(collector.url());
//! let session_id = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64";
//! let reporter = Reporter::builder(config, session_id).enabled(true).start()?; // whatever the environment says
//! reporter.log("checkpoint.saved", json!({"step": 1200}), Severity::Info);
//! assert!(reporter.wait_until_drained(Duration::from_secs(5)));
//!
//! let events = collector.events();
//! assert!(events.iter().any(|event| event.name() == "checkpoint.saved"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Failures
//!
//! [`answer`](Collector::answer) queues the answers to the next requests: another status, headers, a delay, a
//! connection that is closed without an answer. [`hold_answers`](Collector::hold_answers) holds the answers back for
//! exactly as long as a test needs, so that a test of a batch on the wire needs no sleep.
//! [`start_on`](Collector::start_on) starts a collector again on the port of one that was dropped.
//!
//! # What it does not do
//!
//! It speaks HTTP/1.1 without TLS, does not decompress, and trusts every program that can reach loopback. It answers
//! every path, every API key and every body alike; [`Received`] has what they were. It keeps all requests in memory
//! until [`take_events`](Collector::take_events) or its drop.
//!
//! Tests and examples use this folder. Three invariants hold in it: one mutex guards all state, and is held for no I/O; a
//! request is recorded before it is answered, and both in one order; each thread and each socket is gone when the
//! collector is.

mod answer;
mod connection;
mod http;
mod received;
mod shared;

use std::fmt;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use answer::Answer;
pub use received::Received;
use shared::Shared;

use crate::model::event::Event;
#[cfg(unix)]
use crate::process::fork;

/// How long a drop waits for the threads of connections. They end at once, except one that parses a large body. That
/// one ends later by itself.
const CONNECTIONS_END_WITHIN: Duration = Duration::from_millis(50);

/// How long a drop tries to wake the accepting thread. A connection on loopback takes microseconds. The limit is for a
/// firewall that drops even those.
const WAKE_WITHIN: Duration = Duration::from_secs(1);

/// The pause after a failed accept. It mostly means that the process has no file descriptors left, and to try again at
/// once would use a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A running collector; see the [module's documentation](self) for a test that uses one.
///
/// A drop closes every connection and frees the port, within some milliseconds, whatever the clients do. The methods
/// take `&self` and may be called from any thread. A collector belongs to the process that started it: a forked child must
/// not call its methods, and a drop there does nothing.
///
/// ```
/// use std::time::Duration;
/// use tinker_telemetry::collector::Collector;
/// use tinker_telemetry::{Config, Reporter};
///
/// let collector = Collector::start()?;
/// let config = Config::new("tml-test").base_url(collector.url());
/// let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start()?;
/// drop(reporter); // ends the session, and waits until its events are sent
/// assert_eq!(collector.wait_for_events(2, Duration::from_secs(5)).len(), 2); // the session's start and its end
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a drop ends the collector"]
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts a collector on a free port of 127.0.0.1. It is ready when this returns.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// Starts a collector on this port of 127.0.0.1, for a client that reported to an earlier one there. 0 is any free
    /// port. Returns an error if the port is taken.
    ///
    /// ```
    /// use tinker_telemetry::collector::Collector;
    ///
    /// let collector = Collector::start()?;
    /// let port = collector.port();
    /// drop(collector); // an outage
    /// let collector = Collector::start_on(port)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new());
        let accepting = {
            let shared = Arc::clone(&shared);
            // Signals are for the program that is tested. The connections' threads inherit this.
            #[cfg(unix)]
            let _inherited = fork::block_signals();
            thread::Builder::new().name("collector".into()).spawn(move || accept(&listener, &shared))?
        };
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// The base URL, for example `http://127.0.0.1:41234`: telemetry arrives at `{url}/api/v1/telemetry`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Queues the answer to one request. The first queued answer is for the next request that arrives, and so on. When
    /// the queue is empty, every request gets the default answer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tinker_telemetry::{Config, Reporter, Severity};
    /// use tinker_telemetry::collector::{Answer, Collector};
    ///
    /// let collector = Collector::start()?;
    /// collector.answer(Answer::status(400)); // to the first request alone
    /// # let config = Config::new("tml-test").base_url(collector.url());
    /// # let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start()?;
    /// # assert!(reporter.wait_until_drained(Duration::from_secs(5)));
    /// assert_eq!(reporter.stats().dropped.rejected, 1); // the session's start
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer(&self, answer: Answer) {
        self.shared.lock().script.push_back(answer);
    }

    /// Sets the answer to every request that finds no queued one. Defaults to [`Answer::ok`].
    pub fn answer_by_default(&self, answer: Answer) {
        self.shared.lock().default_answer = answer;
    }

    /// Holds back every answer as long as the guard lives. Requests still arrive, and count as received.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tinker_telemetry::{Config, Reporter, Severity, collector::Collector};
    /// # let limit = Duration::from_secs(5);
    /// # let collector = Collector::start()?;
    /// # let config = Config::new("tml-test").base_url(collector.url());
    /// # let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start()?;
    /// let hold = collector.hold_answers();
    /// reporter.log("checkpoint.saved", (), Severity::Info);
    /// reporter.flush();
    /// assert!(collector.next_request(limit).is_some()); // the batch is on the wire, and stays there
    /// assert!(!reporter.wait_until_drained(Duration::ZERO));
    /// drop(hold);
    /// assert!(reporter.wait_until_drained(limit));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold_answers(&self) -> Hold {
        self.shared.lock().holds += 1;
        Hold(Arc::clone(&self.shared))
    }

    /// The next request in the order of arrival. Each is returned once. Waits for one for `timeout` at most, then
    /// returns `None`. A request counts when its last byte has arrived, before its answer is sent.
    ///
    /// The request stays in [`requests`](Self::requests) and [`events`](Self::events).
    pub fn next_request(&self, timeout: Duration) -> Option<Arc<Received>> {
        let mut state = self.shared.wait_while(timeout, |state| state.received.len() <= state.returned);
        let next = state.received.get(state.returned).map(Arc::clone)?;
        state.returned += 1;
        Some(next)
    }

    /// Every request so far, whatever its answer, in the order of arrival.
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.lock().received.clone()
    }

    /// Every event so far whose request got a 2xx answer, in the order of arrival: what a backend would now have. An
    /// event that arrived twice is in it twice.
    pub fn events(&self) -> Vec<Event> {
        self.shared.lock().accepted_events()
    }

    /// [`events`](Self::events) as soon as there are at least `count`. After `timeout` it returns those that have
    /// arrived, so that an assertion on them shows what is missing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tinker_telemetry::collector::Collector;
    ///
    /// let collector = Collector::start()?;
    /// let events = collector.wait_for_events(1, Duration::ZERO);
    /// assert!(events.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_for_events(&self, count: usize, timeout: Duration) -> Vec<Event> {
        self.shared.wait_while(timeout, |state| state.accepted < count).accepted_events()
    }

    /// [`events`](Self::events), and forgets everything received, requests too, in one step: for the next part of a
    /// test, and to free memory in a long one. Queued answers stay.
    pub fn take_events(&self) -> Vec<Event> {
        let mut state = self.shared.lock();
        let events = state.accepted_events();
        state.forget_received();
        events
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let accepting = self.accepting.take();
        if self.shared.is_of_parent() {
            return mem::forget(accepting); // to detach it would touch a thread that is not in this process
        }
        self.shared.close();
        drop(self.shared.wait_while(CONNECTIONS_END_WITHIN, |state| !state.open.is_empty()));
        // In std only a connection ends a blocked accept. If it is refused, the thread has seen the close by itself.
        let is_ending = match TcpStream::connect_timeout(&self.address, WAKE_WITHIN) {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset),
        };
        match accepting {
            Some(thread) if is_ending => drop(thread.join()),
            _ => log::debug!(
                "the collector could not wake its accepting thread; port {} stays taken",
                self.port()
            ),
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// Holds back the answers of a [`Collector`]. They are sent when the last one is dropped.
///
/// ```
/// use tinker_telemetry::collector::Collector;
///
/// let collector = Collector::start()?;
/// let hold = collector.hold_answers();
/// // Requests that arrive here are received, and wait for their answers.
/// drop(hold);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "answers are held back as long as this lives"]
pub struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.0.is_of_parent() {
            self.0.change(|state| state.holds -= 1);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

/// Starts a thread for each connection, so that a silent one holds up no other. Returns when the collector is closed.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.is_closed() {
            return;
        }
        match accepted.and_then(|(stream, _)| connection::start(stream, shared)) {
            Ok(()) => {}
            Err(error) => {
                log::debug!("the collector could not take a connection: {error}");
                drop(shared.wait_while(ACCEPT_PAUSE, |state| !state.closed));
            }
        }
    }
}
