//! Keeps the promise of a timely end for whole programs: the exit code is the program's own, and the program ends at
//! most the limit and 50 ms after the same program without telemetry.

use std::process::{self, Command};
#[cfg(feature = "spool")]
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
#[cfg(feature = "spool")]
use tinker_telemetry::Spool;
use tinker_telemetry::{Builder, Reporter, Severity};

use crate::exit_bound::child::{await_end, command_in_role, role};
use crate::exit_bound::control::machine;
use crate::exit_bound::report::{Finding, Lateness, Report, rounds};
use crate::exit_bound::scene::{Hang, Leave, Load};
use crate::server::Server;
use crate::server::fault::{Answer, Fault};
use crate::server::journal::HANG;
use crate::truth::audit::contradiction;

const URL: &str = "FAULT_URL";
const LIMIT: &str = "FAULT_LIMIT_MS";
const BULK: &str = "FAULT_BULK";
const LOGGER: &str = "FAULT_LOGGER";
/// The folder of the program's spool.
#[cfg(feature = "spool")]
const SPOOL: &str = "FAULT_SPOOL";
/// Set: the program reports by OTLP.
#[cfg(feature = "otlp")]
const OTLP: &str = "FAULT_OTLP";
/// The program's own exit code. No panic and no test harness has the same.
const OWN_CODE: i32 = 71;
/// Parallel programs per core. A program is busy at its start.
const AT_A_TIME: usize = 2;

/// The limits of this run. The longest limit takes long and finds little that the others do not, so only the long form
/// has it.
fn limits() -> &'static [Duration] {
    if rounds() > 1 { &Leave::LIMITS } else { &Leave::LIMITS[..2] }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn builder(load: Load, url: &str) -> Builder {
    #[cfg(feature = "otlp")]
    if std::env::var_os(OTLP).is_some() {
        return load.otlp_builder(url);
    }
    let builder = load.builder(url);
    #[cfg(feature = "spool")]
    if let Some(folder) = std::env::var_os(SPOOL) {
        return builder.spool(Spool::at(folder));
    }
    builder
}

/// The program: logs some events, leaves the reporter, and ends with its own exit code.
fn run_program(role: &str) -> ! {
    let limit = Duration::from_millis(number(LIMIT).unwrap_or(0));
    let bulk = number(BULK).and_then(|bulk| bulk.try_into().ok()).unwrap_or(0);
    let load = Load { bulk, queue: None };
    let Some(leave) = Leave::ALL.into_iter().find(|leave| leave.name() == role) else {
        load.log(&Reporter::disabled());
        process::exit(OWN_CODE);
    };
    let records = std::env::var(LOGGER).ok().map(|kind| HostileLogger::install(&kind));
    let url = std::env::var(URL).unwrap_or_default();
    let reporter = leave.limit(builder(load, &url), limit).start().expect("the reporter starts");
    load.log(&reporter);
    if let Some(records) = records {
        records.recv_timeout(HANG).expect("the worker logs a warning");
    }
    if let Some(left) = leave.leave(reporter, limit) {
        assert_eq!(contradiction(&left.reporter.stats()), None);
    }
    process::exit(OWN_CODE)
}

/// A program that waits when its worker panics.
fn wait_through_a_panic() -> ! {
    let records = HostileLogger::install("panics");
    let load = Load { bulk: 0, queue: None };
    let url = std::env::var(URL).unwrap_or_default();
    let reporter = load.builder(&url).start().expect("the reporter starts");
    reporter.log("fault.played", (), Severity::Info);
    assert!(reporter.wait_until_drained(HANG), "{}", reporter.stats());
    assert!(records.try_recv().is_ok(), "the worker has panicked in the logger");
    assert_eq!(contradiction(&reporter.stats()), None);
    process::exit(OWN_CODE)
}

/// A logger that panics or blocks on the reporter's worker, and does nothing on the program's thread.
struct HostileLogger {
    program: ThreadId,
    panics: bool,
    records: Sender<()>,
}

impl HostileLogger {
    /// Returns a receiver of a message for the worker's first record. It is sent before the panic or the block.
    fn install(kind: &str) -> Receiver<()> {
        let (records, receiver) = mpsc::channel();
        let logger = Self { program: thread::current().id(), panics: kind == "panics", records };
        log::set_boxed_logger(Box::new(logger)).expect("it is the first logger");
        log::set_max_level(LevelFilter::Warn);
        receiver
    }
}

impl Log for HostileLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &Record<'_>) {
        if thread::current().id() == self.program {
            return;
        }
        let _ = self.records.send(());
        assert!(!self.panics, "a logger that panics");
        loop {
            thread::park();
        }
    }

    fn flush(&self) {}
}

/// Compares the program with the same one without telemetry, run at the same time.
fn compare(program: impl Fn(&str) -> Command + Sync, leave: Leave, limit: Duration) -> Finding {
    let (without, (with, (code, output))) = thread::scope(|scope| {
        let without = scope.spawn(|| Lateness::of(Duration::ZERO, || await_end(program("without"))).0);
        let with = Lateness::of(limit, || await_end(program(leave.name())));
        (without.join().expect("the program without telemetry ends"), with)
    });
    let late = Lateness { ours: with.ours.saturating_sub(without.ours), control: with.control };
    let wrong = (code != Some(OWN_CODE)).then(|| format!("exit code {code:?}\n{output}"));
    Finding { late, wrong }
}

/// Plays all hangs with programs that `set` prepares, with the number of the program.
fn play(test: &str, title: &str, set: impl Fn(&mut Command, usize) + Sync) {
    if let Some(role) = role() {
        run_program(&role);
    }
    let _machine = machine();
    let next = AtomicUsize::new(0);
    let report = Report::measure_all(AT_A_TIME, &Hang::all(), limits(), |hang, leave, limit| {
        let scene = hang.arrange().expect("the fault can be arranged");
        let number = next.fetch_add(1, Ordering::Relaxed);
        let program = |role: &str| {
            let mut command = command_in_role(test, role);
            command.env(URL, &scene.base_url).env(LIMIT, limit.as_millis().to_string());
            command.env(BULK, scene.load().bulk.to_string());
            set(&mut command, number);
            command
        };
        compare(program, leave, limit)
    });
    report.conclude(title);
}

#[test]
fn a_program_ends_on_time_in_every_hang() {
    play("exit_bound::programs::a_program_ends_on_time_in_every_hang", "Programs that end", |_, _| ());
}

#[cfg(feature = "spool")]
#[test]
fn with_a_spool_a_program_ends_on_time_in_every_hang() {
    const TEST: &str = "exit_bound::programs::with_a_spool_a_program_ends_on_time_in_every_hang";
    let folder = LazyLock::new(|| tempfile::tempdir().unwrap()); // a program that makes one would not remove it
    play(TEST, "Programs that end, with a spool", |command, number| {
        command.env(SPOOL, folder.path().join(number.to_string()));
    });
}

#[cfg(feature = "otlp")]
#[test]
fn a_program_ends_on_time_in_every_hang_of_an_otlp_server() {
    const TEST: &str = "exit_bound::programs::a_program_ends_on_time_in_every_hang_of_an_otlp_server";
    play(TEST, "Programs that end, OTLP", |command, _| {
        command.env(OTLP, "1");
    });
}

/// The hangs of the worker itself, with what the logger does.
pub(super) const HANGS: [(&str, &str); 2] =
    [("a worker that panicked", "panics"), ("a worker that is blocked in the logger", "blocks")];

#[test]
fn a_program_ends_on_time_when_its_logger_panics_or_blocks_on_the_worker() {
    const TEST: &str =
        "exit_bound::programs::a_program_ends_on_time_when_its_logger_panics_or_blocks_on_the_worker";
    if let Some(role) = role() {
        run_program(&role);
    }
    let _machine = machine();
    // The worker logs a warning about this answer.
    let server = Server::start(Fault::Answer(Answer::new(401))).unwrap();
    let report = Report::measure_all(AT_A_TIME, &HANGS, limits(), |logger, leave, limit| {
        let program = |role: &str| {
            let mut command = command_in_role(TEST, role);
            command.env(URL, server.base_url()).env(LIMIT, limit.as_millis().to_string());
            command.env(LOGGER, logger);
            command
        };
        compare(program, leave, limit)
    });
    report.conclude("Programs that end");
}

#[test]
fn a_wait_ends_when_the_worker_panics_during_its_flush() {
    if role().is_some() {
        wait_through_a_panic();
    }
    let server = Server::start(Fault::Answer(Answer::new(401))).unwrap();
    let mut program =
        command_in_role("exit_bound::programs::a_wait_ends_when_the_worker_panics_during_its_flush", "waits");
    program.env(URL, server.base_url());
    let (code, output) = await_end(program);
    assert_eq!(code, Some(OWN_CODE), "{output}");
}
