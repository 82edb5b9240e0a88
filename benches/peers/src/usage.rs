//! The processor time of processes: of all threads, in user code and in the system.

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Seconds of this process.
pub(crate) fn own() -> Result<f64> {
    seconds(UsageWho::RUSAGE_SELF)
}

/// Seconds of the ended children and of their children.
pub(crate) fn children() -> Result<f64> {
    seconds(UsageWho::RUSAGE_CHILDREN)
}

fn seconds(who: UsageWho) -> Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
