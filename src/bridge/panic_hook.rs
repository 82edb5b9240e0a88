//! A panic hook: it reports a panic as an exception before the program prints it or acts on it.
//!
//! The hook runs on the panicking thread, in the middle of what that thread was doing. So three rules hold here. It
//! runs no code of the program, because a panic in a panic hook aborts the program. It writes nothing to the log, and
//! takes no lock that is held while code of the program runs, because the thread may hold any of those locks. Its
//! waits are bounded.
//!
//! A hook cannot know whether a panic will be caught. A wait costs a server one of its threads for seconds; without a
//! wait the report of a program that ends is lost. So the hook waits where a panic most likely ends the program: on
//! the main thread, and where nothing can catch it. A program that knows better sets [`FatalPanics`].

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::panicking::{self, Panic};
use crate::process::current_thread::current_thread;
use crate::process::fork::Inherited;
use crate::process::reentrancy;
use crate::reporter::{Reporter, WeakReporter};
use crate::session::Session;

/// How long the previous hook is delayed. It may exit the program, so a report first gets as long as a healthy
/// network needs. It prints the panic, so a longer delay would look like a hang.
const WAIT_BEFORE_MESSAGE: Duration = Duration::from_secs(1);

/// The reporters that the hook reports to. No code of the program runs under this lock, so no panicking thread holds it.
static LISTENERS: Inherited<Vec<Listener>> = Inherited::new();

#[derive(Clone)]
struct Listener {
    reporter: WeakReporter,
    fatal: FatalPanics,
}

/// Which panics are fatal. A fatal panic ends the session, and its thread waits for the report. Any other panic costs
/// its thread no wait, and the session goes on.
///
/// ```
/// use tinker_telemetry::bridge::{self, FatalPanics};
///
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// // Every panic of this program ends it: a hook that was set earlier calls `std::process::exit`.
/// bridge::install_panic_hook_with(&reporter, FatalPanics::Always);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FatalPanics {
    /// Those that end the program: on the thread named `main`, which is a program's first one, and on every thread if the
    /// panic cannot be caught. That is the case with `panic = "abort"`, and for a panic that leaves a destructor during
    /// another panic. The default.
    #[default]
    IfProgramEnds,
    /// Every panic. For a program in which a panic of any thread ends it, by a hook that exits for example.
    Always,
    /// No panic. For a program that catches panics on its main thread. With `panic = "abort"` the program then ends
    /// before the report is sent.
    Never,
}

impl FatalPanics {
    fn includes(self, ends_program: bool) -> bool {
        match self {
            Self::IfProgramEnds => ends_program,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Reports every panic of the process to this reporter, as an exception of type `panic`, with the message, the place, the
/// name of the thread, and a backtrace if `RUST_BACKTRACE` asks for one. This is [`install_panic_hook_with`] and
/// [`FatalPanics::IfProgramEnds`].
///
/// A panic that ends the program has severity `CRITICAL`, and the session's end follows it: on the main thread, and with
/// `panic = "abort"` on every thread. Its thread waits until both are sent or given up, for `shutdown_timeout` at most.
/// The previous hook (by default the one that prints the panic) is called after one second of that at the latest.
/// After a wait without a delivery no thread waits again until something is delivered. The drop of the reporter by
/// the same panic does not wait again either.
///
/// A panic on any other thread has severity `ERROR`. The hook asks for a flush, and the thread does not wait. A pool of
/// threads that catches panics loses no time, and its session goes on. If an earlier hook ends the program at every
/// panic, choose [`FatalPanics::Always`].
///
/// Panics on the reporter's own threads, and of data while it is encoded for an event, are not reported. They cost
/// their event only, or with `panic = "abort"` the program. A panic inside [`Reporter::capture`] or `spawn` is left to
/// the capture. A panic in a destructor of a C thread-specific key may abort the process: the standard library no longer
/// knows the thread then, and the hook asks for its name.
///
/// The hook is installed once. It reports to every reporter that was passed to this function, until that reporter is
/// gone. A hook that is set later and does not call the previous one replaces it. A call on a panicking thread does
/// nothing.
///
/// ```
/// use tinker_telemetry::{Config, Reporter, bridge};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").start()?;
/// bridge::install_panic_hook(&reporter);
/// # Ok::<(), tinker_telemetry::StartError>(())
/// ```
pub fn install_panic_hook(reporter: &Reporter) {
    install_panic_hook_with(reporter, FatalPanics::default());
}

/// As [`install_panic_hook`], with a choice of the panics that are fatal. A later call for the same reporter replaces the
/// choice.
///
/// ```
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// use tinker_telemetry::bridge::{FatalPanics, install_panic_hook_with};
///
/// // A supervisor starts a new worker thread after a panic, so no panic ends this program.
/// install_panic_hook_with(&reporter, FatalPanics::Never);
/// ```
pub fn install_panic_hook_with(reporter: &Reporter, fatal: FatalPanics) {
    // A `Once` would not do: a fork may catch it half done, and the child would wait for it for ever.
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !reporter.is_enabled() || thread::panicking() {
        return;
    }
    let listener = Listener { reporter: reporter.downgrade(), fatal };
    let mut listeners = LISTENERS.write();
    listeners.retain(|other| other.reporter.is_alive() && !other.reporter.is_same(&listener.reporter));
    listeners.push(listener);
    drop(listeners);
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let waits = report(info);
        waits.wait_before_message();
        previous(info);
        waits.wait_to_the_end();
    }));
}

/// Reports the panic, unless it is the reporter's own or a capture will catch it.
fn report(info: &PanicHookInfo<'_>) -> FatalWaits {
    if reentrancy::is_inside() {
        return FatalWaits::none();
    }
    let panic = Panic::seen(info.payload(), info.location().map(ToString::to_string));
    if can_be_caught(info) {
        return match panicking::leave_to_capture(panic) {
            Ok(()) => FatalWaits::none(),
            Err(panic) => report_to_all(&panic, is_main_thread()),
        };
    }
    // The program ends here. Panics that were left to a capture came first, and are reported first.
    let sessions = sessions();
    for panic in panicking::take_left() {
        for (session, _) in &sessions {
            session.report_panic(&panic);
        }
    }
    report_to_all(&panic, true)
}

/// Reports to every session first. Only then does the thread wait.
fn report_to_all(panic: &Panic, ends_program: bool) -> FatalWaits {
    let mut waits = FatalWaits::none();
    for (session, fatal) in sessions() {
        if !fatal.includes(ends_program) {
            session.report_panic(panic);
            continue;
        }
        let lost = session.lost();
        session.report_fatal_panic(panic);
        if !session.has_waited_in_vain() {
            waits.waits.push(FatalWait { session, lost });
        }
    }
    waits
}

/// Whether the panic unwinds. A panic that leaves a destructor during another panic does not, for example. Stable Rust
/// shows that in `Debug` only.
fn can_be_caught(info: &PanicHookInfo<'_>) -> bool {
    cfg!(panic = "unwind") && !format!("{info:?}").contains("can_unwind: false")
}

/// The standard library gives the first thread of a Rust program this name.
fn is_main_thread() -> bool {
    current_thread().is_some_and(|thread| thread.name() == Some("main"))
}

/// The sessions to report to. The hook does not own them, so the drop of the last reporter waits as it always does.
fn sessions() -> Vec<(Arc<Session>, FatalPanics)> {
    let session = |listener: &Listener| Some((listener.reporter.session()?, listener.fatal));
    LISTENERS.read().iter().filter_map(session).collect()
}

/// The waits of a thread for the reports of a fatal panic.
struct FatalWaits {
    waits: Vec<FatalWait>,
    reported: Instant,
}

struct FatalWait {
    session: Arc<Session>,
    /// How many events had been lost before the report.
    lost: u64,
}

impl FatalWaits {
    fn none() -> Self {
        Self { waits: Vec::new(), reported: Instant::now() }
    }

    fn wait_before_message(&self) {
        for FatalWait { session, .. } in &self.waits {
            session.wait_until_drained(self.left_of(session.shutdown_timeout.min(WAIT_BEFORE_MESSAGE)));
        }
    }

    /// Waits until each report is sent or given up. Notes which of these waits ended without a delivery.
    fn wait_to_the_end(&self) {
        for FatalWait { session, lost } in &self.waits {
            let is_drained = session.wait_until_drained(self.left_of(session.shutdown_timeout));
            if !is_drained || session.lost() > *lost {
                session.note_vain_wait();
            }
        }
    }

    fn left_of(&self, timeout: Duration) -> Duration {
        timeout.saturating_sub(self.reported.elapsed())
    }
}
