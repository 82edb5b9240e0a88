//! Reads the fields of a message, one level of it.

use super::{FIXED_64, Field, LENGTH_DELIMITED, VARINT};

const FIXED_32: u8 = 5;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Content<'a> {
    Number(u64),
    /// A text, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message. It ends at the first that is none.
#[derive(Debug)]
pub(in super::super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in super::super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub(in super::super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read. If it is not, after the last field, the message is none.
    pub(in super::super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn read(&mut self) -> Option<(Field, Content<'a>)> {
        let (tag, rest) = read_varint(self.rest)?;
        let number = tag >> 3;
        let (content, rest) = match tag.to_le_bytes()[0] & 7 {
            VARINT => read_varint(rest).map(|(value, rest)| (Content::Number(value), rest))?,
            FIXED_64 => {
                let (value, rest) = rest.split_first_chunk()?;
                (Content::Number(u64::from_le_bytes(*value)), rest)
            }
            FIXED_32 => {
                let (value, rest) = rest.split_first_chunk()?;
                (Content::Number(u32::from_le_bytes(*value).into()), rest)
            }
            LENGTH_DELIMITED => {
                let (len, rest) = read_varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(len.try_into().ok()?)?;
                (Content::Bytes(bytes), rest)
            }
            _ => return None, // groups, which nothing writes any more
        };
        self.rest = rest;
        Some((Field(u8::try_from(number).unwrap_or(u8::MAX)), content))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (Field, Content<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
