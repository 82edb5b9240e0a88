//! The stack of a call, for a traceback.
//!
//! The problem: the standard library has one lock for all stacks of a process. It holds the lock while it captures a
//! stack, which takes microseconds, and while it resolves a stack's symbols. The first time, that takes a tenth of a
//! second, since it reads the program's debug information. The worker resolves the stacks of the events that it
//! sends. A call that reports an error at that moment would wait for it, past every deadline. In a forked child that
//! lock may be closed for ever: the fork may have happened while the parent's worker resolved symbols.
//!
//! The idea: captures and resolutions of the crate pass a gate before they get to that lock. Captures wait at the
//! gate while the crate resolves symbols, until a deadline; after it they go without a stack. A forked child neither
//! captures nor resolves.
//!
//! The invariants:
//!
//! - Beyond the gate, a capture waits for no resolution of the crate.
//! - The gate's own lock is held for a few instructions only, and never in a forked child.
//!
//! An error may carry a stack of its own, and print it when it is reported ([`resolve`]). That resolution happens on the
//! caller's thread, and passes the gate as those of the worker do.
//!
//! What remains: other code of the program may resolve symbols, as the standard panic hook does when it prints a
//! stack. The crate cannot see that, and a capture waits for it.

mod frames;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Debug, Display, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::fork::ForkGeneration;
pub(crate) use frames::Frames;

/// How long a call that must not wait may wait at the gate. Long enough for most resolutions but the first one; well
/// below the 50 ms by which a call may be late.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(20);

/// How long a call that waits anyway should wait at the gate at most. Long enough for the first resolution, which
/// took up to 205 ms in a debug build.
pub(crate) const LONG_WAIT: Duration = Duration::from_millis(500);

/// How long the worker lets captures pass that wait at the gate, before it resolves the next stack.
const TURN: Duration = Duration::from_millis(1);

/// Only addresses until it is formatted. Shared, since several reporters may report one panic.
#[derive(Clone)]
pub(crate) struct Stack(Arc<Backtrace>);

impl Stack {
    /// The stack of this call, if the environment asks for backtraces. `None` also in a forked child, and if the
    /// crate resolves symbols for longer than `wait`.
    pub(crate) fn capture(wait: Duration) -> Option<Self> {
        if !ForkGeneration::current().is_first() {
            return None;
        }
        let _passage = GATE.begin_capture(wait)?;
        let stack = Backtrace::capture();
        (stack.status() == BacktraceStatus::Captured).then(|| Self(Arc::new(stack)))
    }

    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self(Arc::new(Backtrace::disabled()))
    }
}

/// Resolves the symbols, the first time. Begins with the program's own code.
impl Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !ForkGeneration::current().is_first() {
            return f.write_str("captured before a fork");
        }
        let mut text = StackText::default();
        {
            let _passage = GATE.begin_resolution(TURN);
            let _ = write!(text, "{}", self.0);
        }
        Display::fmt(&Frames(&text.0), f)
    }
}

/// Calls a function that prints a stack, with its symbols. `None` in a forked child, and if other threads resolve symbols
/// for longer than `wait`.
pub(crate) fn resolve<T>(wait: Duration, print: impl FnOnce() -> T) -> Option<T> {
    if !ForkGeneration::current().is_first() {
        return None;
    }
    let _passage = GATE.begin_resolution_alone(wait)?;
    Some(print())
}

/// The beginning of a text that may be long: a stack is as long as a recursion is deep.
#[derive(Default)]
pub(crate) struct StackText(pub(crate) String);

const MAX_TEXT: usize = 256 * 1024;

/// Fails at the part that would make the text too long, and leaves it out.
impl Write for StackText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Does not resolve the symbols.
impl Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}

/// Calls the function while captures wait, as they do while the worker resolves symbols.
#[cfg(feature = "_internals")]
pub(crate) fn during_resolution<T>(run: impl FnOnce() -> T) -> T {
    let _passage = GATE.begin_resolution(TURN);
    run()
}

static GATE: Gate = Gate::new();

struct Gate {
    passages: Mutex<Passages>,
    changed: Condvar,
}

struct Passages {
    captures: usize,
    waiting_captures: usize,
    resolutions: usize,
}

impl Gate {
    const fn new() -> Self {
        let passages = Passages { captures: 0, waiting_captures: 0, resolutions: 0 };
        Self { passages: Mutex::new(passages), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Passages> {
        self.passages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if a resolution has not ended after `wait`.
    fn begin_capture(&self, wait: Duration) -> Option<CapturePassage<'_>> {
        let mut passages = self.lock();
        if passages.resolutions > 0 {
            passages.waiting_captures += 1;
            let waited = self.changed.wait_timeout_while(passages, wait, |passages| passages.resolutions > 0);
            passages = waited.unwrap_or_else(PoisonError::into_inner).0;
            passages.waiting_captures -= 1;
            if passages.resolutions > 0 {
                return None;
            }
        }
        passages.captures += 1;
        Some(CapturePassage(self))
    }

    /// As [`begin_resolution`](Self::begin_resolution), with the time for a turn. `None` if another resolution has not
    /// ended after `wait`.
    fn begin_resolution_alone(&self, wait: Duration) -> Option<ResolutionPassage<'_>> {
        let passages = self.lock();
        let waited = self.changed.wait_timeout_while(passages, wait, |passages| passages.resolutions > 0);
        let is_free = waited.unwrap_or_else(PoisonError::into_inner).0.resolutions == 0;
        is_free.then(|| self.begin_resolution(TURN))
    }

    /// Waits for captures: for those at the gate until `turn` is over, for those beyond it as long as they take.
    fn begin_resolution(&self, turn: Duration) -> ResolutionPassage<'_> {
        let passages = self.lock();
        let waited =
            self.changed.wait_timeout_while(passages, turn, |passages| passages.waiting_captures > 0);
        let mut passages = waited.unwrap_or_else(PoisonError::into_inner).0;
        passages.resolutions += 1; // no capture begins from here on
        let waited = self.changed.wait_while(passages, |passages| passages.captures > 0);
        drop(waited);
        ResolutionPassage(self)
    }
}

struct CapturePassage<'a>(&'a Gate);

impl Drop for CapturePassage<'_> {
    fn drop(&mut self) {
        self.0.lock().captures -= 1;
        self.0.changed.notify_all();
    }
}

struct ResolutionPassage<'a>(&'a Gate);

impl Drop for ResolutionPassage<'_> {
    fn drop(&mut self) {
        self.0.lock().resolutions -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
