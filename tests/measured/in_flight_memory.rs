//! Keeps the memory of a reporter within its queue's budget and 4 MiB while several of the largest requests are on the
//! wire. It is a binary of its own, since a process has one allocator.

#[path = "../support/http.rs"]
mod http;
#[path = "../support/memory.rs"]
mod memory;

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use http::Request;
use memory::{Peak, leave_out_this_thread};
use tinker_telemetry::{Config, Reporter, Severity};

/// The limit on every wait. It catches hangs: nothing here takes as long, on a loaded machine either.
const LIMIT: Duration = Duration::from_secs(30);
const MIB: isize = 1024 * 1024;
/// The default of `max_queue_bytes`.
const BUDGET: isize = 16 * MIB;
const MAX_ABOVE: isize = 4 * MIB;
const IN_FLIGHT: usize = 4;

/// The server's requests.
#[derive(Default)]
struct Requests {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    may_answer: bool,
    arrived: usize,
    on_the_wire: usize,
    most: usize,
}

impl Requests {
    /// Returns when as many requests are on the wire as may be, or, for the last ones, no more come.
    fn wait_for_others(&self) {
        const NO_MORE: Duration = Duration::from_millis(100);
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        state.on_the_wire += 1;
        state.most = state.most.max(state.on_the_wire);
        let of_this_round = state.arrived.next_multiple_of(IN_FLIGHT);
        self.changed.notify_all();
        let state = self.changed.wait_while(state, |state| !state.may_answer).unwrap();
        let are_missing = |state: &mut State| state.arrived < of_this_round;
        let waited = self.changed.wait_timeout_while(state, NO_MORE, are_missing).unwrap();
        let (mut state, _) = waited;
        state.on_the_wire -= 1;
    }

    fn hold(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    fn answer(&self) {
        self.state.lock().unwrap().may_answer = true;
        self.changed.notify_all();
    }

    fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most
    }
}

/// Reads requests, and answers each when as many are there as may be.
fn serve(stream: &TcpStream, shared: &Requests) {
    leave_out_this_thread();
    let mut requests = BufReader::new(stream);
    while let Ok(Some(_)) = Request::read(&mut requests) {
        shared.wait_for_others();
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

#[test]
fn several_of_the_largest_requests_hold_no_more_than_the_budget_and_4_mib() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::<Requests>::default();
    let of_server = Arc::clone(&requests);
    thread::spawn(move || {
        leave_out_this_thread();
        for stream in listener.incoming() {
            let (stream, requests) = (stream.unwrap(), Arc::clone(&of_server));
            thread::spawn(move || serve(&stream, &requests));
        }
    });
    for (bytes, batch) in [(100_000, 100), (10_000, 100), (1_000, 1_000), (10, 1_000)] {
        let builder = Reporter::sessionless_builder(Config::new("tml-example").base_url(&url)).enabled(true);
        let builder = builder.flush_interval(LIMIT).max_queue_size(1 << 20).max_batch_size(batch);
        let reporter = builder.max_in_flight(IN_FLIGHT).http_timeout(LIMIT).start().unwrap();
        let data = "x".repeat(bytes);
        let peak = Peak::begin();
        requests.hold();
        while reporter.log("large", &data, Severity::Info) {}
        requests.answer();
        assert!(reporter.wait_until_drained(LIMIT), "{}", reporter.stats());
        let peak = peak.bytes();
        assert!(peak < BUDGET + MAX_ABOVE, "{peak} bytes with events of {bytes} bytes");
        assert_eq!(requests.most_at_once(), IN_FLIGHT);
        assert!(reporter.stop(LIMIT));
    }
}
