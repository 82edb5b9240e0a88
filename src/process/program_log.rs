//! Writes lines to the program's log. The logger is code of the program, so anything can happen in it.

use crate::process::catch_panic::catch_panic;
use crate::process::fork::{self, ForkGeneration};
use crate::process::reentrancy;

/// Writes a line, which is a call of a macro of the `log` crate. A panic of the logger stays in here, and is not reported
/// as an event.
///
/// On a thread of the program this writes nothing in a forked child: a fork can leave the logger's lock locked, and no
/// deadline would end the wait for it. On a thread of the crate's own, only that thread would wait.
pub(crate) fn write(line: impl FnOnce()) {
    let is_own_thread = fork::is_own_thread();
    if !is_own_thread && !ForkGeneration::current().is_first() {
        return;
    }
    let _scope = reentrancy::enter();
    let _ = catch_panic(line);
    fork::exit_if_forked(); // if the logger forked on a thread of the crate's own
}
