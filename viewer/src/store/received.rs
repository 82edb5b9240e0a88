//! One request, as it is kept.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::Telemetry;

/// What is around the events of a request.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub retry: u32,
    /// What it was answered; 0 is no answer.
    pub status: u16,
}

/// A request that is no telemetry, and why.
#[derive(Debug, Serialize)]
pub struct Other<'a> {
    pub method: &'a str,
    /// Without the query, which may hold secrets.
    pub path: &'a str,
    pub bytes: u64,
    pub why: &'a str,
}

/// One request: what is around its events, once, and the events. Each makes one line of JSON.
#[derive(Debug)]
pub struct Received {
    head: String,
    items: Vec<Box<str>>,
}

#[derive(Serialize)]
struct Head {
    received: u64,
    #[serde(skip_serializing_if = "is_zero")]
    retry: u32,
    status: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(retry: &u32) -> bool {
    *retry == 0
}

impl Received {
    pub fn telemetry(telemetry: &Telemetry<'_>, around: Circumstances) -> Self {
        let mut head = String::from("{");
        let fields = [
            ("session_id", Some(telemetry.session_id)),
            ("process_uuid", telemetry.process_uuid),
            ("platform", telemetry.platform),
            ("sdk_version", telemetry.sdk_version),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                let _ = write!(head, "\"{name}\":{},", one_line(value.get())); // a string takes all
            }
        }
        head.push_str(&numbers(around)[1..]);
        head.push_str(",\"event\":");
        let items = telemetry.events.iter().map(|event| one_line(event.get()).into()).collect();
        Self { head, items }
    }

    pub fn other(other: &Other<'_>, status: u16) -> Self {
        let head = numbers(Circumstances { retry: 0, status }) + ",\"other\":";
        Self { head, items: vec![serde_json::to_string(other).unwrap_or_default().into()] }
    }

    /// A line that was kept earlier and is shown as it was: `{"session_id":…,"event":{…}}`.
    pub fn kept(line: &str) -> Self {
        let line = line.trim_end();
        Self { head: String::new(), items: vec![line.strip_suffix('}').unwrap_or(line).into()] }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The memory that it holds.
    pub fn bytes(&self) -> usize {
        const OF_AN_ITEM: usize = 32; // a fat pointer, and what an allocator adds
        self.head.len() + self.items.iter().map(|item| item.len() + OF_AN_ITEM).sum::<usize>()
    }

    /// Writes its lines, each between `before` and a line feed.
    pub fn write_lines(&self, before: &str, into: &mut Vec<u8>) {
        for item in &self.items {
            for part in [before, &self.head, item, "}\n"] {
                into.extend_from_slice(part.as_bytes());
            }
        }
    }
}

/// `{"received":…,"status":…`, without the end.
fn numbers(around: Circumstances) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let received = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let head = Head { received, retry: around.retry, status: around.status };
    let mut text = serde_json::to_string(&head).unwrap_or_default();
    text.pop();
    text
}

/// JSON has line feeds only between its values, where a space means the same.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::parse;

    fn lines(received: &Received) -> String {
        let mut text = Vec::new();
        received.write_lines("", &mut text);
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn an_event_keeps_the_words_it_was_sent_in() {
        let body = "{\"session_id\":\"s\",\"events\":[{\"event\":\"GENERIC_EVENT\",\n \"x\":1e400,\"y\":12345678901234567890}]}";
        let telemetry = parse(body.as_bytes()).expect("telemetry");
        let line = lines(&Received::telemetry(&telemetry, Circumstances { retry: 2, status: 503 }));
        assert!(line.starts_with(r#"{"session_id":"s","received":"#), "{line}");
        assert!(line.contains(r#""retry":2,"status":503,"event":{"event":"GENERIC_EVENT","#), "{line}");
        assert!(line.ends_with("\"x\":1e400,\"y\":12345678901234567890}}\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_kept_line_comes_back_unchanged() {
        let line = r#"{"session_id":"s","event":{"event":"GENERIC_EVENT"}}"#;
        assert_eq!(lines(&Received::kept(line)).trim_end(), line);
    }
}
