//! Writes a value as JSON, with a limit on its size and on its depth.
//!
//! The problem: encoding is the largest part of what a call of `log` costs its caller, and the size must be known
//! exactly before the queue admits the event.
//!
//! The idea: strings and the structure are written here, eight bytes at a time, into a buffer that the thread keeps.
//! Floats stay eight bytes of binary behind a mark, and [`expand`] writes their digits on the worker's thread:
//! finding the shortest digits of a float takes as long as all the rest of a call. `serde_json` writes the integers.
//! The text that results is the same as that of `serde_json`, byte for byte. A format that has binary floats takes them as
//! they are, with those that JSON cannot write ([`Reader`]).
//!
//! Why not `serde_json`'s serializer with a `Formatter` of our own? It was prototyped. It would save 394 lines of
//! code, and a call would take 58 % more instructions: `serde_json` looks at each byte of each string, of field names
//! too, before the formatter gets it. That alone was a third of a call's cost.
//!
//! The invariants:
//!
//! - The bytes are valid JSON, or there is an error. A wrong `Serialize` (a key without a value, raw JSON that is
//!   none) would spoil the whole batch.
//! - An error is kept in [`Json::error`]. The caller's `Serialize` cannot hide it by ignoring it or by catching a
//!   panic.
//! - The byte [`FLOAT`] stands only before the eight bytes of a float.
//! - No more is written than the limit allows, up to the growth of the buffer.

mod reader;
mod serializer;
mod strict;

pub(crate) use reader::Reader;
#[cfg(feature = "otlp")]
pub(crate) use reader::Token;
pub(crate) use strict::is_strict;

use std::io;

use memchr::memchr;
use serde::Serialize;

use crate::model::stats::RefusalReason;
use crate::payload::buffer::Buffer;

/// Deeper data is refused. Parsers have a limit (that of `serde_json` is 128, and a request adds 4 levels), and a
/// parser that reaches its limit rejects the whole batch. The depth also bounds how much of the caller's stack
/// encoding takes.
pub(crate) const MAX_DEPTH: usize = 100;

/// The mark before the eight bytes of a float. No JSON text contains this byte: in strings it is escaped, and
/// elsewhere it is not allowed.
const FLOAT: u8 = 1;
const FLOAT_LEN: usize = 1 + size_of::<f64>();
/// The longest text of a float: `-2.2250738585072014e-308`.
const MAX_FLOAT_LEN: usize = 24;
/// The shortest text of a float: `0.5`.
const MIN_FLOAT_LEN: usize = 3;

/// A value that is being written.
pub(crate) struct Json {
    out: Box<Buffer>,
    /// Where in the buffer the value begins.
    start: usize,
    /// How many bytes its text may take.
    limit: usize,
    floats: usize,
    levels_left: usize,
    /// False while a text is written that is JSON already.
    escapes: bool,
    /// Why the value is refused. Kept here, since the caller's code may ignore the error and go on.
    error: Option<EncodeError>,
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodeError(RefusalReason);

const INVALID: EncodeError = EncodeError(RefusalReason::InvalidData);

impl Json {
    /// A value of at most `limit` bytes, to be written after the bytes that are in the buffer.
    #[inline]
    pub(crate) fn after(out: Box<Buffer>, limit: usize) -> Self {
        Self { start: out.len(), out, limit, floats: 0, levels_left: MAX_DEPTH, escapes: true, error: None }
    }

    /// Writes the value as an object: nothing becomes `{}`, and any other value becomes `{"value": …}`.
    #[inline]
    pub(crate) fn write_object(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), RefusalReason> {
        let _ = self.value(value); // the error is in `self.error`
        if let Some(EncodeError(reason)) = self.error {
            return Err(reason);
        }
        match self.out.bytes().get(self.start) {
            Some(b'{') => {}
            Some(b'n') => {
                // Only null begins so. A float that becomes null is still a mark.
                self.out.truncate(self.start);
                self.out.put(b"{}");
            }
            Some(_) => {
                self.out.insert(self.start, br#"{"value":"#);
                self.out.put(b"}");
            }
            None => return Err(RefusalReason::InvalidData),
        }
        if self.levels_left < MAX_DEPTH {
            return Err(RefusalReason::InvalidData); // a list or an object was opened and not closed
        }
        if self.fits() { Ok(()) } else { Err(RefusalReason::TooLarge) }
    }

    #[inline]
    fn fits(&self) -> bool {
        let json = &self.out.bytes()[self.start..];
        let longest = json.len() + self.floats * (MAX_FLOAT_LEN - FLOAT_LEN);
        longest <= self.limit || (self.floats > 0 && self.fits_as_text(json))
    }

    #[cold]
    fn fits_as_text(&self, json: &[u8]) -> bool {
        let mut text = Vec::new();
        expand(json, &mut text).is_ok() && text.len() <= self.limit
    }

    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "the buffer is boxed already")]
    pub(crate) fn into_buffer(self) -> Box<Buffer> {
        self.out
    }

    #[inline]
    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        value.serialize(&mut *self).map_err(|error| self.fail(error))
    }

    #[cold]
    fn fail(&mut self, error: EncodeError) -> EncodeError {
        *self.error.get_or_insert(error)
    }

    #[inline]
    fn put(&mut self, part: &[u8]) -> Result<(), EncodeError> {
        let Some(room) = self.out.next(part.len()) else {
            self.grow(part.len())?;
            return self.put(part);
        };
        room.copy_from_slice(part);
        Ok(())
    }

    /// Makes room, if the limit allows it. The limit is checked only here and, exactly, at the end by
    /// [`fits`](Self::fits): most parts are a few bytes that fit the buffer. A short float takes less as text than as
    /// nine bytes, so the check counts the shortest text for each.
    #[cold]
    fn grow(&mut self, by: usize) -> Result<(), EncodeError> {
        let most = self.limit.saturating_add(self.floats * (FLOAT_LEN - MIN_FLOAT_LEN));
        if by > most.saturating_sub(self.out.len() - self.start) {
            return Err(self.fail(EncodeError(RefusalReason::TooLarge)));
        }
        self.out.grow(by);
        Ok(())
    }

    #[inline]
    fn number(&mut self, number: impl Serialize) -> Result<(), EncodeError> {
        let mut rest = self.out.room();
        let room = rest.len();
        if serde_json::to_writer(&mut rest, &number).is_err() {
            self.grow(1)?; // in fact by far more than a number takes
            return self.number(number);
        }
        let len = room - rest.len();
        self.out.next(len);
        Ok(())
    }

    #[inline]
    fn float(&mut self, float: f64) -> Result<(), EncodeError> {
        let Some([mark, bits @ ..]) = self.out.next(FLOAT_LEN) else {
            self.grow(MIN_FLOAT_LEN)?; // in fact by far more than a float takes
            return self.float(float);
        };
        *mark = FLOAT;
        bits.copy_from_slice(&float.to_le_bytes());
        self.floats += 1;
        Ok(())
    }

    #[inline]
    fn text(&mut self, text: &str) -> Result<(), EncodeError> {
        let text = text.as_bytes();
        let Some([open, inside @ .., close]) = self.room_for_plain(text, 2) else {
            return self.rare_text(text);
        };
        (*open, *close) = (b'"', b'"');
        inside.copy_from_slice(text);
        Ok(())
    }

    /// Writes everything that stands before a member's value at once. Most names are known when the program is
    /// compiled, and then this is a few stores of constants.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is cheap only if the name is a constant here")]
    fn name(&mut self, before: u8, name: &str) -> Result<(), EncodeError> {
        let Some([first, open, inside @ .., close, colon]) = self.room_for_plain(name.as_bytes(), 4) else {
            return self.rare_name(before, name.as_bytes());
        };
        (*first, *open, *close, *colon) = (before, b'"', b'"', b':');
        inside.copy_from_slice(name.as_bytes());
        Ok(())
    }

    /// Room for a text and a few bytes around it; `None` if the text needs escapes or the buffer must grow.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `name`")]
    fn room_for_plain(&mut self, text: &[u8], around: usize) -> Option<&mut [u8]> {
        if is_plain(text) { self.out.next(text.len() + around) } else { None }
    }

    #[cold]
    fn rare_name(&mut self, before: u8, name: &[u8]) -> Result<(), EncodeError> {
        self.put(&[before])?;
        self.rare_text(name)?;
        self.put(b":")
    }

    #[cold]
    fn rare_text(&mut self, text: &[u8]) -> Result<(), EncodeError> {
        if text.len() + 2 > self.out.room().len() {
            self.grow(text.len() + 2)?;
        }
        self.put(b"\"")?;
        self.escape(text)?;
        self.put(b"\"")
    }

    fn escape(&mut self, text: &[u8]) -> Result<(), EncodeError> {
        if !self.escapes {
            return self.put(text);
        }
        let mut rest = text;
        loop {
            let (plain, from_special) = rest.split_at(plain_len(rest));
            self.put(plain)?;
            let Some((special, after)) = from_special.split_first() else { return Ok(()) };
            match special {
                b'"' => self.put(br#"\""#),
                b'\\' => self.put(br"\\"),
                b'\n' => self.put(br"\n"),
                b'\r' => self.put(br"\r"),
                b'\t' => self.put(br"\t"),
                0x08 => self.put(br"\b"),
                0x0c => self.put(br"\f"),
                control => self.put(format!("\\u{control:04x}").as_bytes()),
            }?;
            rest = after;
        }
    }
}

/// Whether a text needs no escapes. It looks at eight bytes at a time, without a branch for each byte. The last eight
/// may overlap with those before.
#[inline(always)]
#[expect(clippy::inline_always, reason = "for a constant text the result is a constant")]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        if !are_plain(u64::from_le_bytes(*word)) {
            return false;
        }
        rest = after;
    }
    if let Some(word) = text.last_chunk() {
        return are_plain(u64::from_le_bytes(*word));
    }
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
            are_plain(first | last << 32)
        }
        _ => !text.iter().any(|&byte| is_special(byte)),
    }
}

/// The length of the beginning of a text that needs no escapes.
fn plain_len(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        if !are_plain(u64::from_le_bytes(*word)) {
            break;
        }
        rest = after;
    }
    let plain = rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len());
    text.len() - rest.len() + plain
}

/// Whether none of eight bytes needs an escape. A subtraction sets the highest bit of each byte that is too small. It
/// borrows from the next byte too, so that byte's bit may be wrong, but only if the result is false already.
#[inline]
fn are_plain(word: u64) -> bool {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let below = |word: u64, least: u8| word.wrapping_sub(EACH * u64::from(least)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & (EACH * 0x80) == 0
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// The float that a text begins with, if it is one that is left to be written, and what stands after it.
fn split_float(json: &[u8]) -> Option<(f64, &[u8])> {
    let (bits, after) = json.strip_prefix(&[FLOAT])?.split_first_chunk()?;
    Some((f64::from_le_bytes(*bits), after))
}

/// Writes the JSON with its floats as text. One that is not finite becomes `null`: JSON cannot write it.
pub(crate) fn expand(json: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut rest = json;
    while let Some(at) = memchr(FLOAT, rest) {
        let (before, float) = rest.split_at(at);
        let (bits, after) = float[1..].split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
        out.extend_from_slice(before);
        serde_json::to_writer(&mut *out, &f64::from_le_bytes(*bits))?;
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests;
