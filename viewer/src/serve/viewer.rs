//! The viewer: what all connections share, and the way from a request to who answers it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::outage::Outage;
use super::{Forward, live, page, programs};
use crate::http::{self, Answer, Connection, Guard, Head};
use crate::store::{Keep, Received, Ring};

const MAX_WORD: u64 = 100;

#[derive(Debug)]
pub struct Viewer {
    pub ring: Ring,
    pub outage: Outage,
    pub forward: Option<Forward>,
    keep: Option<Keep>,
    guard: Guard,
    address: SocketAddr,
    /// Tells a page that was open before a restart that its position means nothing here.
    instance: String,
    /// The program that `run` started, as the page shows it.
    program: Mutex<Option<(String, Option<u8>)>>,
}

impl Viewer {
    pub fn new(address: SocketAddr, guard: Guard, keep: Option<Keep>, forward: Option<Forward>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            ring: Ring::default(),
            outage: Outage::default(),
            forward,
            keep,
            guard,
            address,
            instance: format!("{:x}{:x}", process::id(), now.as_micros()),
            program: Mutex::default(),
        }
    }

    /// Serves on threads of its own until the process ends.
    pub fn serve(self: &Arc<Self>, listener: TcpListener) {
        let viewer = Arc::clone(self);
        http::serve(listener, move |mut connection| {
            // What goes wrong with a connection ends that connection.
            let _ = viewer.connection(&mut connection);
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keeps what arrived, in memory and in the file.
    pub fn take(&self, received: Received) {
        if let Some(keep) = &self.keep {
            keep.append(&received);
        }
        self.ring.push(received);
    }

    /// Shows on the page what `run` started, and its exit code once it has ended.
    pub fn show_program(&self, name: &str, exit_code: Option<u8>) {
        *self.program.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.into(), exit_code));
        self.ring.touch();
    }

    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// What the page shows around the events.
    pub fn status(&self) -> String {
        let program = self.program.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({
            "instance": self.instance,
            "version": env!("CARGO_PKG_VERSION"),
            "url": self.url(),
            "forward": self.forward.as_ref().map(Forward::shown),
            "outage": self.outage.word(),
            "forgotten": self.ring.read(u64::MAX, 0).forgotten,
            "program": program.map(|(name, exit_code)| json!({"name": name, "exit_code": exit_code})),
        })
        .to_string()
    }

    fn connection(&self, connection: &mut Connection) -> io::Result<()> {
        loop {
            let head = match connection.head() {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(()),
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        connection.write(&Answer::detail(400, &error.to_string()).bytes(false, true))?;
                    }
                    return Err(error);
                }
            };
            if let Some(why) = self.guard.refuses(&head) {
                return connection.write(&Answer::detail(403, why).bytes(false, head.method != "HEAD"));
            }
            let usable = match head.path().strip_prefix("/_viewer/") {
                Some("live") => return live::stream(self, connection, &head),
                Some("events") => return live::all(self, connection, &head),
                Some(of_the_page) => self.page(connection, &head, of_the_page)?,
                None if head.path() == "/" && head.method == "GET" => {
                    self.page(connection, &head, "index.html")?
                }
                None => programs::answer(self, connection, &head)?,
            };
            if !usable || !head.keep_alive {
                return Ok(());
            }
        }
    }

    fn page(&self, connection: &mut Connection, head: &Head, name: &str) -> io::Result<bool> {
        let mut body = connection.body(head)?;
        let answer = match (head.method.as_str(), name) {
            ("GET" | "HEAD", "status") => Answer::json(200, self.status()),
            ("GET" | "HEAD", name) => page::file(name),
            ("POST", "outage") => {
                let word = body.read_all(MAX_WORD)?.unwrap_or_default();
                if self.outage.set(&String::from_utf8_lossy(&word)) {
                    self.ring.touch();
                    Answer::json(200, self.status())
                } else {
                    Answer::detail(422, "one of: back, 503, hang, 401, 413, slow")
                }
            }
            _ => Answer::detail(405, "Method Not Allowed"),
        };
        let usable = body.skip();
        connection.answer(&answer, head)?;
        Ok(usable)
    }
}
