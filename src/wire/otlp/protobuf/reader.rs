//! Reads the fields of a message, one level of it.

use prost::decode_length_delimiter;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::Field;

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
        let mut rest = self.rest;
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        let content = match wire_type {
            WireType::Varint => Content::Number(decode_varint(&mut rest).ok()?),
            WireType::SixtyFourBit => Content::Number(u64::from_le_bytes(take(&mut rest)?)),
            WireType::ThirtyTwoBit => Content::Number(u32::from_le_bytes(take(&mut rest)?).into()),
            WireType::LengthDelimited => {
                let len = decode_length_delimiter(&mut rest).ok()?;
                let (bytes, after) = rest.split_at_checked(len)?;
                rest = after;
                Content::Bytes(bytes)
            }
            WireType::StartGroup | WireType::EndGroup => return None, // nothing writes groups any more
        };
        self.rest = rest;
        Some((Field(number), content))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (Field, Content<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

fn take<const LEN: usize>(rest: &mut &[u8]) -> Option<[u8; LEN]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}
