//! Sends the bytes of a request within a time limit, and returns a verdict. No other part of a reporter uses the
//! network.
//!
//! The worker and the replay of the spool use the trait, the builder makes the [`client`], and the pipeline holds the
//! [`abort`] handle. An attempt ends within its limit whatever the network does: the client has a timeout for the
//! whole exchange, and a name lookup, which cannot be interrupted, runs on a thread of its own, which is left behind
//! when the time is over.
//!
//! A transport makes one request at a time. Several requests at once are several transports, each with a connection of
//! its own. They share what must be one: the key, and the handle that aborts.

pub(crate) mod abort;
pub(crate) mod client;
mod connection;
#[cfg(feature = "gzip")]
mod gzip;
mod identity;
pub(crate) mod retry;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use crate::wire::envelope::Request;
use retry::Verdict;

/// The one place where tests replace the network: a worker sends through this trait.
pub(crate) trait Transport: Sized {
    /// Makes one attempt, which ends within `limit`. `retry` is how many attempts came before it.
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict;

    /// Another transport to the same place, which can send at the same time. `None` if only one request at a time
    /// makes sense.
    fn another(&self) -> Option<Self>;
}
