//! Where in the program an event was made, and within which spans: the part `origin` of a bridged event's data.
//!
//! Every text in it is cut, so that the part has a bounded size whatever the program's names are.

use std::thread::Thread;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::process::current_thread;

/// Longer targets and paths are cut.
const MAX_PLACE: usize = 256;
/// Longer names of threads and spans are cut.
const MAX_NAME: usize = 64;

/// The most bytes of an origin as JSON, unless a name needs escapes: its texts and the names of 16 spans.
#[cfg(any(feature = "log", feature = "tracing"))]
pub(super) const MAX_ORIGIN: usize = 2 * 1024;

/// Where an event was made, and within which spans.
#[derive(Default)]
pub(super) struct Origin<'a> {
    pub(super) target: Option<&'a str>,
    pub(super) file: Option<&'a str>,
    pub(super) line: Option<u32>,
    pub(super) thread: Option<ThreadLabel>,
    /// The span that an event is in, or the span that it reports.
    pub(super) span_id: Option<u64>,
    /// The span that encloses that one.
    pub(super) parent_span_id: Option<u64>,
    /// The names of the enclosing spans, from the outermost to the innermost.
    pub(super) spans: Vec<&'static str>,
}

/// A thread by its name, or by its number if it has none.
pub(super) struct ThreadLabel(Thread);

/// A number that no other span of this process has. It does not come from the subscriber: those ids are used again, and
/// are too large for readers that take every number for a float.
#[cfg(any(feature = "tracing", feature = "ureq"))]
pub(super) fn next_span_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};

    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The thread of this call. `None` on a thread that ends and has no handle of its own any more.
pub(super) fn current_thread() -> Option<ThreadLabel> {
    current_thread::current_thread().map(ThreadLabel)
}

impl Serialize for ThreadLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name() {
            Some(name) => serializer.serialize_str(first(name, MAX_NAME)),
            None => serializer.collect_str(&format_args!("{:?}", self.0.id())),
        }
    }
}

impl Serialize for Origin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(target) = self.target {
            map.serialize_entry("target", first(target, MAX_PLACE))?;
        }
        if let Some(file) = self.file {
            map.serialize_entry("file", last(file, MAX_PLACE))?; // the end of a path says more than its beginning
        }
        if let Some(line) = self.line {
            map.serialize_entry("line", &line)?;
        }
        if let Some(thread) = &self.thread {
            map.serialize_entry("thread", thread)?;
        }
        if let Some(id) = self.span_id {
            map.serialize_entry("span_id", &id)?;
        }
        if let Some(id) = self.parent_span_id {
            map.serialize_entry("parent_span_id", &id)?;
        }
        if !self.spans.is_empty() {
            let spans: Vec<_> = self.spans.iter().map(|name| first(name, MAX_NAME)).collect();
            map.serialize_entry("spans", &spans)?;
        }
        map.end()
    }
}

/// At most so many bytes of the beginning.
fn first(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// At most so many bytes of the end.
fn last(text: &str, max: usize) -> &str {
    let start = text.len().saturating_sub(max);
    let start = (start..=text.len()).find(|start| text.is_char_boundary(*start));
    &text[start.unwrap_or_default()..]
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn texts_are_cut_between_letters() {
        assert_eq!((first("äöü", 3), last("äöü", 3)), ("ä", "ü"));
        assert_eq!((first("äöü", 6), last("äöü", 9)), ("äöü", "äöü"));
        assert_eq!((first("", 0), last("ä", 0)), ("", ""));
    }

    #[test]
    #[cfg(any(feature = "log", feature = "tracing"))]
    fn the_size_is_bounded_whatever_the_names_are() {
        let long = "x".repeat(10_000);
        let name: &'static str = long.clone().leak();
        let origin = Origin {
            target: Some(&long),
            file: Some(&long),
            line: Some(u32::MAX),
            thread: current_thread(),
            span_id: Some(u64::MAX),
            parent_span_id: Some(u64::MAX),
            spans: vec![name; 16],
        };
        let json = serde_json::to_string(&origin).unwrap();
        assert!(json.len() <= MAX_ORIGIN, "{}", json.len());
    }

    #[test]
    fn a_thread_without_a_name_has_its_number() {
        let label = || serde_json::to_string(&current_thread().unwrap()).unwrap();
        let named = thread::Builder::new().name("sampler".to_owned()).spawn(label).unwrap();
        assert_eq!(named.join().unwrap(), "\"sampler\"");
        assert!(thread::spawn(label).join().unwrap().starts_with("\"ThreadId("));
    }
}
