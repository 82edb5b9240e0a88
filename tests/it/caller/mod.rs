//! The calls of a program: which events are accepted and refused, what errors and captures report, how a reporter ends.

mod admission;
mod before_send;
mod capture;
mod drain;
mod errors;
mod invalid_data;
mod last_drop;
mod literal;
mod provider;
mod readme;
