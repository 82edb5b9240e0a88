//! What the page and `tail` read: all that is kept, and what arrives.
//!
//! A reader that does not read fills its socket's buffer and is cut off by the write timeout. Meanwhile it costs one
//! message of memory, since it holds a position in the ring and no queue.

use std::io;
use std::time::Duration;

use super::Viewer;
use crate::http::{Answer, Connection, Head};

/// One message: enough to be quick, little enough to be bounded.
const MESSAGE: usize = 256 << 10;
/// A message at least this often, so that both ends notice when the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// News are collected for a moment, so that many small requests make few messages.
const COLLECT: Duration = Duration::from_millis(40);

/// All that is kept, as lines of JSON. `x-position` says from where `live` goes on.
pub fn all(viewer: &Viewer, connection: &mut Connection, head: &Head) -> io::Result<()> {
    let all = viewer.ring.read(0, usize::MAX);
    let extra = format!("x-position: {}-{}\r\n", viewer.instance(), all.next);
    connection.write(&Answer::endless("application/x-ndjson", &extra))?;
    if head.method == "HEAD" {
        return Ok(());
    }
    let mut lines = Vec::new();
    for request in all.requests {
        request.write_lines("", &mut lines);
        if lines.len() > MESSAGE {
            connection.write(&lines)?;
            lines.clear();
        }
    }
    connection.write(&lines)
}

/// Server-sent events from a position on: `status` whenever it changes, and messages of lines.
pub fn stream(viewer: &Viewer, connection: &mut Connection, head: &Head) -> io::Result<()> {
    let asked = head.header("last-event-id").or_else(|| head.query("after")).unwrap_or_default();
    let known = asked.split_once('-').filter(|(instance, _)| *instance == viewer.instance());
    let mut position = known.and_then(|(_, at)| at.parse().ok()).unwrap_or(0);
    connection.write(&Answer::endless("text/event-stream", ""))?;
    if known.is_none() && !asked.is_empty() {
        connection.write(b"event: restart\ndata: {}\n\n")?;
    }

    let mut said = String::new();
    let mut news = viewer.ring.read(position, MESSAGE);
    loop {
        let mut message = Vec::new();
        let status = viewer.status();
        if status != said {
            message.extend_from_slice(format!("event: status\ndata: {status}\n\n").as_bytes());
            said = status;
        }
        position = news.next;
        if news.requests.is_empty() && message.is_empty() {
            message.extend_from_slice(b":\n\n");
        }
        if !news.requests.is_empty() {
            message.extend_from_slice(format!("id: {}-{position}\n", viewer.instance()).as_bytes());
            for request in &news.requests {
                request.write_lines("data: ", &mut message);
            }
            message.push(b'\n');
        }
        connection.write(&message)?;
        let behind = viewer.ring.read(position, 1);
        news = if behind.requests.is_empty() {
            let seen = news.version;
            let waited = viewer.ring.wait(position, 1, seen, HEARTBEAT);
            if waited.version != seen {
                std::thread::sleep(COLLECT);
            }
            viewer.ring.read(position, MESSAGE)
        } else {
            viewer.ring.read(position, MESSAGE)
        };
    }
}
