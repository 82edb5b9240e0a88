//! The viewer under test: the real binary on a port of its own, and a plain client.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Far above what anything here takes: a hang fails the test.
pub const LIMIT: Duration = Duration::from_secs(30);

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinker-telemetry"));
    command
        .args(arguments)
        .env_remove("TINKER_API_KEY")
        .env_remove("TINKER_BASE_URL")
        .env_remove("TINKER_TELEMETRY")
        .env_remove("SSL_CERT_FILE");
    command
}

pub struct Viewer {
    child: Child,
    /// `127.0.0.1:…`
    pub address: String,
    /// What it wrote to standard error until it was ready.
    pub said: String,
}

impl Viewer {
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(options, |_| ())
    }

    /// With a change to the command, such as its environment.
    pub fn start_with(options: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(&[&["view", "--port", "0"], options].concat());
        change(&mut command);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the viewer starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the viewer ended: {said}")).expect("text");
            said.push_str(&line);
            said.push('\n');
            if let Some(url) = line.strip_prefix("The page:") {
                break url.trim().trim_start_matches("http://").to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, said }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn request(&self, head: &str, body: &[u8]) -> Answer {
        request(&self.address, head, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request(
            &format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address),
            b"",
        )
    }

    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        self.request(&head, body)
    }

    pub fn outage(&self, word: &str) {
        assert_eq!(self.post("/_viewer/outage", "", word.as_bytes()).status, 200);
    }

    /// What the page is given, line by line.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        let body = self.get("/_viewer/events").body;
        body.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }

    /// Reads what is live until a line is as wanted.
    pub fn wait_for(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        write!(stream, "GET /_viewer/live HTTP/1.1\r\nhost: {}\r\n\r\n", self.address).expect("sent");
        for line in BufReader::new(stream).lines() {
            let line = line.expect("in time");
            let value = line.strip_prefix("data: ").and_then(|line| serde_json::from_str(line).ok());
            if let Some(value) = value.filter(&wanted) {
                return value;
            }
        }
        panic!("the stream ended");
    }

    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its memory");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") * 1024
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub fn request(address: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("sent");
    let _ = stream.write_all(body); // it may be refused before it is read
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.into(), body: body.into() }
}

/// A request of some events, as the library sends it.
pub fn body_of(session: &str, names: &[&str]) -> String {
    let events: Vec<_> = (names.iter().enumerate())
        .map(|(index, name)| {
            serde_json::json!({
                "event": "GENERIC_EVENT", "event_id": format!("{session}-{index}"), "event_session_index": index,
                "severity": if name.contains("bad") { "ERROR" } else { "INFO" },
                "timestamp": "2026-11-28T09:00:00.000000Z", "event_name": name, "event_data": {"index": index},
            })
        })
        .collect();
    serde_json::json!({"events": events, "platform": "Linux", "sdk_version": "0.1.0", "session_id": session})
        .to_string()
}

pub const TELEMETRY: &str = "/api/v1/telemetry";
