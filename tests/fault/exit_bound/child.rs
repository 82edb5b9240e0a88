//! This test binary started again, as a program of its own.

use std::process::{Command, Stdio};

/// What the program is to be; unset in the test itself.
const ROLE: &str = "FAULT_ROLE";

/// This binary again, in a role.
pub(crate) fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    as_role(&mut command, test, role);
    command
}

/// Has a command that starts this binary run only the one test named, which then finds its role.
pub(crate) fn as_role(command: &mut Command, test: &str, role: &str) {
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role).stdin(Stdio::null());
    // See `quick_backtraces`.
    command.env("RUST_BACKTRACE", "0");
}

pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Waits for a program's end. Its exit code, and what it said in case that is needed.
pub(crate) fn await_end(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}
