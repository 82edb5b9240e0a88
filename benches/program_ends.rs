//! How long telemetry delays the end of a program: the README's program, as a process of its own, with each server, without
//! and with a fatal error, and with a `stop` in place of the wait, without and with a spool. The time is from when the
//! program starts its reporter until it has dropped it.

mod support;

use std::env;
#[cfg(all(feature = "spool", unix))]
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::is_bench;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter, Severity, json};

/// The variables of the program.
const URL: &str = "ENDS_URL";
const END: &str = "ENDS_END";
const SPOOL: &str = "ENDS_SPOOL";

/// Where the spool is in its folder.
#[cfg(all(feature = "spool", unix))]
const BELOW: &str = "telemetry";

/// How the program ends.
const ENDS: [&str; 3] = ["after success", "after an error", "with stop(1 s)"];

fn main() {
    if let Ok(url) = env::var(URL) {
        return println!("{:.3}", program(&url).as_secs_f64());
    }
    println!("{}", support::machine::description());
    println!("\nSeconds:\n\n| the server | a spool | {} |\n|---|---|--:|--:|--:|", ENDS.join(" | "));
    let healthy = Collector::start().expect("loopback has a free port");
    let mute = Collector::start().expect("loopback has a free port");
    let _hold = mute.hold_answers();
    let refused = Collector::start().expect("loopback has a free port").url();
    print("is healthy", &healthy.url());
    print("does not listen", &refused);
    #[cfg(all(feature = "spool", unix))]
    print_crowded("does not listen", &refused);
    if is_bench() {
        let (address, _full) = full_backlog().expect("a backlog fills");
        print("is out of reach: connecting hangs", &format!("http://{address}"));
        print("never answers", &mute.url());
    }
}

fn print(server: &str, url: &str) {
    let spools: &[bool] = if cfg!(all(feature = "spool", unix)) { &[false, true] } else { &[false] };
    for has_spool in spools {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let seconds = ENDS.map(|end| run(url, end, has_spool.then(|| folder.path())));
        println!("| {server} | {} | {} |", if *has_spool { "yes" } else { "no" }, seconds.join(" | "));
    }
}

/// The same, with a spool whose folder holds as many files as there are, which are not the spool's.
#[cfg(all(feature = "spool", unix))]
fn print_crowded(server: &str, url: &str) {
    let files = if is_bench() { 100_000 } else { 100 };
    let folder = tempfile::tempdir().expect("a folder can be made");
    run(url, ENDS[0], Some(folder.path())); // makes the folders
    let mut below = fs::read_dir(folder.path().join(BELOW)).expect("the program has kept its events");
    let account = below.next().expect("there is one account").expect("the folder can be read").path();
    for number in 0..files {
        fs::write(account.join(format!("theirs-{number}")), "").expect("the disk has room");
    }
    let seconds = ENDS.map(|end| run(url, end, Some(folder.path())));
    println!("| {server} | yes, beside {files} other files | {} |", seconds.join(" | "));
}

/// Runs the program in a process of its own, which prints its time.
fn run(url: &str, end: &str, spool: Option<&Path>) -> String {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.env(URL, url).env(END, end).env("RUST_BACKTRACE", "0"); // a stack takes time of its own
    command.env_remove("CI"); // where it is set, a spool does not shorten the waits
    if let Some(folder) = spool {
        command.env(SPOOL, folder);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The program of the README.
fn program(url: &str) -> Duration {
    let config = Config::new("tml-example").base_url(url);
    let began = Instant::now();
    let builder = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true);
    #[cfg(all(feature = "spool", unix))]
    let builder = match env::var_os(SPOOL) {
        Some(folder) => builder.spool(tinker_telemetry::Spool::at(Path::new(&folder).join(BELOW))),
        None => builder,
    };
    let reporter = builder.start().expect("the settings are valid");
    reporter.log("checkpoint.saved", json!({"step": 1200, "loss": 0.4213}), Severity::Info);
    let end = env::var(END).unwrap_or_default();
    if end == ENDS[1] {
        reporter.log_fatal_exception(&io::Error::other("diverged"), Severity::Critical);
    }
    if end == ENDS[2] {
        reporter.stop(Duration::from_secs(1));
    } else {
        reporter.wait_until_drained(Duration::from_secs(5));
    }
    drop(reporter);
    began.elapsed()
}

/// A port where connecting hangs, and what keeps it so: the backlog is full, and no connection is accepted.
fn full_backlog() -> io::Result<(SocketAddr, (Socket, Vec<TcpStream>))> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(0)?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let fillers = std::iter::from_fn(connect).collect();
    Ok((address, (socket, fillers)))
}
