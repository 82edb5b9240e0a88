//! Keeps the promise of a timely end where a name does not resolve. The test runs in a network namespace of its own,
//! with a name server that accepts queries and never answers. Without the right to make one it is skipped and prints
//! why.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

use crate::exit_bound::child::{await_end, role, set_role};
use crate::exit_bound::control::machine;
use crate::exit_bound::report::{Finding, Lateness, Report, TRIES, rounds};
use crate::exit_bound::scene::{Leave, Load};
use crate::server::journal::HANG;
use crate::truth::audit::contradiction;

/// The beginning of a line with a measurement.
const LATE: &str = "lateness:";

/// Sets up the namespace: only the loopback network, and a name server that never answers.
const NAMESPACE: &str = r#"mount --bind "$0" /etc/resolv.conf && ip link set lo up && exec "$@""#;

/// A command that runs this binary in such a namespace, or the reason why there is none.
fn namespaced(resolv_conf: &Path) -> Result<Command, String> {
    let mut reasons = Vec::new();
    for rights in [&["--net", "--mount"][..], &["--user", "--map-root-user", "--net", "--mount"]] {
        let command = |program: &str| {
            let mut command = Command::new("unshare");
            command.args(rights).args(["sh", "-c", NAMESPACE]).arg(resolv_conf).arg(program);
            command
        };
        match command("true").output() {
            Ok(output) if output.status.success() => {
                return Ok(command(&std::env::current_exe().unwrap().to_string_lossy()));
            }
            Ok(output) => reasons.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => reasons.push(format!("unshare: {error}")),
        }
    }
    Err(reasons.join("; "))
}

/// Runs in the namespace. Prints the lateness of each leave and limit, one in a line.
fn leave_without_names() {
    let resolver = UdpSocket::bind("127.0.0.1:53").expect("the port is free in a namespace of its own");
    resolver.set_read_timeout(Some(HANG)).unwrap();
    let load = Load { bulk: 20, queue: None };
    for leave in Leave::ALL {
        for (place, limit) in Leave::LIMITS.into_iter().enumerate() {
            let name = format!("{}-{place}", leave.name().replace('_', "-"));
            let builder = load.builder(&format!("http://{name}.telemetry.test"));
            let reporter = leave.limit(builder, limit).start().expect("the reporter starts");
            load.log(&reporter);
            let mut query = [0; 512];
            while !String::from_utf8_lossy(&query).contains(&name) {
                resolver.recv(&mut query).expect("the worker looks up the name");
            }
            let (late, left) = Lateness::of(limit, || leave.leave(reporter, limit));
            assert_eq!(left.and_then(|left| contradiction(&left.reporter.stats())), None);
            println!("{LATE} {} {place} {} {}", leave.name(), late.ours.as_nanos(), late.control.as_nanos());
        }
    }
}

/// Reads such a line.
fn read_lateness(line: &str) -> Option<(Leave, Duration, Lateness)> {
    // The line may begin with a text of the test harness.
    let mut words = line.split_once(LATE)?.1.split_whitespace();
    let name = words.next()?;
    let leave = Leave::ALL.into_iter().find(|leave| leave.name() == name)?;
    let limit = *Leave::LIMITS.get(words.next()?.parse::<usize>().ok()?)?;
    let mut nanos = || words.next()?.parse().ok().map(Duration::from_nanos);
    Some((leave, limit, Lateness { ours: nanos()?, control: nanos()? }))
}

pub(super) const HANG_NAME: &str = "a resolver that never answers";

#[test]
fn a_resolver_that_never_answers_ends_on_time() {
    const TEST: &str = "exit_bound::resolver::a_resolver_that_never_answers_ends_on_time";
    if role().is_some() {
        return leave_without_names();
    }
    let _machine = machine();
    let resolv_conf = std::env::temp_dir().join(format!("telemetry-resolv-{}.conf", process::id()));
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").unwrap();
    let namespaced = || namespaced(&resolv_conf);
    if let Err(reason) = namespaced() {
        println!("skipped: no network namespace can be made here: {reason}");
    } else {
        let mut report = Report::of([HANG_NAME]);
        for _ in 0..rounds() {
            let on_time = (0..TRIES).rev().any(|tries_left| {
                let mut command = namespaced().unwrap();
                set_role(&mut command, TEST, "nameless");
                let (code, output) = await_end(command);
                let lines: Vec<_> = output.lines().filter_map(read_lateness).collect();
                let expected = Leave::ALL.len() * Leave::LIMITS.len();
                assert!(code == Some(0) && lines.len() == expected, "exit code {code:?}\n{output}");
                lines.into_iter().all(|(leave, limit, late)| {
                    report.record(HANG_NAME, leave, limit, Finding { late, wrong: None }, tries_left)
                })
            });
            assert!(on_time, "the last try is always recorded");
        }
        report.conclude("Calls that return");
    }
    std::fs::remove_file(&resolv_conf).unwrap();
}
