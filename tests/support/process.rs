//! Child processes of a test. An alarm kills a child that hangs.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(unsafe_code, reason = "fork and the calls around it are functions of the C library")]

use std::env;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::ptr;

/// Seconds until a child's alarm kills it.
const LIMIT: u32 = 30;

/// A forked child. The parent must wait for it.
#[must_use = "the parent must wait for its child"]
pub struct Forked(libc::pid_t);

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Killed(i32),
}

/// The end of a child whose assertions held.
pub const FINE: End = End::Exited(0);

/// Forks. The child runs `child` and exits with 0, or with 1 where `child` panics.
pub fn fork(child: impl FnOnce()) -> Forked {
    fork_for_code(|| {
        child();
        0
    })
}

/// Forks. The child exits with the code that `child` returns, or with 1 where `child` panics.
pub fn fork_for_code(child: impl FnOnce() -> i32) -> Forked {
    fork_here().unwrap_or_else(|| end_with_code(child))
}

/// Forks and returns twice: `None` in the child, which must end with [`end_here`].
pub fn fork_here() -> Option<Forked> {
    // SAFETY: the child has one thread. It uses the allocator, which the C library keeps usable after a fork, and the
    // code under test.
    match unsafe { libc::fork() } {
        0 => {
            unsafe { libc::alarm(LIMIT) };
            None
        }
        pid => {
            assert!(pid > 0, "{}", io::Error::last_os_error());
            Some(Forked(pid))
        }
    }
}

/// Runs `last` and ends the child: with 0, or with 1 where `last` panics.
pub fn end_here(last: impl FnOnce()) -> ! {
    end_with_code(|| {
        last();
        0
    })
}

fn end_with_code(last: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(last)).unwrap_or(1);
    unsafe { libc::_exit(code) }
}

/// Runs `main` on `count` threads at once and waits for them. The threads are the C library's: the standard library's
/// may hang in a forked child.
pub fn bare_threads(count: usize, main: &(dyn Fn() + Sync)) {
    extern "C" fn run(main: *mut c_void) -> *mut c_void {
        // SAFETY: the pointer is `&main` of the call below. That call waits for this thread.
        let main = unsafe { &*main.cast::<&(dyn Fn() + Sync)>() };
        let ended = catch_unwind(AssertUnwindSafe(main));
        ptr::without_provenance_mut(usize::from(ended.is_ok()))
    }

    let main: *const &(dyn Fn() + Sync) = &raw const main;
    let threads: Vec<libc::pthread_t> = (0..count)
        .map(|_| unsafe {
            let mut thread = MaybeUninit::uninit();
            let created = libc::pthread_create(thread.as_mut_ptr(), ptr::null(), run, main.cast_mut().cast());
            assert_eq!(created, 0);
            thread.assume_init()
        })
        .collect();
    for thread in threads {
        let mut ended = ptr::null_mut();
        assert_eq!(unsafe { libc::pthread_join(thread, &raw mut ended) }, 0);
        assert!(!ended.is_null(), "a thread panicked");
    }
}

impl Forked {
    /// Waits until the child has ended. Its alarm bounds the wait.
    pub fn wait(self) -> End {
        let mut status = 0;
        let waited = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(waited, self.0, "{}", io::Error::last_os_error());
        if libc::WIFEXITED(status) {
            End::Exited(libc::WEXITSTATUS(status))
        } else {
            End::Killed(libc::WTERMSIG(status))
        }
    }
}

/// The variable that marks a process started by [`alone`] or [`started_alone`]. Its value is the URL to report to.
const URL: &str = "TINKER_TEST_URL";

/// Runs `body` with `url` in a process of its own. That process is this binary, which runs only the test called `name`
/// (the full path that `--exact` takes).
pub fn alone(name: &str, url: &str, body: impl FnOnce(&str)) {
    let Ok(url) = env::var(URL).map_err(|_| url) else {
        let ended = command(name, url).stderr(Stdio::inherit()).output().unwrap();
        let output = String::from_utf8_lossy(&ended.stdout);
        // A wrong name runs no test, and that is a success too.
        assert!(ended.status.success() && output.contains("1 passed"), "{}: {output}", ended.status);
        return;
    };
    // SAFETY: `alarm` has no preconditions. It ends a hang with a signal.
    unsafe { libc::alarm(LIMIT) };
    body(&url);
}

/// Starts a process like [`alone`], and leaves it to the caller. `None` in that process.
pub fn started_alone(name: &str, url: &str) -> Option<Child> {
    if env::var_os(URL).is_some() {
        unsafe { libc::alarm(LIMIT) };
        return None;
    }
    Some(command(name, url).stdin(Stdio::piped()).spawn().unwrap())
}

/// The URL that the parent process passed.
pub fn url_of_parent() -> String {
    env::var(URL).unwrap()
}

fn command(name: &str, url: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(URL, url);
    command
}

/// Sends a signal to a child. After `SIGSTOP` it waits until the child has stopped.
pub fn signal(child: &Child, signal: i32) {
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "{}", io::Error::last_os_error());
    if signal == libc::SIGSTOP {
        let mut status = 0;
        let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
        assert!(waited == pid && libc::WIFSTOPPED(status), "{status:x}");
    }
}

/// Forbids this process to start threads, for good, so only a child may call it. Returns whether it worked.
pub fn forbid_threads() -> bool {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe {
        // The limit does not hold for root.
        let _ = libc::setrlimit(libc::RLIMIT_NPROC, &raw const none) == 0
            && libc::geteuid() == 0
            && libc::setgid(65534) == 0
            && libc::setuid(65534) == 0;
    }
    std::thread::Builder::new().spawn(|| ()).is_err()
}

/// Allows this process only file descriptors below this number. Returns the limit before.
pub fn limit_descriptors(limit: libc::rlim_t) -> libc::rlim_t {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) }, 0);
    let before = std::mem::replace(&mut limits.rlim_cur, limit);
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) }, 0);
    before
}

/// Lets no file of this process grow beyond this size: a disk that is full. For a process of its own.
pub fn limit_file_size(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: always are. Without the signal the write returns an error.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
}
