//! Keeps a program's signals for the program: no thread of the crate takes a signal that the program blocks in its own
//! threads, in a forked child neither.

#[cfg(unix)]
#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

/// A signal that a thread of the crate takes kills the process.
#[cfg(unix)]
#[expect(unsafe_code, reason = "signals are the C library's")]
fn main() {
    use std::mem::MaybeUninit;
    use std::ptr;

    use process::{FINE, fork};
    use support::{LIMIT, sessionless};
    use tinker_telemetry::collector::Collector;
    use tinker_telemetry::{Reporter, Severity};

    fn log_and_drain(reporter: &Reporter) {
        assert!(reporter.log("step", (), Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
    }

    /// Blocks SIGTERM in this thread, sends it to the process, and waits for it.
    fn block_and_receive_a_signal() {
        let mut signals = MaybeUninit::uninit();
        let mut received = 0;
        unsafe {
            libc::sigemptyset(signals.as_mut_ptr());
            libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
            libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), ptr::null_mut());
            assert_eq!(libc::kill(libc::getpid(), libc::SIGTERM), 0);
            assert_eq!(libc::sigwait(signals.as_ptr(), &raw mut received), 0);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, signals.as_ptr(), ptr::null_mut());
        }
        assert_eq!(received, libc::SIGTERM);
    }

    unsafe { libc::alarm(30) }; // a hang ends
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    log_and_drain(&reporter);
    block_and_receive_a_signal();
    let child = fork(|| {
        log_and_drain(&reporter);
        block_and_receive_a_signal();
        log_and_drain(&reporter);
    });
    assert_eq!(child.wait(), FINE);
    log_and_drain(&reporter);
}

#[cfg(not(unix))]
fn main() {}
