//! Keeps the promise that no behaviour of a server makes the reporter hang, lie or lose count.
//!
//! `server` plays the faults over real sockets, `proof` shows that each fault is what it says it is;
//! `exit_bound`, `programs` and `resolver` are about time, `truth` about counts.
#![cfg(all(test, unix))] // elsewhere a small segment size cannot be asked for

mod fault;
mod journal;
mod line;
mod play;
mod server;

mod proof;

mod child;
mod control;
mod exit_bound;
mod programs;
mod report;
mod resolver;
mod scene;

mod audit;
mod chance;
mod truth;
