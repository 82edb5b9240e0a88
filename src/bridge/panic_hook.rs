//! A panic hook: panics are reported as fatal exceptions before the program says or does anything about them.

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

/// How long the hook that was there before waits for ours: long enough for a report to get through where the network
/// is well, since that hook may exit the program; short enough that nobody wonders where the panic's message is.
const WAIT_BEFORE_MESSAGE: Duration = Duration::from_secs(1);

/// Whom the hook reports to. No code but ours runs under this lock, so no panicking thread holds it.
static REPORTERS: Inherited<Vec<WeakReporter>> = Inherited::new();

thread_local! {
    /// When this thread last waited in vain. Constant and without a destructor: readable until the thread's end.
    static LAST_VAIN_WAIT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Reports every panic of the process to this reporter: as an exception of severity `CRITICAL` and type `panic`, with
/// its message, its place, the name of its thread, and a backtrace where `RUST_BACKTRACE` asks for one; then the
/// session's end.
///
/// The panicking thread waits until both have been sent or given up, for `flush_timeout` at most; the hook that was
/// there before (by default the one that prints the panic) is called after a second of that at the latest. A thread
/// that has waited in vain does not wait again for the panics that follow within `flush_timeout`. With `panic =
/// "abort"` the program aborts after all this.
///
/// Panics on the reporter's own threads, and of data while it is encoded for an event, are not reported: they cost
/// their event only, or with `panic = "abort"` the program. One inside [`Reporter::capture`] and its like is left to
/// the capture. In a program that catches its panics by other means the first one ends the session; later events and
/// panics are still reported.
///
/// The hook is installed once, and reports to every reporter that was passed to this function, until that is gone. A
/// hook that is set later and does not call the previous one replaces it. Does nothing when called on a panicking
/// thread.
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
    // No `Once`: a fork could catch one half done, and the child would wait for it for ever.
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

/// Reports the panic. Runs nobody's code, for a panic in here would abort the program; and writes nothing to the log,
/// for this thread may hold the logger's lock.
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
    // The program ends here. The panics that a capture waits for came first, and led here.
    let sessions = sessions();
    for panic in panicking::take_left() {
        for session in &sessions {
            session.report_panic(&panic);
        }
    }
    PanicReport::to_all(&panic)
}

/// Whether the panic unwinds, as far as is known. Stable Rust tells of a panic that cannot, one that leaves a
/// destructor during another panic for example, nowhere but in what `Debug` shows.
fn can_be_caught(info: &PanicHookInfo<'_>) -> bool {
    cfg!(panic = "unwind") && !format!("{info:?}").contains("can_unwind: false")
}

/// The sessions to tell. Held without owning them: a program that ends while a thread waits here waits as well.
fn sessions() -> Vec<Arc<Session>> {
    REPORTERS.read().iter().filter_map(WeakReporter::session).collect()
}

/// The sessions that were report of a panic, and when.
struct PanicReport {
    sessions: Vec<Arc<Session>>,
    at: Instant,
}

impl PanicReport {
    fn none() -> Self {
        Self { sessions: Vec::new(), at: Instant::now() }
    }

    /// Tells everybody before anybody is waited for.
    fn to_all(panic: &Panic) -> Self {
        let report = Self { sessions: sessions(), at: Instant::now() };
        for session in &report.sessions {
            session.report_fatal_panic(panic);
        }
        report
    }

    /// Waits until the reports are through, for what is left of each `flush_timeout` and for `at_most` in all.
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
