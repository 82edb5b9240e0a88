//! Bytes out within a time limit, a verdict back: the network's edge.
//!
//! The worker uses the trait, the builder makes the [`client`], and the pipeline holds the [`abort`] handle. Nothing
//! else in the crate sends. An attempt ends within its limit whatever the network does: the client has a timeout for the
//! whole exchange, and what cannot be interrupted (a name lookup) runs on a thread that is left behind.
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

/// The one place where the network is replaced: a worker sends through this, and tests send through something else.
pub(crate) trait Transport: Sized {
    /// Makes one attempt, which ends within `limit`. `retry` is how many attempts came before it.
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict;

    /// Another one to the same place, which can send at the same time. `None` if only one request at a time makes sense.
    fn another(&self) -> Option<Self>;
}
