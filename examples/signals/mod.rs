//! The signals that ask a program to end: SIGTERM and SIGINT, which is Ctrl-C. Elsewhere than on Unix, Ctrl-C only.

use std::io;

/// Calls `act` for each signal, with its number, on a thread of its own.
#[cfg(unix)]
pub fn on_end(mut act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || signals.forever().for_each(&mut act)).map(drop)
}

#[cfg(not(unix))]
pub fn on_end(mut act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    const SIGINT: i32 = 2;
    ctrlc::set_handler(move || act(SIGINT)).map_err(io::Error::other)
}

/// Ends the process by this signal, so that its parent sees the same as if the program had not caught the signal.
pub fn end_by(signal: i32) -> ! {
    #[cfg(unix)]
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal) // what a shell shows for it
}
