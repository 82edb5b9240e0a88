//! A panic hook: it reports a panic as a fatal exception before the program prints it or acts on it.
//!
//! The hook runs on the panicking thread, in the middle of whatever that thread did. So three rules hold here. It runs no
//! code of the program's: a panic in a panic hook aborts the program. It writes nothing to the log, and takes no lock that
//! is held while the program's code runs: the thread may hold any of those. Its waits are bounded.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::panicking::{self, Panic};
use crate::process::fork::Inherited;
use crate::process::reentrancy;
use crate::reporter::{Reporter, WeakReporter};
use crate::session::Session;

/// How long the previous hook is held back. It may exit the program, so a report needs the time that a healthy network
/// takes. It prints the panic, so a longer wait would look like a hang.
const WAIT_BEFORE_MESSAGE: Duration = Duration::from_secs(1);

/// The reporters that the hook reports to. No code of the program's runs under this lock, so no panicking thread holds it.
static REPORTERS: Inherited<Vec<WeakReporter>> = Inherited::new();

thread_local! {
    /// When this thread last waited in vain. A constant without a destructor can be read until the thread ends.
    static LAST_VAIN_WAIT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Reports every panic of the process to this reporter: as an exception of severity `CRITICAL` and type `panic`, with
/// the message, the place, the name of the thread, and a backtrace if `RUST_BACKTRACE` asks for one; then the
/// session's end.
///
/// The panicking thread waits until both are sent or given up, for `flush_timeout` at most. The previous hook (by
/// default the one that prints the panic) is called after one second of that at the latest. A thread that has waited
/// in vain does not wait again for the panics that follow within `flush_timeout`. With `panic = "abort"` the program
/// aborts after all this.
///
/// Panics on the reporter's own threads, and of data while it is encoded for an event, are not reported. They cost
/// their event only, or with `panic = "abort"` the program. A panic inside [`Reporter::capture`] or `spawn` is left to
/// the capture. In a program that catches its panics by other means the first one ends the session; later events and
/// panics are still reported.
///
/// The hook is installed once. It reports to every reporter that was passed to this function, until that reporter is
/// gone. A hook that is set later and does not call the previous one replaces it. A call on a panicking thread does
/// nothing.
///
/// ```
/// use tinker_telemetry::{Config, Reporter, bridge};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let reporter = Reporter::builder(config, "session-0001").start()?;
/// bridge::install_panic_hook(&reporter);
/// # Ok::<(), tinker_telemetry::StartError>(())
/// ```
pub fn install_panic_hook(reporter: &Reporter) {
    // A `Once` would not do: a fork may catch it half done, and the child would wait for it for ever.
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !reporter.is_enabled() || thread::panicking() {
        return;
    }
    let reporter = reporter.downgrade();
    let mut reporters = REPORTERS.write();
    reporters.retain(|other| other.is_alive() && !other.is_same(&reporter));
    reporters.push(reporter);
    drop(reporters);
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let report = report(info);
        report.wait(WAIT_BEFORE_MESSAGE);
        previous(info);
        report.wait(Duration::MAX);
    }));
}

/// Reports the panic, unless it is the reporter's own or a capture will catch it.
fn report(info: &PanicHookInfo<'_>) -> PanicReport {
    if reentrancy::is_inside() {
        return PanicReport::none();
    }
    let panic = Panic::seen(info.payload(), info.location().map(ToString::to_string));
    if can_be_caught(info) {
        return match panicking::leave_to_capture(panic) {
            Ok(()) => PanicReport::none(),
            Err(panic) => PanicReport::to_all(&panic),
        };
    }
    // The program ends here. Panics that were left to a capture came first, and are reported first.
    let sessions = sessions();
    for panic in panicking::take_left() {
        for session in &sessions {
            session.report_panic(&panic);
        }
    }
    PanicReport::to_all(&panic)
}

/// Whether the panic unwinds. A panic that leaves a destructor during another panic does not, for example. Stable Rust
/// shows that in `Debug` only.
fn can_be_caught(info: &PanicHookInfo<'_>) -> bool {
    cfg!(panic = "unwind") && !format!("{info:?}").contains("can_unwind: false")
}

/// The sessions to report to. They are held without their owners: a drop of the last reporter meanwhile waits as always.
fn sessions() -> Vec<Arc<Session>> {
    REPORTERS.read().iter().filter_map(WeakReporter::session).collect()
}

/// The sessions that a panic was reported to, and when.
struct PanicReport {
    sessions: Vec<Arc<Session>>,
    at: Instant,
}

impl PanicReport {
    fn none() -> Self {
        Self { sessions: Vec::new(), at: Instant::now() }
    }

    /// Reports to every session before it waits for one.
    fn to_all(panic: &Panic) -> Self {
        let report = Self { sessions: sessions(), at: Instant::now() };
        for session in &report.sessions {
            session.report_fatal_panic(panic);
        }
        report
    }

    /// Waits until the reports are sent or given up: for what is left of each `flush_timeout`, and for `at_most` in all.
    fn wait(&self, at_most: Duration) {
        let started = Instant::now();
        for session in &self.sessions {
            let limit = session.flush_timeout;
            if LAST_VAIN_WAIT.get().is_some_and(|at| at.elapsed() < limit) {
                continue;
            }
            let left = limit.saturating_sub(self.at.elapsed());
            let left = left.min(at_most.saturating_sub(started.elapsed()));
            if !session.wait_until_drained(left) && self.at.elapsed() >= limit {
                LAST_VAIN_WAIT.set(Some(Instant::now()));
            }
        }
    }
}
