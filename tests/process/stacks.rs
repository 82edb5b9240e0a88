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
use tinker_telemetry::{Reporter, Severity, bridge, internals};

fn with_backtraces(name: &str, body: impl FnOnce()) {
    with_environment(name, "1", body);
}

/// Runs `body` in a process of its own with this `RUST_BACKTRACE`. The process is this binary with the one test called
/// `name`.
fn with_environment(name: &str, backtrace: &str, body: impl FnOnce()) {
    const IS_ALONE: &str = "TINKER_TEST_STACKS";
    if env::var_os(IS_ALONE).is_some() {
        return body();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    let ended = command.env(IS_ALONE, "1").env("RUST_BACKTRACE", backtrace).status().unwrap();
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

mod steps {
    //! The functions that the stacks of errors name.

    use std::io;

    use anyhow::Context;
    use eyre::WrapErr;

    fn missing() -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[inline(never)]
    pub fn made_with_anyhow() -> anyhow::Result<()> {
        Context::context(missing(), "loading a.toml")
    }

    #[inline(never)]
    pub fn made_with_eyre() -> eyre::Result<()> {
        missing().wrap_err("loading a.toml")
    }

    #[inline(never)]
    pub fn made_and_boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(made_with_anyhow()?)
    }

    #[inline(never)]
    pub fn made_of_itself() -> io::Result<()> {
        missing()
    }
}

/// The name of the first function of a stack.
fn first_frame(traceback: &str) -> &str {
    let (_, stack) = traceback.split_once("\n\nStack backtrace:\n").expect(traceback);
    stack.lines().next().and_then(|line| line.strip_prefix("   0: ")).expect(traceback)
}

#[test]
fn a_stack_begins_where_the_error_was_made_if_the_error_carries_it_and_else_where_it_is_reported() {
    with_backtraces(
        "a_stack_begins_where_the_error_was_made_if_the_error_carries_it_and_else_where_it_is_reported",
        || {
            let collector = Collector::start().unwrap();
            let reporter = sessionless(&collector).start().unwrap();
            #[inline(never)]
            fn report_here(reporter: &Reporter) {
                reporter.log_exception(&steps::made_with_anyhow().unwrap_err(), Severity::Error);
                reporter.log_exception(&steps::made_with_eyre().unwrap_err(), Severity::Error);
                reporter.log_exception(&steps::made_and_boxed().unwrap_err(), Severity::Error);
                let _ = reporter.capture(steps::made_with_anyhow);
                reporter.log_exception(&steps::made_of_itself().unwrap_err(), Severity::Error);
            }
            report_here(&reporter);
            assert!(reporter.stop(LIMIT));
            let tracebacks = tracebacks(&collector);
            let first: Vec<_> = tracebacks.iter().map(|traceback| first_frame(traceback)).collect();
            let made =
                ["made_with_anyhow", "made_with_eyre", "made_with_anyhow", "made_with_anyhow", "report_here"];
            for (frame, made) in first.iter().zip(made) {
                assert!(frame.ends_with(&format!("::{made}")), "{frame}");
            }
            assert_eq!(first.len(), made.len());
            assert!(
                tracebacks.iter().all(|text| text.matches("Stack backtrace:").count() == 1),
                "{tracebacks:?}"
            );
        },
    );
}

#[test]
fn a_fatal_error_that_may_wait_for_less_than_a_second_has_the_stack_of_the_call() {
    let name = "a_fatal_error_that_may_wait_for_less_than_a_second_has_the_stack_of_the_call";
    with_backtraces(name, || {
        let first = |patience| {
            let collector = Collector::start().unwrap();
            let reporter = session(&collector).flush_timeout(patience).start().unwrap();
            reporter.log_fatal_exception(&steps::made_with_anyhow().unwrap_err(), Severity::Error);
            assert!(reporter.stop(LIMIT));
            first_frame(&tracebacks(&collector)[0]).ends_with("made_with_anyhow")
        };
        assert_eq!([999, 1_000].map(Duration::from_millis).map(first), [false, true]);
    });
}

#[test]
fn without_a_wish_for_backtraces_an_error_has_no_stack() {
    let name = "without_a_wish_for_backtraces_an_error_has_no_stack";
    with_environment(name, "0", || {
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        assert!(reporter.log_exception(&steps::made_with_anyhow().unwrap_err(), Severity::Error));
        assert!(reporter.stop(LIMIT));
        let [traceback] = &tracebacks(&collector)[..] else { panic!("one exception") };
        assert!(!has_stack(traceback), "{traceback}");
    });
}

#[test]
fn a_forked_child_does_not_ask_an_error_for_its_stack() {
    with_backtraces("a_forked_child_does_not_ask_an_error_for_its_stack", || {
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        let error = steps::made_with_anyhow().unwrap_err();
        let child = fork(|| {
            assert!(reporter.log_exception(&error, Severity::Error));
            assert!(reporter.wait_until_drained(LIMIT));
        });
        assert_eq!(child.wait(), FINE);
        let [traceback] = &tracebacks(&collector)[..] else { panic!("one exception") };
        assert!(!has_stack(traceback) && traceback.contains("Caused by: std::io::Error"), "{traceback}");
    });
}

#[test]
fn an_error_that_panics_while_it_prints_its_stack_is_refused_and_stacks_go_on() {
    let name = "an_error_that_panics_while_it_prints_its_stack_is_refused_and_stacks_go_on";
    with_backtraces(name, || {
        struct PanicsIfPrinted;
        impl fmt::Debug for PanicsIfPrinted {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text ")?; // all that the search for a name reads
                panic!("it was printed in full");
            }
        }
        impl fmt::Display for PanicsIfPrinted {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("displayed")
            }
        }
        impl std::error::Error for PanicsIfPrinted {}

        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        let object: Box<dyn std::error::Error> = Box::new(PanicsIfPrinted);
        assert!(!reporter.log_exception(&object, Severity::Error));
        assert!(reporter.log_exception(&steps::made_with_anyhow().unwrap_err(), Severity::Error));
        assert!(reporter.stop(LIMIT));
        assert_eq!(reporter.stats().refused.invalid_data, 1);
        assert!(first_frame(&tracebacks(&collector)[0]).ends_with("made_with_anyhow"));
    });
}
