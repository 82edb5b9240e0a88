//! Keeps the spool's promises: what could not be sent is in a file, the next run sends it, and every event is counted once,
//! whatever happens to the process, the server or the disk.
#![cfg(all(unix, feature = "collector", feature = "spool"))]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod disk;
mod fork;
mod home;
mod identity;
mod kept;
mod killed;
mod mute;
#[cfg(feature = "otlp")]
mod otlp;
mod power;
mod replay;
mod traced;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::{KEY, LIMIT};
use tempfile::TempDir;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Reporter, Severity, Spool};

/// A spool's folder, and a server that is not there yet.
struct Scene {
    outer: TempDir,
    port: u16,
    /// Where the spool is in it.
    below: PathBuf,
    /// Bound and not listened to: it is refused, and no other test gets it.
    _reserved: Socket,
}

impl Scene {
    fn new() -> Self {
        let reserved = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        reserved.set_reuse_address(true).unwrap();
        reserved.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let port = reserved.local_addr().unwrap().as_socket().unwrap().port();
        Self { outer: tempfile::tempdir().unwrap(), port, below: "telemetry".into(), _reserved: reserved }
    }

    fn folder(&self) -> PathBuf {
        self.outer.path().join(&self.below)
    }

    fn spool(&self) -> Spool {
        Spool::at(self.folder())
    }

    /// One whose folder cannot be made: a file is where it is to be.
    fn broken_spool(&self) -> Spool {
        let file = self.outer.path().join("file");
        fs::write(&file, "not a folder").unwrap();
        Spool::at(file.join("telemetry"))
    }

    fn config(&self, key: &str) -> Config {
        Config::new(key).base_url(format!("http://127.0.0.1:{}", self.port))
    }

    /// A run of the program, without a session, with the defaults.
    fn run(&self) -> Builder {
        Reporter::sessionless_builder(self.config(KEY)).enabled(true).spool(self.spool())
    }

    /// Starts the server.
    fn collector(&self) -> Collector {
        Collector::start_on(self.port).unwrap()
    }

    /// A run that is offline and leaves these events.
    fn leave(&self, names: &[&'static str]) {
        let reporter = self.run().start().unwrap();
        for name in names {
            assert!(reporter.log(*name, (), Severity::Info));
        }
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().spooled, names.len() as u64);
    }

    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder())
    }

    /// The events in the files, in the order of their lines.
    fn events(&self) -> Vec<Value> {
        let lines = |file: &PathBuf| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        let events = self.files().iter().map(lines).collect::<Vec<_>>().join("\n");
        let events =
            events.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("e ")?.get(9..)?).ok());
        events.collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Waits for what another thread is about to do.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}
