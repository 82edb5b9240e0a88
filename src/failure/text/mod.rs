//! Text of a bounded length, counted in bytes of JSON, where a control character takes six.

use std::fmt::{self, Display, Write};

use crate::payload::json;

const CUT: &str = "… (cut)";

/// The text of a value, in at most `max` bytes of JSON between the quotes. A text that was cut ends with a mark,
/// unless the mark alone is longer than `max`.
pub(crate) fn cut(value: impl Display, max: usize) -> String {
    let mut text = BoundedText { text: String::new(), room: Some(max) };
    let _ = write!(text, "{value}");
    if let (None, Some(room)) = (text.room, max.checked_sub(CUT.len())) {
        text.text.truncate(fitting(&text.text, room).len());
        text.text.push_str(CUT);
    }
    text.text
}

struct BoundedText {
    text: String,
    /// `None` after the text was cut: a value may go on writing nevertheless.
    room: Option<usize>,
}

impl Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.room.ok_or(fmt::Error)?;
        self.room = room.checked_sub(width(text));
        let whole = self.room.is_some();
        self.text.push_str(if whole { text } else { fitting(text, room) });
        if whole { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The longest beginning of a text that takes at most `max` bytes of JSON.
fn fitting(text: &str, max: usize) -> &str {
    let mut total = 0;
    let mut ends = text.char_indices();
    let end = ends.find(|(_, letter)| {
        total += width(letter.encode_utf8(&mut [0; 4]));
        total > max
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// How many bytes a text takes in JSON, between the quotes.
pub(crate) fn width(text: &str) -> usize {
    if json::is_plain(text.as_bytes()) {
        return text.len();
    }
    let of_byte = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(of_byte).sum()
}

#[cfg(test)]
mod tests;
