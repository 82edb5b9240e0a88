//! Kills a program with all that it has started.

use std::process::Child;

/// Kills the program and its process group, and waits for nothing. The program was started as the leader of a group of its
/// own. It must not have been waited for: until then the system gives its number to no other process.
pub(crate) fn kill_group(leader: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = libc::pid_t::try_from(leader.id()).ok().filter(|group| *group > 1) {
        // SAFETY: the call touches no memory of this process. The group is neither 0 nor 1, which would mean this process's
        // own group, or all processes.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = leader.kill();
}
