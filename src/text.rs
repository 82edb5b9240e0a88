//! Text of a bounded length.

use std::fmt::{self, Display, Write};

const CUT: &str = "… (cut)";

/// The text of a value in at most `max` bytes, marked where it was cut unless the mark alone is longer.
pub(crate) fn cut(value: impl Display, max: usize) -> String {
    let mut text = Cut { text: String::new(), max, full: false };
    let _ = write!(text, "{value}");
    if let Some(room) = max.checked_sub(CUT.len()).filter(|_| text.full) {
        text.text.truncate(text.text.floor_char_boundary_at(room));
        text.text.push_str(CUT);
    }
    text.text
}

struct Cut {
    text: String,
    max: usize,
    full: bool,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.max - self.text.len();
        if text.len() <= room && !self.full {
            self.text.push_str(text);
            return Ok(());
        }
        if !self.full {
            self.full = true;
            self.text.push_str(&text[..text.floor_char_boundary_at(room)]);
        }
        Err(fmt::Error)
    }
}

/// `str::floor_char_boundary`, which this crate's oldest compiler does not have.
trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
