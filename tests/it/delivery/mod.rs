//! What goes over the network: the requests, and what each answer makes of them.

mod answers;
mod real_nginx;
mod stale_connection;
mod threshold;
mod wire;
