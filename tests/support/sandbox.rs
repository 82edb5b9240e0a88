//! A place with its own network, name table and environment: the test runs itself again in namespaces of its own, from
//! which no packet leaves, and where the ports and names that a test likes are its own.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::real::{is_installed, skip};
use crate::support::LIMIT;

/// Set within.
const INSIDE: &str = "TINKER_TELEMETRY_TEST_SANDBOX";

/// With the processes' own, so that all of them end with the first.
const NAMESPACES: [&str; 5] = ["--map-root-user", "--net", "--mount", "--pid", "--kill-child"];

/// What of the environment around goes within: nothing that a reporter reads.
const KEPT: [&str; 3] = ["PATH", "TMPDIR", "RUST_BACKTRACE"];

/// Gives this process a loopback, and its names; then becomes the test.
const ENTER: &str = r#"ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@""#;

/// Runs the test called `name` (the path that `--exact` takes) within, once for each of these environments, and
/// `inside` is what it does there. The variables of the environment are all that there are.
pub fn run(name: &str, environments: &[&[(&str, &str)]], inside: impl Fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if !is_installed(&["unshare", "ip", "mount", "tinyproxy"]) || !is_allowed() {
        return;
    }
    for environment in environments {
        let directory = tempfile::tempdir().unwrap();
        let hosts = directory.path().join("hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n127.0.0.1 tinker.test\n").unwrap();
        let mut child = Command::new("unshare")
            .args(NAMESPACES)
            .args(["sh", "-c", ENTER])
            .arg(&hosts)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env(INSIDE, "yes")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            let mut said = String::new();
            let _ = out.read_to_string(&mut said);
            let _ = err.read_to_string(&mut said);
            sender.send(said)
        });
        let said = done.recv_timeout(2 * LIMIT);
        if said.is_err() {
            let _ = child.kill();
        }
        let success = child.wait().unwrap().success();
        let said = said.unwrap_or_else(|_| "it hangs".to_owned());
        // A name that is none would pass with nothing run.
        assert!(success && said.contains("1 passed"), "within {environment:?}:\n{said}");
    }
}

fn is_allowed() -> bool {
    let probe = ["sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts"];
    let output = Command::new("unshare").args(NAMESPACES).args(probe).output().unwrap();
    if !output.status.success() {
        skip(&format!("namespaces cannot be made: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    output.status.success()
}
