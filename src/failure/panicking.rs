//! What a report contains about a panic, and how the panic hook passes that to a capture.
//!
//! Only the panic hook knows where a panic happened, and only the code that catches the panic knows that it was
//! caught. So while a capture surrounds the panic, the hook stores what it knows here, in a thread-local, and the
//! capture collects it.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::thread::Thread;

use crate::failure::exception;
use crate::payload::record::Exception;
use crate::process::current_thread::current_thread;
#[cfg(feature = "panic")]
use crate::process::stack::SHORT_WAIT;
use crate::process::stack::Stack;

/// The most panics that are stored for a capture: the one that it will catch, and those in destructors on the way to
/// it. Code that recovers from its own panics may add more; then the oldest is removed.
#[cfg(feature = "panic")]
const MAX_STORED: usize = 4;

thread_local! {
    // Constant and without a destructor, so it can be read even while the destructors of other thread-locals run.
    static CAPTURES: Cell<u32> = const { Cell::new(0) };
    // It has a destructor, so it may be gone already.
    static STORED: Cell<Vec<Panic>> = const { Cell::new(Vec::new()) };
}

/// The known facts about a panic.
#[derive(Clone, Debug)]
pub(crate) struct Panic {
    message: String,
    thread: String,
    /// Known only to the hook, as is the stack.
    location: Option<String>,
    stack: Option<Stack>,
}

impl Panic {
    /// A panic that the hook sees. Runs no code of the payload, since that may be the code that panics.
    #[cfg(feature = "panic")]
    pub(crate) fn seen(payload: &(dyn Any + Send), location: Option<String>) -> Self {
        Self { location, stack: Stack::capture(SHORT_WAIT), ..Self::caught(payload) }
    }

    /// A panic of which only the payload is known, on its own thread.
    fn caught(payload: &(dyn Any + Send)) -> Self {
        let thread = current_thread();
        let thread = thread.as_ref().and_then(Thread::name).unwrap_or("<unnamed>").to_owned();
        let message = text(payload).unwrap_or("panicked with a value that is not text").to_owned();
        Self { message, thread, location: None, stack: None }
    }

    /// Type, message and traceback of the panic, in at most `limit` bytes of JSON together.
    pub(crate) fn describe(&self, limit: usize) -> Exception {
        exception::describe_panic(&self.message, self, self.stack.clone(), limit)
    }
}

/// As the standard hook prints it.
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

/// A capture around the code that this thread runs until the scope is dropped.
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
            let _ = STORED.try_with(Cell::take);
        }
    }
}

/// The panic with this payload, with the facts that the hook stored. They stay stored for a capture around this one.
pub(crate) fn recall(_within: &CaptureScope, payload: &(dyn Any + Send)) -> Panic {
    let fallback = Panic::caught(payload);
    let stored = STORED.try_with(Cell::take).unwrap_or_default();
    // The last stored panic may be another one: a destructor may have panicked since, and recovered.
    let same = stored.iter().rev().find(|panic| panic.message == fallback.message).cloned();
    let _ = STORED.try_with(|slot| slot.set(stored));
    same.unwrap_or(fallback)
}

/// Stores a panic for the capture around it; returns it if there is no capture.
#[cfg(feature = "panic")]
pub(crate) fn leave_to_capture(panic: Panic) -> Result<(), Panic> {
    if CAPTURES.get() == 0 {
        return Err(panic);
    }
    let Ok(mut stored) = STORED.try_with(Cell::take) else { return Err(panic) };
    if stored.len() >= MAX_STORED {
        stored.remove(0);
    }
    stored.push(panic);
    let _ = STORED.try_with(|slot| slot.set(stored));
    Ok(())
}

/// The panics that are stored for captures on this thread. For a process that aborts before they are caught.
#[cfg(feature = "panic")]
pub(crate) fn take_left() -> Vec<Panic> {
    STORED.try_with(Cell::take).unwrap_or_default()
}
