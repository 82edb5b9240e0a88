//! Notices a fork, and starts threads that work in a forked child too. All `unsafe` code of the crate is here.
//!
//! The problem: a forked child has its parent's memory, but only the thread that forked. A lock that another thread
//! held at that moment stays locked for ever. The worker's thread does not exist. A socket is shared with the parent.
//! So the child must not touch what was made before the fork, not even to drop it.
//!
//! The idea: a handler in the child counts forks, and each such value is kept in a [`ProcessOwned`] together with the
//! count at which it was made. The process that made the value sees it. A child sees an empty place, and fills it
//! with a value of its own when it needs one.
//!
//! The invariants:
//!
//! - Nothing here waits for a lock that a thread of the parent may hold.
//! - The handler in the child does only what is allowed between a fork and an exec.
//! - No thread of the crate goes on in a child: see [`exit_if_forked`].
//!
//! The locks of others that a call in a child could meet, and why it does not wait for them (looked for in the standard
//! library of Rust 1.95, glibc 2.36 and the dependencies; 2 000 children beside threads that panic, resolve symbols, load
//! libraries and start threads all returned):
//!
//! - The allocator's and the loader's locks: the C library makes them usable in a child.
//! - The standard library's lock of stacks, and its lock of the environment, which a capture reads: a child captures no
//!   stack, see [`stack`](crate::process::stack). A start reads the environment too, and so may wait in a child (seen)
//!   whose parent changed its environment on another thread at the fork. Rust calls that change unsafe.
//! - The standard library's lock of standard error: only the worker of a dry run takes it.
//! - The locks that the standard library takes as a thread starts and ends: a child starts bare threads.
//! - The lock of the panic hook: only a panic of the caller's own code takes it, and only `set_hook` closes it.
//! - `getrandom`'s and `ureq`'s values that are made once: they are made before a parent's first call.
//! - The channels' and the connection pool's locks: a child has its own.
//! - The resolver's lock: only the thread that looks up a name takes it, and `transport::connection::known_host` does without.

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

#[cfg(any(feature = "log", feature = "panic", feature = "tracing"))]
mod inherited;
#[cfg(all(feature = "spool", unix))]
mod locked_files;
mod process_cell;
mod process_group;
#[cfg(unix)]
mod signals;

#[cfg(any(feature = "log", feature = "panic", feature = "tracing"))]
pub(crate) use inherited::Inherited;
#[cfg(all(feature = "spool", unix))]
pub(crate) use locked_files::LockedFiles;
pub(crate) use process_cell::{ProcessCell, ProcessOwned};
pub(crate) use process_group::kill_group;
#[cfg(unix)]
pub(crate) use signals::block_signals;

/// The number of forks between the first process that called [`watch`] and this one. It changes only while a process
/// has one thread, so a relaxed load is enough.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Begins to notice forks. Only `fork` of the C library is noticed: neither its `_fork` nor a bare system call runs
/// handlers.
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
    // Two threads may both get past this check. A fork is then counted twice, which does no harm.
    if !WATCHED.load(Ordering::Acquire) {
        // SAFETY: the handler only adds to an atomic and stores to the thread's own memory, which a child may do.
        let error = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        WATCHED.store(error == 0, Ordering::Release); // if there was no memory for it, the next start tries again
    }
}

/// This platform has no fork.
#[cfg(not(unix))]
pub(crate) fn watch() {}

/// Identifies a process among those that a program forked. A value keeps the one that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForkGeneration(u64);

/// The process that called [`watch`] first, before any fork.
const FIRST: ForkGeneration = ForkGeneration(0);

impl ForkGeneration {
    #[inline]
    pub(crate) fn current() -> Self {
        Self(if cfg!(unix) { GENERATION.load(Ordering::Relaxed) } else { 0 })
    }

    /// Whether no fork led to this process.
    pub(crate) fn is_first(self) -> bool {
        self == FIRST
    }
}

thread_local! {
    /// The generation that a thread of the crate's own was started in; `None` on every other thread.
    static STARTED_IN: Cell<Option<ForkGeneration>> = const { Cell::new(None) };
}

/// Whether this thread is one of the crate's own.
pub(crate) fn is_own_thread() -> bool {
    STARTED_IN.get().is_some()
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

/// The stack of each thread: as much as the standard library gives its own threads. The C library's default may be far
/// smaller, and a thread of a forked child would get that: musl's 128 KiB overflowed in a TLS handshake of a debug build.
/// Memory is used only for the part of the stack that is touched.
const STACK_SIZE: usize = 2 * 1024 * 1024;

/// Starts a thread inside the [reentrancy] scope, which receives no signals of the process. Works in a forked child too.
///
/// In a child a thread of the standard library may hang: it takes a lock of the library when it starts and when it
/// ends, and a fork can leave that lock closed. (Seen with Rust 1.95 on Linux, in one child of some hundreds, beside
/// a parent that starts threads all the time.) So a child gets a bare thread of the C library, which handles forks
/// itself.
pub(crate) fn start_thread(name: &str, main: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // What this thread logs, or a panic of it, is no event of the program.
    let inside_scope = move || {
        let _scope = reentrancy::enter();
        STARTED_IN.set(Some(ForkGeneration::current()));
        main();
    };
    start_boxed(name, Box::new(inside_scope)) // boxed, so that the rest is compiled once and not for each `main`
}

type Main = Box<dyn FnOnce() + Send>;

fn start_boxed(name: &str, main: Main) -> io::Result<()> {
    #[cfg(unix)]
    let _inherited = block_signals();
    if ForkGeneration::current().is_first() {
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE);
        return thread.spawn(main).map(drop);
    }
    #[cfg(unix)]
    return start_bare_thread(main);
    #[cfg(not(unix))]
    return Err(io::ErrorKind::Unsupported.into()); // unreachable: without forks every process is the first
}

#[cfg(unix)]
fn start_bare_thread(main: Main) -> io::Result<()> {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;

    extern "C" fn run(main: *mut c_void) -> *mut c_void {
        // SAFETY: this is the box from below, and only this thread has it.
        let main = unsafe { Box::from_raw(main.cast::<Main>()) };
        let _ = catch_panic(main); // a panic must not unwind out of this function
        ptr::null_mut()
    }

    let check = |error| if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) };
    let mut thread = MaybeUninit::uninit();
    let mut attributes = MaybeUninit::uninit();
    let attributes = attributes.as_mut_ptr();
    let main = Box::into_raw(Box::new(main));
    // SAFETY: `pthread_attr_init` fills the attributes, and nothing uses them if it fails. A thread that starts owns the
    // box, whose content is `Send`. It is detached and never joined, so its id is not needed.
    let started = unsafe {
        check(libc::pthread_attr_init(attributes)).and_then(|()| {
            libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
            libc::pthread_attr_setstacksize(attributes, STACK_SIZE); // every platform's minimum is smaller
            let started = check(libc::pthread_create(thread.as_mut_ptr(), attributes, run, main.cast()));
            libc::pthread_attr_destroy(attributes);
            started
        })
    };
    if started.is_err() {
        // SAFETY: no thread started, so no other thread owns the box.
        drop(unsafe { Box::from_raw(main) });
    }
    started
}

#[cfg(test)]
mod tests;
