//! A sandbox with its own network, name table and environment. The test runs itself again in namespaces of its own. No
//! packet leaves them, and all ports and names are free for the test.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::real::{is_installed, skip};
use crate::support::LIMIT;

/// The variable that is set inside the sandbox.
const INSIDE: &str = "TINKER_TELEMETRY_TEST_SANDBOX";

/// The namespace of processes is among them, so that all processes end with the first one.
const NAMESPACES: [&str; 5] = ["--map-root-user", "--net", "--mount", "--pid", "--kill-child"];

/// The variables that the sandbox inherits. A reporter reads none of them.
const KEPT: [&str; 3] = ["PATH", "TMPDIR", "RUST_BACKTRACE"];

/// Sets up the loopback interface and the name table, then becomes the test.
const SETUP: &str = r#"ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@""#;

/// Runs `inside` in the sandbox, once for each of these environments. `name` is the full path of the calling test, as
/// `--exact` takes it. A reporter finds the variables of the environment and no others.
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
            .args(["sh", "-c", SETUP])
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
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            let _ = err.read_to_string(&mut text);
            sender.send(text)
        });
        let output = done.recv_timeout(2 * LIMIT);
        if output.is_err() {
            let _ = child.kill();
        }
        let success = child.wait().unwrap().success();
        let output = output.unwrap_or_else(|_| "it hangs".to_owned());
        // A wrong name runs no test, and that is a success too.
        assert!(success && output.contains("1 passed"), "in the sandbox with {environment:?}:\n{output}");
    }
}

fn is_allowed() -> bool {
    let probe = ["sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts"];
    let output = Command::new("unshare").args(NAMESPACES).args(probe).output().unwrap();
    if !output.status.success() {
        skip(&format!("namespaces are not available: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    output.status.success()
}
