//! The network side: the requests, and the effect of each answer.

mod answers;
mod credentials;
mod in_flight;
mod real_nginx;
mod rejected;
mod stale_connection;
mod threshold;
mod wire;
