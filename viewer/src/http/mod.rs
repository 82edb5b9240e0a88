//! As much of HTTP/1.1 as a viewer on loopback needs, over the standard library's sockets.
//!
//! `tiny_http` was weighed: it bounds neither heads nor connections, and hides the socket, so that a reader that never
//! reads cannot be cut off. Invariants: every read and write has a timeout, every head, body and number of connections
//! a bound.

mod answer;
mod body;
mod connection;
mod guard;
mod listener;

pub use answer::Answer;
pub use body::Body;
pub use connection::{Connection, Head};
pub use guard::Guard;
pub use listener::{listen, serve};
