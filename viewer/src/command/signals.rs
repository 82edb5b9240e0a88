//! Signals that ask a program to end.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Sends each signal that asks for the end, made into `T`, from now on.
pub fn send<T: Send + 'static>(to: Sender<T>, make: impl Fn(i32) -> T + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if to.send(make(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
