//! Writes and reads the fields of protobuf messages, as <https://protobuf.dev/programming-guides/encoding/> describes them.
//!
//! A message is a sequence of fields, in any order. A field is a tag (its number and the shape of its value) and a value.
//! A message inside another is a field with its length before it.

pub(crate) mod fields;
mod reader;

pub(super) use reader::{Content, Reader};

/// The number of a field. All numbers of these messages are below 16, so that a tag is one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field(pub(crate) u8);

const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;

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

    /// An `int64`, `uint64`, `bool` or an enum.
    pub(super) fn varint(&mut self, field: Field, value: u64) {
        self.tag(field, VARINT);
        push_varint(value, &mut self.out);
    }

    /// A `fixed64`.
    pub(super) fn fixed64(&mut self, field: Field, value: u64) {
        self.tag(field, FIXED_64);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: Field, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    /// A `string` outside a `oneof`. There the empty one is the default, which is not written.
    pub(super) fn text(&mut self, field: Field, text: &[u8]) {
        if !text.is_empty() {
            self.bytes(field, text);
        }
    }

    /// A `string` or `bytes` that is written even if it is empty, or a message that is encoded already.
    pub(super) fn bytes(&mut self, field: Field, bytes: &[u8]) {
        self.tag(field, LENGTH_DELIMITED);
        push_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
    }

    /// Opens a message within the one that is open.
    pub(super) fn open(&mut self, field: Field) -> OpenMessage {
        self.tag(field, LENGTH_DELIMITED);
        let at = self.out.len();
        self.out.push(0); // most messages are shorter than 128 bytes, and their length takes one byte
        OpenMessage { at }
    }

    /// Ends a message. What it holds is moved, if its length takes more than a byte.
    #[expect(clippy::needless_pass_by_value, reason = "a message is closed once")]
    pub(super) fn close(&mut self, message: OpenMessage) {
        let OpenMessage { at } = message;
        let end = self.out.len();
        let mut rest = end - at - 1;
        let width = varint_len(rest as u64);
        if width > 1 {
            self.out.resize(end + width - 1, 0);
            self.out.copy_within(at + 1..end, at + width);
        }
        for byte in &mut self.out[at..at + width] {
            *byte = rest.to_le_bytes()[0] | 0x80;
            rest >>= 7;
        }
        self.out[at + width - 1] &= 0x7f;
    }

    fn tag(&mut self, field: Field, shape: u8) {
        self.out.push(field.0 << 3 | shape);
    }
}

fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Seven bits a byte, the lowest first. The highest bit of a byte says that another follows.
fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_reads_back_with_what_stands_around_it() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let mut out = Writer::default();
            let outer = out.open(Field(15));
            out.varint(Field(1), u64::MAX);
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

    #[test]
    fn a_varint_takes_as_many_bytes_as_its_length_says() {
        for bits in 0..u64::BITS {
            for value in [1 << bits, (1 << bits) - 1, u64::MAX >> bits] {
                let mut out = Vec::new();
                push_varint(value, &mut out);
                assert_eq!(out.len(), varint_len(value), "{value}");
            }
        }
    }
}
