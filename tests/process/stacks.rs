//! Keeps the stacks of errors, captured with `RUST_BACKTRACE=1`, from holding a call up: past its deadline, or in a forked
//! child for ever.
#![cfg(all(target_os = "linux", feature = "collector", feature = "panic", feature = "_internals"))]
#![expect(unsafe_code, reason = "standard error becomes a socket, by the C library")]

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, thread};

use process::{FINE, fork};
use support::{LIMIT, session, sessionless};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Severity, bridge, internals};

/// Runs `body` in a process of its own, which is this binary with the one test called `name`.
fn with_backtraces(name: &str, body: impl FnOnce()) {
    const IS_ALONE: &str = "TINKER_TEST_STACKS";
    if env::var_os(IS_ALONE).is_some() {
        return body();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    let ended = command.env(IS_ALONE, "1").env("RUST_BACKTRACE", "1").status().unwrap();
    assert!(ended.success(), "{ended}");
}

/// The tracebacks of the exceptions that the collector received.
fn tracebacks(collector: &Collector) -> Vec<String> {
    let events = collector.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::UnhandledException(exception) => exception.traceback,
            _ => None,
        })
        .collect()
}

fn has_stack(traceback: &str) -> bool {
    traceback.contains("Stack backtrace:")
}

/// Some ten times what the calls may wait, for a busy machine.
const LATE: Duration = Duration::from_millis(500);

#[test]
fn an_exception_goes_without_a_stack_while_the_worker_resolves_symbols() {
    with_backtraces("an_exception_goes_without_a_stack_while_the_worker_resolves_symbols", || {
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).flush_timeout(Duration::ZERO).start().unwrap();
        internals::during_resolution(|| {
            let started = Instant::now();
            assert!(reporter.log_exception(&fmt::Error, Severity::Error));
            assert!(reporter.log_fatal_exception(&fmt::Error, Severity::Error));
            assert!(started.elapsed() < LATE, "{:?}", started.elapsed());
        });
        assert!(reporter.log_exception(&fmt::Error, Severity::Error));
        assert!(reporter.stop(LIMIT));
        let tracebacks: Vec<_> = tracebacks(&collector).iter().map(|text| has_stack(text)).collect();
        assert_eq!(tracebacks, [false, false, true]);
    });
}

/// The thread that panics, once it does.
static PANICKING: AtomicI32 = AtomicI32::new(0);

/// Puts a socket whose buffer is full in place of standard error. Returns the other end.
fn block_standard_error() -> UnixStream {
    let (mut full, other_end) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.write(b".").is_ok() {}
    full.set_nonblocking(false).unwrap();
    assert_eq!(unsafe { libc::dup2(full.as_raw_fd(), 2) }, 2);
    other_end
}

/// Whether a thread of this process waits in the kernel.
fn is_blocked(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.trim_start().starts_with('S')
}

#[test]
fn a_forked_child_reports_errors_and_panics_while_its_parent_holds_the_lock_of_stacks() {
    with_backtraces(
        "a_forked_child_reports_errors_and_panics_while_its_parent_holds_the_lock_of_stacks",
        || {
            let collector = Collector::start().unwrap();
            let reporter = sessionless(&collector).start().unwrap();
            let standard_hook = panic::take_hook();
            let parent = std::process::id();
            panic::set_hook(Box::new(move |info| {
                if std::process::id() == parent {
                    PANICKING.store(unsafe { libc::gettid() }, Ordering::Release);
                    standard_hook(info);
                }
            }));
            bridge::install_panic_hook(&reporter);

            // The standard hook holds the lock of stacks while it prints.
            let standard_error = unsafe { OwnedFd::from_raw_fd(libc::dup(2)) };
            let other_end = block_standard_error();
            let panicking = thread::spawn(|| panic!("of the parent"));
            while PANICKING.load(Ordering::Acquire) == 0 || !is_blocked(PANICKING.load(Ordering::Acquire)) {
                thread::yield_now();
            }
            let child = fork(|| {
                assert!(reporter.log_exception(&fmt::Error, Severity::Error));
                catch_unwind(|| panic!("of the child")).unwrap_err();
                assert!(reporter.wait_until_drained(LIMIT));
            });
            let ended = child.wait();

            unsafe { libc::dup2(standard_error.as_raw_fd(), 2) };
            drop(other_end);
            panicking.join().unwrap_err();
            assert_eq!(ended, FINE);
            assert!(reporter.wait_until_drained(LIMIT));
            let tracebacks = tracebacks(&collector);
            assert_eq!(
                tracebacks.iter().filter(|text| has_stack(text)).count(),
                1,
                "the parent's: {tracebacks:?}"
            );
            assert_eq!(tracebacks.len(), 3);
        },
    );
}
