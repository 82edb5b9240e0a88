//! Files for the next run: they keep the events that cannot be sent, and a later run sends those.
//!
//! The worker holds a [`keeper::Keeper`], which starts a [`replay`]. Of the calls that a program makes,
//! only those of [`settings::Spool`] touch the files.
//!
//! - Only the process that holds a file's lock writes, sends or removes it. There are no leases, and no clock
//!   decides.
//! - A file holds all that is known about its events. There is no second file that could disagree with it after a
//!   crash.
//! - Events are sent only to the endpoint and with the key that the running program has, and only if they were kept
//!   for both.
//! - Files that are not the spool's are left alone: they are not read, changed or removed.
//! - The disk may fail at any moment. Then the events that were to be kept are lost, and nothing else.

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
