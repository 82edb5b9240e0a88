//! Files for the next run: what could not be sent is kept, and what earlier runs kept is sent.
//!
//! The worker holds a `Keeper`, which starts a `replay`. A caller's thread never comes here.
//!
//! - The process that holds a file's lock may write, send and remove the file, and no other. There are no leases and no clocks.
//! - The lines of a file say everything. There is no second file that could disagree with it after a crash.
//! - Events go only where the running configuration says, and only those that were kept for that endpoint and key.
//! - What is not the spool's is neither read nor changed nor removed.
//! - The disk may fail at any moment. That costs what was to be kept, and nothing else.

#[cfg(unix)]
mod disk;
#[cfg(unix)]
mod journal;
#[cfg(unix)]
pub(crate) mod keeper;
#[cfg(unix)]
pub(crate) mod line;
#[cfg(unix)]
pub(crate) mod replay;
pub(crate) mod settings;
#[cfg(unix)]
pub(crate) mod store;
