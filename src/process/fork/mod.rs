//! Notices a fork, and starts threads after one. The one room with `unsafe` in it.
//!
//! A forked child has its parent's memory but only the thread that forked. A lock that another thread held at that
//! moment stays locked for good, a worker is gone, a socket is shared with the parent: what was made before the
//! fork must not be touched in the child, not even to be dropped. So such things are kept in [`ProcessOwned`]: the
//! process that made them sees them; a child sees an empty place, and fills it with its own when it needs one.

#![expect(
    unsafe_code,
    reason = "a handler for the C library, and memory that outlives its owner in a forked child"
)]

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

#[cfg(unix)]
use crate::process::catch_panic::catch_panic;
use crate::process::reentrancy;

#[cfg(any(feature = "log-bridge", feature = "panic-hook", feature = "tracing"))]
mod inherited;
#[cfg(all(feature = "spool", unix))]
mod locked_files;
mod process_cell;

#[cfg(any(feature = "log-bridge", feature = "panic-hook", feature = "tracing"))]
pub(crate) use inherited::Inherited;
#[cfg(all(feature = "spool", unix))]
pub(crate) use locked_files::LockedFiles;
pub(crate) use process_cell::{ProcessCell, ProcessOwned};

/// How many forks lie between the first process that [`watch`]ed and this one. It changes only while a process has
/// one thread, so a relaxed load sees it.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Begins to notice forks, by `fork` of the C library: neither its `_fork` nor a bare system call runs handlers.
#[cfg(unix)]
pub(crate) fn watch() {
    use std::sync::atomic::AtomicBool;

    static WATCHED: AtomicBool = AtomicBool::new(false);
    extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        reentrancy::leave();
        #[cfg(feature = "spool")]
        LockedFiles::close_in_child(|file| {
            // SAFETY: `close` is allowed in a child, and nothing of the child uses a file of its parent's.
            unsafe { libc::close(file) };
        });
    }
    // Two threads may get past this together, and a fork is then counted twice, which is as good as once.
    if !WATCHED.load(Ordering::Acquire) {
        // SAFETY: the handler adds to an atomic and stores to the thread's own memory, which is allowed in a child.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        WATCHED.store(refused == 0, Ordering::Release); // where there was no memory for it, the next start tries again
    }
}

/// There is no fork to notice.
#[cfg(not(unix))]
pub(crate) fn watch() {}

/// The process that made something, to ask later whether this is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForkGeneration(u64);

/// The process of a program that never forked.
const FIRST: ForkGeneration = ForkGeneration(0);

impl ForkGeneration {
    #[inline]
    pub(crate) fn current() -> Self {
        Self(if cfg!(unix) { GENERATION.load(Ordering::Relaxed) } else { 0 })
    }

    /// Whether no fork was noticed.
    pub(crate) fn is_first(self) -> bool {
        self == FIRST
    }
}

thread_local! {
    /// The generation that a thread of the crate's own was started in; `None` on every other thread.
    static STARTED_IN: Cell<Option<ForkGeneration>> = const { Cell::new(None) };
}

/// Exits if this process is a child that was forked on this thread, and the thread is one of the crate's own. The
/// program's logger can do that: it runs on the worker, forks, and returns there. The thread is then the only one of the
/// child, and its work belongs to the parent, so the process ends without touching anything.
pub(crate) fn exit_if_forked() {
    let is_in_child = STARTED_IN.get().is_some_and(|started_in| started_in != ForkGeneration::current());
    if is_in_child {
        // SAFETY: `_exit` is always safe: it runs no handlers and does not return.
        #[cfg(unix)]
        unsafe {
            libc::_exit(0)
        }
    }
}

/// Starts a thread in the [quiet](crate::process::reentrancy) scope, in a forked child too.
///
/// There the standard library's may never get going: each takes a lock of the library's own as it starts and as it
/// ends, and a fork can catch that lock closed. (Seen with Rust 1.95 on Linux, in one child of some hundreds beside a
/// parent that starts threads all the time.) The C library's own threads know of forks.
pub(crate) fn start_thread(name: &str, main: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // What it logs or panics about is not the program's doing, and must not come back as an event.
    let quietly = move || {
        let _guard = reentrancy::enter();
        STARTED_IN.set(Some(ForkGeneration::current()));
        main();
    };
    start_boxed(name, Box::new(quietly)) // once for all in the binary, and not once for each
}

type Main = Box<dyn FnOnce() + Send>;

fn start_boxed(name: &str, main: Main) -> io::Result<()> {
    if ForkGeneration::current().is_first() {
        return thread::Builder::new().name(name.to_owned()).spawn(main).map(drop);
    }
    #[cfg(unix)]
    return start_bare_thread(main);
    #[cfg(not(unix))]
    return Err(io::ErrorKind::Unsupported.into()); // no process is other than the first
}

#[cfg(unix)]
fn start_bare_thread(main: Main) -> io::Result<()> {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;

    extern "C" fn run(main: *mut c_void) -> *mut c_void {
        // SAFETY: it is the box below, and this thread's alone.
        let main = unsafe { Box::from_raw(main.cast::<Main>()) };
        let _ = catch_panic(main); // a panic must not leave this function
        ptr::null_mut()
    }

    let main = Box::into_raw(Box::new(main));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: null stands for the default attributes; `main` is a box that `run` takes over, as it may be sent.
    let refused = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), run, main.cast()) };
    if refused != 0 {
        // SAFETY: there is no thread that took the box over.
        drop(unsafe { Box::from_raw(main) });
        return Err(io::Error::from_raw_os_error(refused));
    }
    // SAFETY: the call succeeded, so it has written the thread's id; nobody joins the thread.
    unsafe { libc::pthread_detach(thread.assume_init()) };
    Ok(())
}

#[cfg(test)]
mod tests;
