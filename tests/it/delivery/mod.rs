//! The network side: the requests, and the effect of each answer.

mod answers;
mod credentials;
mod real_nginx;
mod rejected;
mod stale_connection;
mod threshold;
mod wire;
