//! `tinker-telemetry`: see what a program reports to Tinker while it runs.
//!
//! `store` keeps what arrives, `http` speaks the protocol, `serve` answers requests with the one through the other, and
//! `command` is what a user starts. Each imports only what stands before it in this list.

mod cli;
mod command;
mod http;
mod serve;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::execute(cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tinker-telemetry: {error}");
            ExitCode::FAILURE
        }
    }
}
