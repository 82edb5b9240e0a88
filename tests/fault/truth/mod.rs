//! Keeps the promise that the counts are true: with any behaviour of the server, each event is counted once, with the
//! outcome that the server knows.
//!
//! Plays 10 000 random scripts with Tinker's protocol and 3 000 with OTLP, or `TRUTH_SCRIPTS` of each. The long form is
//! `TRUTH_SCRIPTS=100000 cargo test --release --all-features --test fault truth`. `TRUTH_SEED=<its number>
//! TRUTH_SCRIPTS=1` plays a script that failed again.

pub(crate) mod audit;
mod chance;
mod protocol;

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{process, thread};

use serde::{Serialize, Serializer, ser};
use serde_json::json;
use tinker_telemetry::{Reporter, Severity, Stats};

use crate::exit_bound::control::machine;
use crate::server::Server;
use crate::server::fault::Fault;
use crate::server::journal::{Exchange, HANG};
use crate::truth::audit::{audit, contradiction};
use crate::truth::chance::{End, Event, MAX_EVENT_BYTES, Script};
use crate::truth::protocol::Protocol;

/// Parallel scripts per core. They wait more than they work.
const AT_A_TIME: usize = 4;
/// The time between two snapshots of the watcher.
const INTERVAL: Duration = Duration::from_micros(200);

/// The program's own counts at its end.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The names of the accepted events.
    pub(crate) accepted: HashSet<String>,
    /// The number of refused events.
    pub(crate) refused: u64,
    pub(crate) stats: Stats,
}

struct Unserialisable;

impl Serialize for Unserialisable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("as scripted"))
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs one thread of the program.
fn log_all(reporter: &Reporter, thread: usize, events: &[Event], account: &Mutex<Account>) {
    for (place, event) in events.iter().enumerate() {
        let name = format!("event-{thread}-{place}");
        let accepted = match event {
            Event::Small => reporter.log(name.clone(), json!({ "place": place }), Severity::Info),
            Event::TooLarge => {
                reporter.log(name.clone(), json!({ "pad": "x".repeat(MAX_EVENT_BYTES) }), Severity::Info)
            }
            Event::Invalid => reporter.log(name.clone(), Unserialisable, Severity::Info),
            Event::Flush => {
                reporter.flush();
                continue;
            }
        };
        let mut account = account.lock().unwrap();
        if accepted {
            account.accepted.insert(name);
        } else {
            account.refused += 1;
        }
    }
}

/// Checks snapshots of the counts until the end. Returns the first error.
fn watch(reporter: &Reporter, is_over: &AtomicBool) -> Result<(), String> {
    let mut before = Stats::default();
    loop {
        let last = is_over.load(Ordering::Acquire);
        let now = reporter.stats();
        if let Some(contradiction) = contradiction(&now) {
            return Err(contradiction);
        }
        let fates = |stats: &Stats| [stats.delivered, stats.dropped.total(), stats.refused.total()];
        let shrunk = fates(&before).iter().zip(fates(&now)).any(|(before, now)| now < *before);
        if shrunk || now.accepted < before.accepted {
            return Err(format!("a count went back: {before:?} to {now:?}"));
        }
        if last {
            return Ok(());
        }
        before = now;
        thread::park_timeout(INTERVAL);
    }
}

/// Plays a script to its end and compares the reporter's counts with the requests at the server.
fn play(server: &Server, script: &Script, seed: u64) -> Result<(), String> {
    server.begin(script.faults.clone());
    // The server of another test may have had this port before, and its clients may still send requests to it.
    let path = format!("/truth-{}-{seed}", process::id());
    let config = script.protocol.config(format!("{}{path}", server.base_url()));
    let builder = if script.session {
        Reporter::builder(config, "session-0001")
    } else {
        Reporter::sessionless_builder(config)
    };
    let reporter = builder
        .enabled(true)
        .max_batch_size(script.max_batch_size)
        .flush_threshold(script.flush_threshold)
        .max_queue_size(script.max_queue_size)
        .max_event_bytes(MAX_EVENT_BYTES)
        .max_retries(script.max_retries)
        .retry_base_delay(Duration::from_millis(1))
        .http_timeout(script.http_timeout)
        .max_in_flight(script.max_in_flight)
        .start()
        .map_err(|error| error.to_string())?;

    let account = Mutex::new(Account::default());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&reporter, &is_over));
        thread::scope(|scope| {
            for (thread, events) in script.threads.iter().enumerate() {
                let (reporter, account) = (&reporter, &account);
                scope.spawn(move || log_all(reporter, thread, events, account));
            }
        });
        let drained = match script.end {
            End::Drain => drain(&reporter),
            End::Stop(limit) => {
                reporter.stop(limit);
                true
            }
        };
        let before_the_end = reporter.stats();
        reporter.stop(HANG);
        is_over.store(true, Ordering::Release);
        watcher.thread().unpark();
        watcher.join().map_err(|_| "the watcher panicked".to_owned())??;
        if !drained || (script.end == End::Drain && before_the_end.dropped.deadline > 0) {
            return Err(format!("not drained within the limit: {before_the_end}"));
        }
        if reporter.log("late", (), Severity::Info) {
            return Err("an event was accepted after the stop".to_owned());
        }
        Ok(())
    })?;
    let mut account = account.into_inner().unwrap_or_else(PoisonError::into_inner);
    account.refused += 1; // the late event
    account.stats = reporter.stats();
    let mut exchanges = std::mem::take(&mut server.read().exchanges);
    exchanges.retain(|exchange| exchange.request.head.line().contains(&format!(" {path}/")));
    audit(script, &account, &exchanges)
        .map_err(|error| format!("{error}\n{account:#?}\n{}", summary(script.protocol, &exchanges)))
}

/// Waits until nothing is pending. Where no server answers, a wait ends before the retries do.
fn drain(reporter: &Reporter) -> bool {
    let began = Instant::now();
    while !reporter.wait_until_drained(HANG) {
        if began.elapsed() > HANG {
            return false;
        }
    }
    reporter.stats().pending == 0
}

fn summary(protocol: Protocol, exchanges: &[Exchange]) -> String {
    let lines = exchanges.iter().map(|exchange| {
        let names: Vec<_> = protocol.events(&exchange.request).into_iter().map(|event| event.name).collect();
        let (key, retry) = (exchange.request.idempotency_key(), exchange.request.retry_count());
        format!("#{} {key:?} retry {retry:?}: {names:?} -> {:?}", exchange.connection, exchange.fault)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_counts_agree_with_the_server_in_ten_thousand_scripts() {
    play_all(Protocol::Tinker, 10_000);
}

#[cfg(feature = "otlp")]
#[test]
fn the_counts_agree_with_an_otlp_server_in_three_thousand_scripts() {
    play_all(Protocol::Otlp, 3_000);
}

/// Plays so many scripts, unless the environment has another number.
fn play_all(protocol: Protocol, scripts: u64) {
    let _machine = machine();
    let scripts = number("TRUTH_SCRIPTS", scripts);
    let first = number("TRUTH_SEED", 0);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let workers = AT_A_TIME * thread::available_parallelism().map_or(2, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // One server for many scripts, since a new one each time would use up the ports of the machine.
                let mut server = Server::start(Fault::Close).unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + scripts || failures.lock().unwrap().len() >= 5 {
                        return;
                    }
                    let script = Script::random(protocol, seed);
                    if let Err(error) = play(&server, &script, seed) {
                        let failure = format!("TRUTH_SEED={seed}: {error}\n{script:#?}");
                        failures.lock().unwrap().push(failure);
                    }
                    if script.may_leave_a_request() {
                        server = Server::start(Fault::Close).unwrap();
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
