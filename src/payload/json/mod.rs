//! Writes a value as JSON, up to a size and down to a depth.
//!
//! Floats are left as they are, for [`expand`] to write on the worker's thread: finding the shortest digits that say
//! a number takes as long as all the rest. `serde_json` writes the integers. The structure and the strings are
//! written here, since it looks at each byte of each string, the names of fields too, which alone was a third of what
//! a call cost its caller. What comes out in the end is the same, byte for byte.

mod serializer;

use std::io;

use memchr::memchr;
use serde::Serialize;

use crate::model::stats::RefusalReason;
use crate::payload::buffer::Buffer;

/// Data nested deeper are refused: parsers have a limit (that of `serde_json` is 128, and a request adds 4), and the
/// one that meets it rejects the batch, with everybody's events. It also bounds the stack that encoding takes of the
/// caller.
pub(crate) const MAX_DEPTH: usize = 100;

/// Stands before the eight bytes of a float. No JSON has this byte: inside strings it is escaped, and outside of them
/// it is not allowed.
const FLOAT: u8 = 1;
const FLOAT_LEN: usize = 1 + size_of::<f64>();
/// As text: `-2.2250738585072014e-308`.
const MAX_FLOAT_LEN: usize = 24;
/// As text: `0.5`.
const MIN_FLOAT_LEN: usize = 3;

/// A value in the making.
pub(crate) struct Json {
    out: Box<Buffer>,
    /// Where in the buffer it begins.
    start: usize,
    /// How long it may become as text.
    limit: usize,
    floats: usize,
    levels_left: usize,
    /// Off while a text is written that is JSON already.
    escapes: bool,
    /// Why there will be no value. Kept, since the caller's code may go on as if nothing had happened.
    error: Option<EncodeError>,
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodeError(RefusalReason);

const INVALID: EncodeError = EncodeError(RefusalReason::InvalidData);

impl Json {
    /// A value of at most `limit` bytes, to be written after what is in the buffer.
    #[inline]
    pub(crate) fn after(out: Box<Buffer>, limit: usize) -> Self {
        Self { start: out.len(), out, limit, floats: 0, levels_left: MAX_DEPTH, escapes: true, error: None }
    }

    /// Writes the one value, as an object: nothing becomes `{}`, and what is neither becomes `{"value": …}`.
    #[inline]
    pub(crate) fn write_object(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), RefusalReason> {
        let _ = self.value(value); // kept
        if let Some(EncodeError(reason)) = self.error {
            return Err(reason);
        }
        match self.out.bytes().get(self.start) {
            Some(b'{') => {}
            Some(b'n') => {
                // null: the only value that begins so
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
            return Err(RefusalReason::InvalidData); // something was begun and not ended
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
    #[expect(clippy::unnecessary_box_returns, reason = "it came so")]
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

    /// The limit is checked only here, since most parts are a few bytes that fit the buffer; [`fits`](Self::fits)
    /// checks the whole at the end. Short floats are shorter as text than as nine bytes.
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
            self.grow(1)?; // by more than any number takes
            return self.number(number);
        }
        let len = room - rest.len();
        self.out.next(len);
        Ok(())
    }

    #[inline]
    fn float(&mut self, float: f64) -> Result<(), EncodeError> {
        if !float.is_finite() {
            return self.put(b"null");
        }
        let Some([mark, bits @ ..]) = self.out.next(FLOAT_LEN) else {
            self.grow(MIN_FLOAT_LEN)?; // by more than it takes
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

    /// What comes before a member's value, all at once: most names are known when the program is compiled, and this
    /// becomes a few stores of constants.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is worth it only where the name is a constant")]
    fn name(&mut self, before: u8, name: &str) -> Result<(), EncodeError> {
        let Some([first, open, inside @ .., close, colon]) = self.room_for_plain(name.as_bytes(), 4) else {
            return self.rare_name(before, name.as_bytes());
        };
        (*first, *open, *close, *colon) = (before, b'"', b'"', b':');
        inside.copy_from_slice(name.as_bytes());
        Ok(())
    }

    /// Room for a text that needs no escapes and a few bytes around it, if there is.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as `name`")]
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

/// Whether a text can stand between quotes as it is. Takes eight bytes at a time, without a branch for each; the last
/// eight may be some of those before again.
#[inline(always)]
#[expect(clippy::inline_always, reason = "of a constant it is a constant")]
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

/// How much of a text can stand as it is before something has to be escaped.
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

/// Of eight bytes. The highest bit of each tells, after a subtraction that borrows from it where the byte is too small.
/// It borrows from the next byte too, which may then be told wrongly, but only where the answer is no already.
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

/// Writes the JSON as text, floats and all.
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
