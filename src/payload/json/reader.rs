//! Reads the JSON that this crate makes, from its beginning to its end, and copies none of it.
//!
//! Why not `serde_json`? What it makes of a number depends on features that any other crate can switch on, and it
//! does not know the floats that are left as bits.

use std::borrow::Cow;
use std::str::from_utf8;

use memchr::memchr2;

use super::split_float;

/// A JSON text, as far as it is not read. Each method reads one thing; `None` if it is not there.
#[derive(Clone)]
pub(crate) struct Reader<'t> {
    rest: &'t [u8],
}

/// A value, or the beginning of one.
#[derive(Debug, PartialEq)]
pub(crate) enum Token<'t> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// UTF-8, as all texts of this crate's JSON are. To check that again would be a fifth of what reading costs.
    Text(Cow<'t, [u8]>),
    OpenList,
    OpenObject,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(json: &'t [u8]) -> Self {
        Self { rest: json }
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn is_at_bracket(&self) -> bool {
        matches!(self.rest.first(), Some(b'{' | b'['))
    }

    /// Whether this byte comes next. If so, it is read, with the spaces around it. Only JSON of the caller's has spaces.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        self.skip_spaces();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                self.skip_spaces();
                true
            }
            _ => false,
        }
    }

    /// The key of a member.
    pub(crate) fn key(&mut self) -> Option<Cow<'t, [u8]>> {
        let key = self.text()?;
        self.take(b':').then_some(key)
    }

    /// A value. Of a list or an object only the bracket is read.
    pub(crate) fn token(&mut self) -> Option<Token<'t>> {
        match self.rest.first()? {
            b'"' => self.text().map(Token::Text),
            b'{' => self.take(b'{').then_some(Token::OpenObject),
            b'[' => self.take(b'[').then_some(Token::OpenList),
            b't' => self.word(b"true", Token::Bool(true)),
            b'f' => self.word(b"false", Token::Bool(false)),
            b'n' => self.word(b"null", Token::Null),
            _ => self.number(),
        }
    }

    /// The text that comes next, if it has no escapes. It is not read yet.
    pub(crate) fn peek_text(&self) -> Option<&'t [u8]> {
        let inside = self.rest.strip_prefix(b"\"")?;
        let at = memchr2(b'"', b'\\', inside)?;
        (inside[at] == b'"').then_some(&inside[..at])
    }

    /// A whole value, as it stands there.
    pub(crate) fn raw(&mut self) -> Option<&'t [u8]> {
        let start = self.rest;
        let mut levels = 0_usize;
        loop {
            match self.rest.first()? {
                b']' | b'}' => {
                    levels = levels.checked_sub(1)?;
                    self.rest = &self.rest[1..];
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => self.rest = &self.rest[1..],
                _ => {
                    if matches!(self.token()?, Token::OpenList | Token::OpenObject) {
                        levels += 1;
                    }
                }
            }
            if levels == 0 {
                return Some(&start[..start.len() - self.rest.len()]);
            }
        }
    }

    fn word(&mut self, word: &[u8], token: Token<'t>) -> Option<Token<'t>> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(token)
    }

    fn text(&mut self) -> Option<Cow<'t, [u8]>> {
        match self.peek_text() {
            Some(text) => {
                self.rest = &self.rest[text.len() + 2..];
                Some(Cow::Borrowed(text))
            }
            None => self.escaped_text(),
        }
    }

    #[cold]
    fn escaped_text(&mut self) -> Option<Cow<'t, [u8]>> {
        let inside = self.rest.strip_prefix(b"\"")?;
        let mut end = memchr2(b'"', b'\\', inside)?;
        while inside[end] == b'\\' {
            let after_escape = end + 2;
            end = after_escape + memchr2(b'"', b'\\', inside.get(after_escape..)?)?;
        }
        let (quoted, rest) = self.rest.split_at(end + 2);
        self.rest = rest;
        serde_json::from_slice(quoted).ok().map(|text: String| Cow::Owned(text.into_bytes()))
    }

    /// An integer past the limits of `i64` is a float: OTLP has no other integer.
    fn number(&mut self) -> Option<Token<'t>> {
        if let Some((float, rest)) = split_float(self.rest) {
            self.rest = rest;
            return Some(Token::Float(float));
        }
        let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = self.rest.iter().position(|byte| !is_of_number(byte)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(len);
        let digits = from_utf8(digits).ok()?;
        self.rest = rest;
        match digits.parse() {
            Ok(integer) if digits != "-0" => Some(Token::Integer(integer)),
            _ => digits.parse().ok().map(Token::Float),
        }
    }

    fn skip_spaces(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}
