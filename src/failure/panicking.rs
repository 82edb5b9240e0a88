//! A panic as far as reports go: what is to be said of it, and whether somebody on its thread is waiting for it.
//!
//! Only the hook knows where a panic happened, and only whoever catches it knows that it was caught. So the hook
//! leaves what it knows here while a capture is around the panic, and the capture picks it up.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::thread;

use crate::failure::exception;
use crate::payload::record::Exception;

/// Panics that are kept while a capture is around them: the one that it will catch, and those of destructors on the
/// way to it. Code that recovers from its own panics pushes the oldest out.
#[cfg(feature = "panic-hook")]
const MAX_KEPT: usize = 4;

thread_local! {
    // Constant and without a destructor: readable even while the thread's other locals are torn down.
    static CAPTURES: Cell<u32> = const { Cell::new(0) };
    // With a destructor: there may be none any more.
    static KEPT: Cell<Vec<Panic>> = const { Cell::new(Vec::new()) };
}

/// What is known of a panic.
#[derive(Clone, Debug)]
pub(crate) struct Panic {
    message: String,
    thread: String,
    /// Known where the hook saw it, as is the stack.
    location: Option<String>,
    stack: Option<Arc<Backtrace>>,
}

impl Panic {
    /// A panic that the hook sees. Runs no code of the payload's, which may be the code that panics.
    #[cfg(feature = "panic-hook")]
    pub(crate) fn seen(payload: &(dyn Any + Send), location: Option<String>) -> Self {
        Self { location, stack: exception::capture_stack(), ..Self::caught(payload) }
    }

    /// A panic of which only the payload is known.
    fn caught(payload: &(dyn Any + Send)) -> Self {
        let thread = thread::current().name().unwrap_or("<unnamed>").to_owned();
        let message = text(payload).unwrap_or("panicked with a value that is not text").to_owned();
        Self { message, thread, location: None, stack: None }
    }

    /// The panic in words, in at most `limit` bytes of JSON together.
    pub(crate) fn describe(&self, limit: usize) -> Exception {
        exception::describe_panic(&self.message, self, self.stack.clone(), limit)
    }
}

/// As the standard hook says it.
impl Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread '{}' panicked", self.thread)?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, ":\n{}", self.message)
    }
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// A capture around the code that this thread runs while it lives.
#[must_use = "the capture ends when this is dropped"]
pub(crate) struct CaptureScope(());

impl CaptureScope {
    pub(crate) fn enter() -> Self {
        CAPTURES.set(CAPTURES.get() + 1);
        Self(())
    }
}

impl Drop for CaptureScope {
    fn drop(&mut self) {
        CAPTURES.set(CAPTURES.get() - 1);
        if CAPTURES.get() == 0 {
            let _ = KEPT.try_with(Cell::take);
        }
    }
}

/// The panic with this payload, with what the hook saw of it. It stays for a capture around this one.
pub(crate) fn recall(_within: &CaptureScope, payload: &(dyn Any + Send)) -> Panic {
    let fallback = Panic::caught(payload);
    let kept = KEPT.try_with(Cell::take).unwrap_or_default();
    // Newer ones may have come and gone in destructors.
    let same = kept.iter().rev().find(|panic| panic.message == fallback.message).cloned();
    let _ = KEPT.try_with(|slot| slot.set(kept));
    same.unwrap_or(fallback)
}

/// Leaves a panic to the capture around it; gives it back where there is none.
#[cfg(feature = "panic-hook")]
pub(crate) fn leave_to_capture(panic: Panic) -> Result<(), Panic> {
    if CAPTURES.get() == 0 {
        return Err(panic);
    }
    let Ok(mut kept) = KEPT.try_with(Cell::take) else { return Err(panic) };
    if kept.len() >= MAX_KEPT {
        kept.remove(0);
    }
    kept.push(panic);
    let _ = KEPT.try_with(|slot| slot.set(kept));
    Ok(())
}

/// The panics that were left to captures on this thread, for a process that will not live to see them caught.
#[cfg(feature = "panic-hook")]
pub(crate) fn take_left() -> Vec<Panic> {
    KEPT.try_with(Cell::take).unwrap_or_default()
}
