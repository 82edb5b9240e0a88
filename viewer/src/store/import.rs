//! Reads lines that were kept or exported earlier, or other lines that hold telemetry.

use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Circumstances, Received, Ring, parse};

/// A longer line is no event: the library's are 256 KiB at most, a request 16 MiB.
const MAX_LINE: u64 = 32 << 20;

/// What became of a file's lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub events: usize,
    /// Lines that are torn, or of another format.
    pub skipped: usize,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "session_id")]
    _session: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "event")]
    _kind: String,
}

/// Puts what the lines hold into the ring. A bad line costs itself alone.
pub fn import(mut lines: impl BufRead, ring: &Ring) -> io::Result<Imported> {
    let mut imported = Imported::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut lines, MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(imported);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Some(received) = one(&line) {
            imported.events += received.len();
            ring.push(received);
        } else {
            imported.skipped += 1;
        }
    }
}

/// A line of ours, the body of a request, or an event alone.
fn one(line: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(line).ok()?.trim();
    if let Ok(line) = serde_json::from_str::<Line<'_>>(text) {
        return serde_json::from_str::<Event>(line.event.get()).ok().map(|_| Received::kept(text));
    }
    let around = Circumstances { retry: 0, status: 200 };
    if let Ok(telemetry) = parse(text.as_bytes()) {
        return Some(Received::telemetry(&telemetry, around));
    }
    serde_json::from_str::<Event>(text).ok()?;
    let body = format!(r#"{{"session_id":"imported","events":[{text}]}}"#);
    parse(body.as_bytes()).ok().map(|telemetry| Received::telemetry(&telemetry, around))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_lines_and_other_formats_cost_themselves_alone() {
        let ring = Ring::default();
        let file = concat!(
            "{\"session_id\":\"s\",\"event\":{\"event\":\"SESSION_START\"}}\n",
            "{\"session_id\":\"s\",\"event\":{\"event\":\"SESS\n",
            "\n",
            "{\"level\":\"info\",\"msg\":\"another's\"}\n",
            "\u{0}\u{1}\n",
            "{\"events\":[{\"event\":\"GENERIC_EVENT\"},{\"event\":\"GENERIC_EVENT\"}],\"session_id\":\"s\"}\n",
            "{\"event\":\"SESSION_END\"}",
        );
        let imported = import(file.as_bytes(), &ring).expect("readable");
        assert_eq!(imported, Imported { events: 4, skipped: 3 });
        assert_eq!(ring.read(0, usize::MAX).requests.len(), 3);
    }
}
