//! Whether a text is JSON that every parser accepts.
//!
//! Callers may hand in text that is JSON already (`serde_json`'s raw values, and its numbers of arbitrary precision).
//! `serde_json` accepts raw values that other parsers refuse, and a struct of another crate can have the name of a
//! raw value and hold any text. A parser that refuses one event refuses the whole batch, so such text is checked
//! here. `serde_json` cannot check it: what it accepts depends on features that any other crate can switch on.

use std::str::from_utf8;

use super::plain_len;

/// Whether the text is one JSON value, without spaces around it, with at most `max_depth` levels. Refuses the two
/// kinds of JSON that strict parsers refuse: a number that is too large for a float (`1e999`), and half of a
/// surrogate pair (`"\ud800"`).
pub(crate) fn is_strict(text: &[u8], max_depth: usize) -> bool {
    let mut reader = Reader { rest: text, levels_left: max_depth };
    reader.value().is_some() && reader.rest.is_empty()
}

/// Reads a text from its beginning. Each method reads one thing, and returns `None` if that does not come next.
struct Reader<'t> {
    rest: &'t [u8],
    levels_left: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<()> {
        match self.rest.first()? {
            b'{' => self.list(b'}', Self::member),
            b'[' => self.list(b']', Self::value),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn list(&mut self, close: u8, element: fn(&mut Self) -> Option<()>) -> Option<()> {
        self.levels_left = self.levels_left.checked_sub(1)?;
        self.next();
        self.spaces();
        if self.word(&[close]).is_none() {
            loop {
                element(self)?;
                self.spaces();
                if self.word(&[close]).is_some() {
                    break;
                }
                self.word(b",")?;
                self.spaces();
            }
        }
        self.levels_left += 1;
        Some(())
    }

    fn member(&mut self) -> Option<()> {
        self.string()?;
        self.spaces();
        self.word(b":")?;
        self.spaces();
        self.value()
    }

    fn string(&mut self) -> Option<()> {
        self.word(b"\"")?;
        loop {
            self.rest = &self.rest[plain_len(self.rest)..];
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None, // a control character
            }
        }
    }

    /// The rest of an escape, after the backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.code_unit()? {
                0xd800..=0xdbff => {
                    self.word(b"\\u")?;
                    (0xdc00..=0xdfff).contains(&self.code_unit()?).then_some(())
                }
                0xdc00..=0xdfff => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + char::from(self.next()?).to_digit(16)?;
        }
        Some(unit)
    }

    fn number(&mut self) -> Option<()> {
        let text = self.rest;
        let _ = self.word(b"-");
        if self.word(b"0").is_none() {
            self.digits()?;
        }
        if self.word(b".").is_some() {
            self.digits()?;
        }
        if self.word(b"e").or_else(|| self.word(b"E")).is_some() {
            let _ = self.word(b"+").or_else(|| self.word(b"-"));
            self.digits()?;
        }
        let number = &text[..text.len() - self.rest.len()];
        from_utf8(number).ok()?.parse::<f64>().ok()?.is_finite().then_some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = &self.rest[len..];
        (len > 0).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn spaces(&mut self) {
        let len = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.rest = &self.rest[len..];
    }

    fn next(&mut self) -> Option<u8> {
        let (&next, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(next)
    }
}
