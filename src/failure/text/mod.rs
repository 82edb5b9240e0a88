//! Text of a bounded length, counted as JSON writes it: a control character is six bytes there.

use std::fmt::{self, Display, Write};

use crate::payload::json;

const CUT: &str = "… (cut)";

/// The text of a value in at most `max` bytes of JSON between its quotes, marked where it was cut unless the mark alone
/// is longer.
pub(crate) fn cut(value: impl Display, max: usize) -> String {
    let mut text = Cut { text: String::new(), room: Some(max) };
    let _ = write!(text, "{value}");
    if let (None, Some(room)) = (text.room, max.checked_sub(CUT.len())) {
        text.text.truncate(fitting(&text.text, room).len());
        text.text.push_str(CUT);
    }
    text.text
}

struct Cut {
    text: String,
    /// `None`: it was cut. A value may go on writing.
    room: Option<usize>,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.room.ok_or(fmt::Error)?;
        self.room = room.checked_sub(width(text));
        let whole = self.room.is_some();
        self.text.push_str(if whole { text } else { fitting(text, room) });
        if whole { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The longest beginning of a text that is at most `max` bytes wide.
fn fitting(text: &str, max: usize) -> &str {
    let mut wide = 0;
    let mut ends = text.char_indices();
    let end = ends.find(|(_, letter)| {
        wide += width(letter.encode_utf8(&mut [0; 4]));
        wide > max
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// How many bytes a text is in JSON, between its quotes.
fn width(text: &str) -> usize {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_json(text: &str) -> usize {
        serde_json::to_string(text).unwrap().len() - 2
    }

    #[test]
    fn long_text_is_cut_at_a_letter_and_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        let long = cut("é".repeat(50), 21);
        assert!(long.ends_with(CUT) && long.len() <= 21, "{long}");
        assert!(long.starts_with('é'));
    }

    #[test]
    fn text_is_never_longer_than_it_may_be_not_even_by_the_mark() {
        for max in 0..=CUT.len() + 2 {
            assert!(cut("é".repeat(50), max).len() <= max, "{max}");
        }
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("0123456789", CUT.len()), CUT);
    }

    #[test]
    fn every_character_counts_as_json_writes_it() {
        for letter in '\0'..=char::MAX {
            let letter = letter.encode_utf8(&mut [0; 4]).to_owned();
            assert_eq!(width(&letter), in_json(&letter), "{letter:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_cut_too_late_or_for_nothing(
            parts in prop::collection::vec(r"[\x00-\x22\\é€𝄞]{0,5}", 0..6),
            max in 0_usize..80,
        ) {
            let whole = parts.concat();
            let text = cut(Parts(&parts), max);
            prop_assert!(in_json(&text) <= max);
            if in_json(&whole) <= max {
                prop_assert_eq!(text, whole);
            } else if let Some(kept) = text.strip_suffix(CUT).filter(|_| max >= CUT.len()) {
                let next = whole[kept.len()..].chars().next().unwrap();
                prop_assert!(whole.starts_with(kept));
                prop_assert!(in_json(&text) + in_json(&next.to_string()) > max);
            } else {
                prop_assert!(max < CUT.len() && whole.starts_with(&text));
            }
        }
    }

    /// Writes on where it is told to stop.
    struct Parts<'p>(&'p [String]);

    impl Display for Parts<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for part in self.0 {
                let _ = f.write_str(part);
            }
            Ok(())
        }
    }
}
