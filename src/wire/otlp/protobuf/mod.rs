//! Writes and reads the fields of protobuf messages with `prost`.
//!
//! A message is a sequence of fields, in any order. A field is a key (its number and the shape of its value) and a value.
//! A message inside another is a field with its length before it. All bytes of these are encoded and decoded by
//! `prost::encoding`. What is here: a message may be written before its length is known ([`OpenMessage`]), and a field
//! may be read without a copy ([`Reader`]).
//!
//! `prost::encoding` is public for the code that prost's derive macro makes, and hidden from the documentation: no promise
//! covers it. Its maintainers make no breaking change to it within 0.14, since other crates use it too
//! (<https://github.com/tokio-rs/prost/pull/1406>). So Cargo.toml allows 0.14 alone, `.ci/bounds` builds against the oldest
//! and the newest of those, and this folder alone uses it.

pub(crate) mod fields;
mod reader;

pub(super) use reader::{Content, Reader};

use prost::encoding::{self, WireType, encode_key, encode_varint, encoded_len_varint};

/// The number of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field(pub(crate) u32);

/// Writes messages one inside the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

/// A message that is open. It must be closed before the message around it.
#[derive(Debug)]
#[must_use = "its length is written by `close`"]
pub(super) struct OpenMessage {
    /// Where its length belongs.
    at: usize,
}

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// What is written from a place on.
    pub(super) fn written_since(&mut self, at: usize) -> &[u8] {
        &self.out[at..]
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// Appends fields that are encoded already.
    pub(super) fn encoded(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    pub(super) fn bool(&mut self, field: Field, value: bool) {
        encoding::bool::encode(field.0, &value, &mut self.out);
    }

    /// An `int32` or an enum.
    pub(super) fn int32(&mut self, field: Field, value: i32) {
        encoding::int32::encode(field.0, &value, &mut self.out);
    }

    pub(super) fn int64(&mut self, field: Field, value: i64) {
        encoding::int64::encode(field.0, &value, &mut self.out);
    }

    pub(super) fn fixed64(&mut self, field: Field, value: u64) {
        encoding::fixed64::encode(field.0, &value, &mut self.out);
    }

    pub(super) fn double(&mut self, field: Field, value: f64) {
        encoding::double::encode(field.0, &value, &mut self.out);
    }

    /// A `string` outside a `oneof`. There the empty one is the default, which is not written.
    pub(super) fn text(&mut self, field: Field, text: &[u8]) {
        if !text.is_empty() {
            self.bytes(field, text);
        }
    }

    /// A `string` or `bytes` that is written even if it is empty, or a message that is encoded already.
    pub(super) fn bytes(&mut self, field: Field, bytes: &[u8]) {
        encode_key(field.0, WireType::LengthDelimited, &mut self.out);
        encode_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
    }

    /// Opens a message within the one that is open.
    pub(super) fn open(&mut self, field: Field) -> OpenMessage {
        encode_key(field.0, WireType::LengthDelimited, &mut self.out);
        let at = self.out.len();
        self.out.push(0); // most messages are shorter than 128 bytes, and their length takes one byte
        OpenMessage { at }
    }

    /// Ends a message. What it holds is moved, if its length takes more than a byte.
    #[expect(clippy::needless_pass_by_value, reason = "a message is closed once")]
    pub(super) fn close(&mut self, message: OpenMessage) {
        let OpenMessage { at } = message;
        let end = self.out.len();
        let len = (end - at - 1) as u64;
        let width = encoded_len_varint(len);
        if width > 1 {
            self.out.resize(end + width - 1, 0);
            self.out.copy_within(at + 1..end, at + width);
        }
        encode_varint(len, &mut &mut self.out[at..at + width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_reads_back_with_what_stands_around_it() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let mut out = Writer::default();
            let outer = out.open(Field(15));
            out.int64(Field(1), -1);
            let inner = out.open(Field(2));
            out.encoded(&vec![7; len]);
            out.close(inner);
            out.fixed64(Field(3), 5);
            out.close(outer);
            let bytes = out.into_bytes();

            let mut fields = Reader::new(&bytes);
            let Some((Field(15), Content::Bytes(message))) = fields.next() else { panic!("{len}") };
            assert_eq!(fields.next(), None);
            let mut fields = Reader::new(message);
            assert_eq!(fields.next(), Some((Field(1), Content::Number(u64::MAX))));
            assert_eq!(fields.next(), Some((Field(2), Content::Bytes(&vec![7; len][..]))));
            assert_eq!(fields.next(), Some((Field(3), Content::Number(5))));
            assert_eq!(fields.next(), None);
            assert!(fields.is_at_end());
        }
    }
}
