//! One file of a spool, read for a look. The library alone decides what is sent: it also knows which lines are whole.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::RawValue;

/// More than the library lets a whole folder grow to.
const MAX_BYTES: u64 = 64 << 20;
/// A line's kind, its checksum, and a space after each.
const HEAD: usize = 11;

pub struct File {
    pub base_url: String,
    pub session: String,
    /// Events that have not arrived.
    pub events: u64,
    pub bytes: u64,
    pub age: Duration,
    /// The process that writes or sends it.
    pub holder: Option<String>,
}

#[derive(Default, Deserialize)]
struct Header {
    base_url: String,
    session_id: String,
}

impl File {
    /// `None`: it is no file of a spool.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let about = fs::symlink_metadata(path)?;
        if !about.is_file() || about.len() > MAX_BYTES || path.extension().is_none_or(|end| end != "tlm") {
            return Ok(None);
        }
        let text = fs::read(path)?;
        let header = lines(&text).find(|(_, kind, _)| *kind == b'h');
        let header: Header =
            header.and_then(|(_, _, json)| serde_json::from_slice(json).ok()).unwrap_or_default();
        Ok(Some(Self {
            base_url: header.base_url,
            session: header.session_id,
            events: left(&text),
            bytes: about.len(),
            age: SystemTime::now().duration_since(about.modified()?).unwrap_or_default(),
            holder: holder(&about),
        }))
    }
}

/// Where each line that ends begins, its kind, and its JSON.
fn lines(file: &[u8]) -> impl Iterator<Item = (usize, u8, &[u8])> {
    let mut begin = 0;
    file.split_inclusive(|byte| *byte == b'\n').filter_map(move |line| {
        let place = begin;
        begin += line.len();
        let json = line.strip_suffix(b"\n")?.get(HEAD..)?;
        serde_json::from_slice::<&RawValue>(json).is_ok().then_some((place, line[0], json))
    })
}

/// How many events have no fate: an event is of the last batch that names it, and has its fate if that batch has.
fn left(file: &[u8]) -> u64 {
    let (mut events, mut done) = (BTreeMap::new(), HashSet::new());
    let mut batches: Vec<(String, usize, usize)> = Vec::new();
    for (place, kind, json) in lines(file) {
        match kind {
            b'e' => _ = events.insert(place, None),
            b'b' => batches.extend(serde_json::from_slice::<(String, usize, usize)>(json)),
            b'd' => done.extend(serde_json::from_slice::<String>(json)),
            _ => {}
        }
    }
    for (key, first, last) in batches.iter().filter(|(_, first, last)| first <= last) {
        events.range_mut(first..=last).for_each(|(_, owner)| *owner = Some(key));
    }
    events.into_values().filter(|owner| owner.is_none_or(|key| !done.contains(key))).count() as u64
}

/// Who has locked the file, where the kernel says so.
fn holder(about: &Metadata) -> Option<String> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // 1: FLOCK  ADVISORY  WRITE 4711 fd:00:1835032 0 EOF
    let inode = format!(":{}", about.ino());
    let lock = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|fields| {
        fields.get(1) == Some(&"FLOCK") && fields.get(5).is_some_and(|file| file.ends_with(&inode))
    })?;
    let id = lock[4];
    let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    Some(format!("{} ({id})", name.trim_end()).trim_start().to_owned())
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn an_event_is_left_until_the_last_batch_that_names_it_has_its_fate() {
        let event = "e 00000000 {}\n"; // 14 bytes
        let events = event.repeat(3);
        assert_eq!(left(events.as_bytes()), 3);
        let batch = format!("{events}b 00000000 [\"k\",0,14]\n");
        assert_eq!(left(batch.as_bytes()), 3);
        let done = format!("{batch}d 00000000 \"k\"\n");
        assert_eq!(left(done.as_bytes()), 1);
        let again = format!("{done}b 00000000 [\"l\",14,28]\n");
        assert_eq!(left(again.as_bytes()), 2);
        let torn = format!("{again}d 00000000 \"l\"");
        assert_eq!(left(torn.as_bytes()), 2);
    }
}
