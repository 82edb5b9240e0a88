//! Child processes of a test, each with a limit on its life.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(unsafe_code, reason = "fork, and what goes with it, is the C library's")]

use std::env;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::ptr;

/// Seconds after which a child that hangs is killed, by its own alarm.
const LIMIT: u32 = 30;

/// A forked child that is yet to be waited for.
#[must_use = "a child is waited for"]
pub struct Forked(libc::pid_t);

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Killed(i32),
}

/// Its assertions held.
pub const FINE: End = End::Exited(0);

/// Forks. The child runs `child` and exits: 0, or 1 where it panicked.
pub fn fork(child: impl FnOnce()) -> Forked {
    fork_for_code(|| {
        child();
        0
    })
}

/// Forks. The child exits with the code that it returns, or 1 where it panicked.
pub fn fork_for_code(child: impl FnOnce() -> i32) -> Forked {
    fork_here().unwrap_or_else(|| end_with_code(child))
}

/// Forks. `None` in the child, which is to come to [`end_here`].
pub fn fork_here() -> Option<Forked> {
    // SAFETY: the child has this one thread. It uses the allocator, which the C library keeps usable, and what the
    // test is about.
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

/// Ends a child: with 0, or with 1 where this panics.
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

/// Runs `main` on as many threads at once, and waits for them. Those of the C library: the standard library's may hang
/// in a forked child.
pub fn bare_threads(count: usize, main: &(dyn Fn() + Sync)) {
    extern "C" fn run(main: *mut c_void) -> *mut c_void {
        // SAFETY: it is `&main` of the call below, which waits for this thread.
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
    /// Waits until the child has ended, which its alarm sees to.
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

/// In the process that [`alone`] starts: what to report to, where the test says so.
const URL: &str = "TINKER_TEST_URL";

/// Runs `body` in a process of its own, and gives it `url`. That process is this binary with the one test called `name`
/// (the path that `--exact` takes).
pub fn alone(name: &str, url: &str, body: impl FnOnce(&str)) {
    let Ok(url) = env::var(URL).map_err(|_| url) else {
        let ended = command(name, url).stderr(Stdio::inherit()).output().unwrap();
        let output = String::from_utf8_lossy(&ended.stdout);
        // With a name that no test has, nothing would run, and that would be a success.
        assert!(ended.status.success() && output.contains("1 passed"), "{}: {output}", ended.status);
        return;
    };
    // SAFETY: always is. A hang ends in a signal.
    unsafe { libc::alarm(LIMIT) };
    body(&url);
}

/// The process of its own that a test with this name runs in, to be started by hand. `None` in that process.
pub fn started_alone(name: &str, url: &str) -> Option<Child> {
    if env::var_os(URL).is_some() {
        unsafe { libc::alarm(LIMIT) };
        return None;
    }
    Some(command(name, url).stdin(Stdio::piped()).spawn().unwrap())
}

/// What [`alone`] gives the process that it starts.
pub fn url_of_parent() -> String {
    env::var(URL).unwrap()
}

fn command(name: &str, url: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(URL, url);
    command
}

/// Sends a signal to a child, and where that stops it waits until it has.
pub fn signal(child: &Child, signal: i32) {
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "{}", io::Error::last_os_error());
    if signal == libc::SIGSTOP {
        let mut status = 0;
        let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
        assert!(waited == pid && libc::WIFSTOPPED(status), "{status:x}");
    }
}

/// Whether this process starts no more threads from here on. For a child: there is no way back.
pub fn forbid_threads() -> bool {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe {
        // No limit on processes holds for root.
        let _ = libc::setrlimit(libc::RLIMIT_NPROC, &raw const none) == 0
            && libc::geteuid() == 0
            && libc::setgid(65534) == 0
            && libc::setuid(65534) == 0;
    }
    std::thread::Builder::new().spawn(|| ()).is_err()
}

/// Allows this process file descriptors below this number only. Gives the limit that was.
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
