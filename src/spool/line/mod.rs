//! The format of the lines of a file. It does no I/O.
//!
//! ```text
//! h <crc> {"v":1,"base_url":"…","born":"…","platform":"…","sdk_version":"…","session_id":"…","process_uuid":"…"}
//! e <crc> {an event, as on the wire}
//! b <crc> ["<idempotency key>",<where the first event's line begins>,<where the last one's does>]
//! d <crc> "<idempotency key>"        the batch has its fate
//! t <crc> {"at":"…","status":503}    a later run's try that failed
//! ```
//!
//! The CRC32 covers the kind and the text, so a line that is torn or changed is the only one that is lost. A batch
//! names places in the file, not numbers of events, so a lost line changes no other. An event belongs to the last
//! batch that names it.

use std::collections::{BTreeMap, HashSet};
use std::time::SystemTime;

use serde::Deserialize;

use crate::model::event::Timestamp;
use crate::wire::envelope::{Envelope, Sender};

const VERSION: u32 = 1;

/// Where a line begins in its file.
pub(crate) type Place = u64;

/// `k 01234567 `
const HEAD: usize = 11;

/// Appends a line. A line break in the text, which in JSON can only stand between two tokens, becomes a space.
pub(crate) fn put(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(&[kind; HEAD]);
    out.extend_from_slice(text);
    let (head, text) = out[begin..].split_at_mut(HEAD);
    if memchr::memchr(b'\n', text).is_some() {
        text.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    }
    head[1..].copy_from_slice(format!(" {:08x} ", checksum(kind, text)).as_bytes());
    out.push(b'\n');
}

fn checksum(kind: u8, text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(text);
    hasher.finalize()
}

pub(super) fn put_header(base_url: &str, envelope: &Envelope, out: &mut Vec<u8>) {
    let mut text = format!(r#"{{"v":{VERSION},"base_url":"#).into_bytes();
    text.extend_from_slice(&json(base_url));
    text.extend_from_slice(format!(r#","born":"{}","#, Timestamp::from(SystemTime::now())).as_bytes());
    text.extend_from_slice(envelope.sender());
    text.push(b'}');
    put(b'h', &text, out);
}

pub(super) fn put_batch(key: &str, first: Place, last: Place, out: &mut Vec<u8>) {
    put(b'b', &json(&(key, first, last)), out);
}

pub(super) fn put_done(key: &str, out: &mut Vec<u8>) {
    put(b'd', &json(key), out);
}

pub(super) fn put_try(status: u16, out: &mut Vec<u8>) {
    let at = Timestamp::from(SystemTime::now());
    put(b't', format!(r#"{{"at":"{at}","status":{status}}}"#).as_bytes(), out);
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default() // texts and numbers can always be written
}

#[derive(Debug, Deserialize)]
struct Header {
    v: u32,
    base_url: String,
    born: Timestamp,
    platform: String,
    sdk_version: String,
    session_id: String,
    process_uuid: String,
}

/// What is left to send of a file.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) base_url: String,
    pub(crate) born: SystemTime,
    /// Who made the events.
    pub(crate) sender: Sender<'static>,
    /// How many tries failed.
    pub(crate) tries: u32,
    /// The events without a fate, in the order in which they were written.
    pub(crate) left: Vec<Left<'a>>,
    /// The end of the last whole line.
    pub(crate) end: Place,
}

/// A batch that was begun and has no fate, or events that were in no batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left<'a> {
    pub(crate) key: Option<String>,
    pub(crate) events: Vec<(Place, &'a [u8])>,
}

/// Reads a file. `None`: it has no header that can be trusted, or one of another version.
pub(crate) fn read(file: &[u8]) -> Option<Contents<'_>> {
    let mut header = None;
    let mut events = BTreeMap::new();
    let mut batches: Vec<(String, Place, Place)> = Vec::new();
    let mut done = HashSet::new();
    let (mut tries, mut end) = (0, 0);
    for (place, line) in lines(file) {
        let Some((kind, text)) = check(line) else { continue };
        end = place + line.len() as Place + 1;
        match kind {
            b'h' if header.is_none() => header = Some(serde_json::from_slice::<Header>(text).ok()?),
            b'e' => _ = events.insert(place, text),
            b'b' => batches.extend(serde_json::from_slice::<(String, Place, Place)>(text)),
            b'd' => done.extend(serde_json::from_slice::<String>(text)),
            b't' => tries += 1,
            _ => {} // a kind of a later version; an earlier version may skip it
        }
    }
    let header = header.filter(|header| header.v == VERSION)?;
    // Of batches that name an event the last one has it, but none that names more: the lines of a batch that was written in
    // two parts may have those of another one between them.
    let width = |number: usize| batches[number].2 - batches[number].1;
    let mut owners: BTreeMap<Place, usize> = BTreeMap::new();
    for (number, (_, first, last)) in batches.iter().enumerate().filter(|(_, (_, first, last))| first <= last)
    {
        for (place, _) in events.range(first..=last) {
            if owners.get(place).is_none_or(|owner| width(number) <= width(*owner)) {
                owners.insert(*place, number);
            }
        }
    }
    let mut left: Vec<(Option<usize>, Left<'_>)> = Vec::new();
    for (place, text) in events {
        let owner = owners.get(&place).copied();
        let key = owner.map(|number| &batches[number].0);
        if key.is_some_and(|key| done.contains(key)) {
            continue;
        }
        match left.last_mut() {
            Some((last, group)) if *last == owner => group.events.push((place, text)),
            _ => left.push((owner, Left { key: key.cloned(), events: vec![(place, text)] })),
        }
    }
    // The events under a key are the same on every attempt, so a batch that was split meanwhile has no key. Its parts, at
    // its ends or between them, were begun after it.
    for (owner, group) in &mut left {
        let names_all = owner.is_some_and(|number| {
            let (_, first, last) = &batches[number];
            let is_split = owners.range(first..=last).any(|(_, owner)| *owner > number);
            !is_split
                && group.events.first().is_some_and(|(place, _)| place == first)
                && group.events.last().is_some_and(|(place, _)| place == last)
        });
        if !names_all {
            group.key = None;
        }
    }
    Some(Contents {
        base_url: header.base_url,
        born: header.born.into(),
        sender: Sender {
            platform: header.platform.into(),
            sdk_version: header.sdk_version.into(),
            session_id: header.session_id.into(),
            process_uuid: header.process_uuid.into(),
        },
        tries,
        left: left.into_iter().map(|(_, left)| left).collect(),
        end,
    })
}

/// The lines that have an end, each with its place.
fn lines(file: &[u8]) -> impl Iterator<Item = (Place, &[u8])> {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', file).map(move |end| {
        let line = (begin as Place, &file[begin..end]);
        begin = end + 1;
        line
    })
}

/// The kind and the text of a line. `None` if it is not whole.
fn check(line: &[u8]) -> Option<(u8, &[u8])> {
    let (head, text) = line.split_at_checked(HEAD)?;
    let kind = head[0];
    let is_whole = head[1..] == *format!(" {:08x} ", checksum(kind, text)).as_bytes();
    is_whole.then_some((kind, text))
}

#[cfg(test)]
mod tests;
