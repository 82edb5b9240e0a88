//! The chain of an error: the error, its sources, and their texts as one message.

use std::error::Error;
use std::io;

use crate::failure::as_error::unshared;
use crate::failure::text::{cut, width};

/// The largest number of errors that are followed: an error may be its own source.
pub(crate) const MAX_DEPTH: usize = 64;

/// The error and its sources, with the error that an I/O error wraps: the `source` of the I/O error skips it.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |error: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let error = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source()).map(unshared)
    };
    std::iter::successors(Some(unshared(error)), next).take(MAX_DEPTH)
}

/// The texts of errors, from the outermost in, in at most `max` bytes of JSON in all. Calls each `Display` once.
pub(crate) fn texts<'a>(
    errors: impl Iterator<Item = &'a (dyn Error + 'static)>,
    max: usize,
) -> impl Iterator<Item = String> {
    errors.scan(max, |room, error| {
        let text = cut(error, *room);
        *room -= width(&text);
        Some(text)
    })
}

/// Texts as one message, from the outermost in: `loading a.toml: No such file or directory`. A text that the message
/// contains already, as whole words, is left out: the `Display` of many errors repeats that of their source.
#[derive(Debug, Default)]
pub(crate) struct Message(String);

impl Message {
    pub(crate) fn push(&mut self, text: &str) {
        let text = text.trim();
        if contains_words(&self.0, text) {
            return;
        }
        if !self.0.is_empty() {
            self.0.push_str(": ");
        }
        self.0.push_str(text);
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl<T: AsRef<str>> FromIterator<T> for Message {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut message = Self::default();
        texts.into_iter().for_each(|text| message.push(text.as_ref()));
        message
    }
}

/// Whether `words` is in the text, and not in the middle of a word. No words are in every text.
fn contains_words(text: &str, words: &str) -> bool {
    let continues = |outside: Option<char>, inside: Option<char>| {
        [outside, inside].iter().all(|letter| letter.is_some_and(char::is_alphanumeric))
    };
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !continues(before.chars().next_back(), words.chars().next())
            && !continues(after.chars().next(), words.chars().next_back())
    })
}

#[cfg(test)]
mod tests;
