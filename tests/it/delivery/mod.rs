//! What goes over the network: the requests, and what each answer makes of them.

mod answers;
mod credentials;
mod real_nginx;
mod rejected;
mod stale_connection;
mod threshold;
mod wire;
