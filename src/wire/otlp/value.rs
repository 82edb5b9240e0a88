//! Makes attributes of JSON values.
//!
//! A value that has no form of its own in OTLP gets the nearest: `null` is the empty value, an integer past `i64` is a
//! double, an object is a list of keys with values
//! (<https://opentelemetry.io/docs/specs/otel/common/#anyvalue>).

use std::borrow::Cow;
use std::collections::HashSet;
use std::convert::identity;

use super::protobuf::fields::{any_value, array, key_value, key_value_list};
use super::protobuf::{Content, Field, Reader as Fields, Writer};
use crate::payload::json::{self, Reader, Token};

/// How deep lists and objects are nested in an attribute. What is deeper is the text of its JSON. An object takes three
/// levels of messages, and most readers of protobuf refuse a whole request with more than 100: this is the most that they
/// accept, less one.
pub(super) const MAX_LEVELS: usize = 30;

/// Writes an attribute with a text.
pub(super) fn text_attribute(field: Field, key: &str, text: &str, out: &mut Writer) {
    bytes_attribute(field, key, text.as_bytes(), out);
}

/// The same for a text that is known as bytes.
pub(super) fn bytes_attribute(field: Field, key: &str, text: &[u8], out: &mut Writer) {
    attribute(field, key.as_bytes(), out, |out| out.bytes(any_value::STRING, text));
}

/// Writes an attribute whose value the closure writes, as a field of `AnyValue`.
pub(super) fn attribute<T>(
    field: Field,
    key: &[u8],
    out: &mut Writer,
    value: impl FnOnce(&mut Writer) -> T,
) -> T {
    let member = out.open(field);
    out.text(key_value::KEY, key);
    let any = out.open(key_value::VALUE);
    let written = value(out);
    out.close(any);
    out.close(member);
    written
}

/// Writes a value that is read, as a field of `AnyValue`.
pub(super) fn write(json: &mut Reader<'_>, levels: usize, out: &mut Writer) -> Option<()> {
    if levels == 0 && json.is_at_bracket() {
        return write_as_text(json, out);
    }
    match json.token()? {
        Token::Null => {}
        Token::Bool(value) => out.bool(any_value::BOOL, value),
        Token::Integer(value) => out.int64(any_value::INT, value),
        Token::Float(value) => out.double(any_value::DOUBLE, value),
        Token::Text(text) => out.bytes(any_value::STRING, &text),
        Token::OpenList => {
            let list = out.open(any_value::ARRAY);
            write_elements(json, levels - 1, out)?;
            out.close(list);
        }
        Token::OpenObject => {
            let object = out.open(any_value::KEY_VALUE_LIST);
            let field = key_value_list::VALUES;
            write_members(json, field, out, identity, |json, key, out| {
                attribute(field, key, out, |out| write(json, levels - 1, out))
            })?;
            out.close(object);
        }
    }
    Some(())
}

fn write_elements(json: &mut Reader<'_>, levels: usize, out: &mut Writer) -> Option<()> {
    if json.take(b']') {
        return Some(());
    }
    loop {
        let element = out.open(array::VALUES);
        write(json, levels, out)?;
        out.close(element);
        if !json.take(b',') {
            return json.take(b']').then_some(());
        }
    }
}

/// Writes the members of an object whose bracket is read. `name` makes the key of a member, and `member` writes it, as
/// this field or as another. Of several members of this field with one key the last stays.
pub(super) fn write_members<'t>(
    json: &mut Reader<'t>,
    field: Field,
    out: &mut Writer,
    name: impl Fn(Cow<'t, [u8]>) -> Cow<'t, [u8]>,
    mut member: impl FnMut(&mut Reader<'t>, &[u8], &mut Writer) -> Option<()>,
) -> Option<()> {
    if json.take(b'}') {
        return Some(());
    }
    let start = out.len();
    let mut keys = Keys::default();
    loop {
        let key = name(json.key()?);
        keys.add(&key);
        member(json, &key, out)?;
        if !json.take(b',') {
            break;
        }
    }
    if keys.may_repeat {
        keep_last_of_each_key(start, field, out);
    }
    json.take(b'}').then_some(())
}

/// The value as the text of its JSON.
#[cold]
fn write_as_text(json: &mut Reader<'_>, out: &mut Writer) -> Option<()> {
    let mut text = Vec::new();
    json::expand(json.raw()?, &mut text).ok()?;
    out.bytes(any_value::STRING, &text);
    Some(())
}

#[cold]
fn keep_last_of_each_key(start: usize, field: Field, out: &mut Writer) {
    let written = out.written_since(start).to_vec();
    let mut members = Vec::new();
    let mut fields = Fields::new(&written);
    let mut rest = &written[..];
    while let Some((number, content)) = fields.next() {
        let (member, after) = rest.split_at(rest.len() - fields.rest().len());
        let key = match content {
            Content::Bytes(message) if number == field => Some(key_of(message)),
            _ => None,
        };
        members.push((key, member));
        rest = after;
    }
    let mut kept = HashSet::new();
    let is_last = |(key, _): &(Option<_>, &[u8])| key.is_none_or(|key| kept.insert(key));
    let mut last: Vec<_> = members.into_iter().rev().filter(is_last).collect();
    last.reverse();
    out.truncate(start);
    for (_, member) in last {
        out.encoded(member);
    }
}

fn key_of(member: &[u8]) -> Content<'_> {
    let key = Fields::new(member).find(|(field, _)| *field == key_value::KEY);
    key.map_or(Content::Bytes(b""), |(_, key)| key)
}

/// Finds out whether an object may have a key twice. It compares digests, so it may be wrong about that, but not about
/// keys that are unique.
#[derive(Default)]
struct Keys {
    first: [u64; FEW],
    len: usize,
    /// All digests, once they are more than [`FEW`].
    many: HashSet<u64>,
    may_repeat: bool,
}

/// So many keys are compared each with each.
const FEW: usize = 16;

impl Keys {
    fn add(&mut self, key: &[u8]) {
        let digest = digest(key);
        if self.len < FEW {
            self.may_repeat |= self.first[..self.len].contains(&digest);
            self.first[self.len] = digest;
        } else {
            if self.len == FEW {
                self.many.extend(self.first);
            }
            self.may_repeat |= !self.many.insert(digest);
        }
        self.len += 1;
    }
}

/// A number that two keys rarely share.
fn digest(key: &[u8]) -> u64 {
    key.chunks(8).fold(key.len() as u64, |digest, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (digest ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}
