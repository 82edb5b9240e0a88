//! Keeps signals away from the crate's threads.
//!
//! The problem: the kernel gives a signal that is sent to the process to any thread that does not block it. A program
//! that reads its signals from a `signalfd`, or waits for them with `sigwait`, blocks them in all its threads. It may do
//! so after it has started a reporter. Then only the crate's threads would take a SIGTERM, and its default action kills
//! the process.
//!
//! The idea: a thread begins with the signal mask of the thread that creates it. So the creating thread blocks all
//! signals, creates the thread, and restores its own mask. A signal that arrives meanwhile waits until then, for some
//! microseconds. (If the new thread blocked them itself, it could take one before its first instruction.)
//!
//! Open stay the signals that a fault of the thread itself raises. If such a signal is blocked, the kernel kills the
//! process without the handler that explains the fault.
//!
//! What a logger starts from the crate's threads inherits their mask. `std::process::Command` resets it.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

/// What a fault of a thread raises.
pub(super) const FAULTS: [libc::c_int; 7] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGSYS, libc::SIGTRAP];

/// Blocks the calling thread's signals until it is dropped.
#[must_use = "the signals are blocked until this is dropped"]
pub(crate) struct SignalsBlocked {
    mask_before: libc::sigset_t,
    /// Makes it not `Send`: the mask is that of one thread.
    thread_bound: PhantomData<*const ()>,
}

/// Blocks all signals of the calling thread but [`FAULTS`]. Threads that it creates meanwhile inherit that.
pub(crate) fn block_signals() -> SignalsBlocked {
    let mut blocked = MaybeUninit::uninit();
    let mut mask_before = MaybeUninit::uninit();
    // SAFETY: `sigfillset` fills the first set. `pthread_sigmask` fills the second one: it fails only if its first
    // argument is none of the three that it knows.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for signal in FAULTS {
            libc::sigdelset(blocked.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), mask_before.as_mut_ptr());
        SignalsBlocked { mask_before: mask_before.assume_init(), thread_bound: PhantomData }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the mask is one that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask_before, ptr::null_mut()) };
    }
}
