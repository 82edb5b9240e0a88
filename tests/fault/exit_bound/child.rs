//! The programs under test: this binary, started again in a role.

use std::process::{Command, Stdio};

/// The variable with the program's role. It is unset in the test itself.
const ROLE: &str = "FAULT_ROLE";

/// The command that starts this binary in a role.
pub(crate) fn command_in_role(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    set_role(&mut command, test, role);
    command
}

/// Makes a command that starts this binary run only this test, which then reads its role.
pub(crate) fn set_role(command: &mut Command, test: &str, role: &str) {
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role).stdin(Stdio::null());
    // See `warm_up_backtraces`.
    command.env("RUST_BACKTRACE", "0");
}

pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Waits for a program's end. Returns its exit code and its output.
pub(crate) fn await_end(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program starts");
    let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), texts.concat())
}
