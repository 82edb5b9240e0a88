//! Real servers from the operating system's packages. The test that needs one starts it; it ends with the test.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(clippy::print_stderr, reason = "a skipped test prints the reason")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::LIMIT;

/// Whether all of these programs are installed. Where one is missing, this prints that the test is skipped; with the
/// variable `REQUIRE_REAL_SERVERS` the test fails instead.
pub fn is_installed(programs: &[&str]) -> bool {
    match programs.iter().find(|program| find(program).is_none()) {
        Some(missing) => {
            skip(&format!("{missing} is not installed"));
            false
        }
        None => true,
    }
}

pub fn skip(reason: &str) {
    assert!(std::env::var_os("REQUIRE_REAL_SERVERS").is_none(), "REQUIRE_REAL_SERVERS is set, but {reason}");
    print_skipped(reason);
}

pub fn print_skipped(reason: &str) {
    // Directly to standard error: the test harness hides the captured output of a test that passes.
    let name = thread::current().name().unwrap_or_default().to_owned();
    let _ =
        std::io::Write::write_all(&mut std::io::stderr(), format!("skipped {name}: {reason}\n").as_bytes());
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // The search path of an ordinary user may lack the folders of servers.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A server's process and its directory. A drop removes both, and so does a panic.
pub struct Server {
    process: Child,
    directory: TempDir,
    port: u16,
}

impl Server {
    /// Starts the program with a configuration file, and returns when the program accepts connections. `configuration`
    /// makes the file's text from the server's directory and a free port. Where another program takes that port first,
    /// the next port is tried. The configuration must name a file `pid` in the directory: the program writes it when it
    /// has the port.
    pub fn start(program: &str, options: &[&str], configuration: impl Fn(&Path, u16) -> String) -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            if let Some(server) = Self::start_on(port, program, options, &configuration) {
                return server;
            }
        }
        panic!("{program} does not start");
    }

    /// The same on this port. `None` where the program ended; its log is then in the test's output.
    pub fn start_on(
        port: u16,
        program: &str,
        options: &[&str],
        configuration: impl Fn(&Path, u16) -> String,
    ) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("configuration");
        fs::write(&file, configuration(directory.path(), port)).unwrap();
        let process = Command::new(find(program).unwrap())
            .args(options)
            .arg("-c")
            .arg(&file)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, directory, port };
        let begun = Instant::now();
        while server.file("pid").is_empty() || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if server.process.try_wait().unwrap().is_some() {
                eprintln!("{program} ended: {}", server.file("log"));
                return None;
            }
            assert!(begun.elapsed() < LIMIT, "{program} accepts no connections");
            thread::park_timeout(Duration::from_millis(5)); // a real server gives no signal when it is ready
        }
        Some(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The text of a file in the server's directory.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
