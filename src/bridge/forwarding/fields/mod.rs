//! A record or a span as an event's data: `{"measurements": {numbers}, "metadata": {the rest}, "origin": {where}}`.
//!
//! The fields of the enclosing spans stand beside an event's own, so that `warn!("in child")` says which request it belongs
//! to. An own field wins over theirs, and an inner span's over an outer one's. Their number and size are bounded, and they
//! have at most a quarter of what an event may hold: an event must not be refused for what surrounds it.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::bridge::origin::Origin;
use crate::failure::text::{cut, width};
use crate::process::catch_panic::catch_panic;

/// The field that names the session that a record belongs to. The request names the session, so the data does not.
pub(in crate::bridge) const SESSION_ID: &str = "session_id";

/// A value's text is cut here: an event with a longer text is refused by default, and to make it costs the caller time.
pub(in crate::bridge) const MAX_TEXT: usize = 256 * 1024;

/// The most bytes that the fields of enclosing spans add to an event.
pub(in crate::bridge) const MAX_CONTEXT: usize = 16 * 1024;

/// The most fields of enclosing spans in an event.
const MAX_CONTEXT_FIELDS: usize = 64;

/// A text of an enclosing span is cut here: the event matters more than what surrounds it.
pub(in crate::bridge) const MAX_CONTEXT_TEXT: usize = 1024;

/// What a field needs in JSON besides its name and a text: quotes, a colon, a comma, or the digits of a number.
const FIELD_OVERHEAD: usize = 48;

/// In place of a text that panicked while it was made. The other fields are still worth an event.
const PANICKED: &str = "(panicked while formatting)";

/// What a field can be, in `log` as in `tracing`.
#[derive(Clone, Copy)]
pub(in crate::bridge) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Str(&'a str),
    /// A text that is not made yet. The code that makes it may panic.
    Text(&'a dyn Display),
}

#[derive(Clone, Copy)]
pub(in crate::bridge) enum Number {
    U64(u64),
    I64(i64),
    U128(u128),
    I128(i128),
    F64(f64),
}

/// Fields in order. Of several with one name, the first counts in each part of the data.
pub(in crate::bridge) trait Fields {
    /// Passes each field on. It is called for the numbers of an event, then for the rest; and before both for the names, if
    /// there are enclosing spans.
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>));

    /// Whether there are enclosing spans.
    fn has_context(&self) -> bool {
        false
    }

    /// Passes the fields of the enclosing spans on, from the innermost to the outermost, until `take` returns `false`.
    fn each_of_context(&self, _take: &mut dyn FnMut(&'static str, Value<'_>) -> bool) {}
}

/// Fields as an event's data.
pub(in crate::bridge) struct EventData<'f, F> {
    pub(in crate::bridge) fields: &'f F,
    pub(in crate::bridge) origin: Option<&'f Origin<'f>>,
    /// The most bytes of the fields of enclosing spans.
    pub(in crate::bridge) room: usize,
    pub(in crate::bridge) hides_session_id: bool,
}

impl<F: Fields> Serialize for EventData<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut own_names = BTreeSet::new();
        if self.fields.has_context() {
            self.fields.each(&mut |name, _| {
                own_names.insert(name);
            });
        }
        let part = |belongs| Part { data: self, own_names: &own_names, belongs };
        let mut data = serializer.serialize_struct("data", 3)?;
        data.serialize_field("measurements", &part(is_measurement))?;
        data.serialize_field("metadata", &part(|value| !is_measurement(value)))?;
        if let Some(origin) = self.origin {
            data.serialize_field("origin", origin)?;
        }
        data.end()
    }
}

fn is_measurement(value: &Value<'_>) -> bool {
    matches!(value, Value::Number(_))
}

struct Part<'f, F> {
    data: &'f EventData<'f, F>,
    own_names: &'f BTreeSet<&'f str>,
    belongs: fn(&Value<'_>) -> bool,
}

impl<F: Fields> Serialize for Part<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EventData { fields, room, hides_session_id, .. } = *self.data;
        let mut map = serializer.serialize_map(None)?;
        let hidden = hides_session_id.then_some(SESSION_ID);
        let mut names = BTreeSet::from_iter(hidden);
        let mut written = Ok(());
        fields.each(&mut |name, value| {
            // The source cannot be stopped, so after a failure the other fields are ignored.
            if written.is_ok() && (self.belongs)(&value) && names.insert(name) {
                written = map.serialize_entry(name, &value);
            }
        });
        let mut context_names = BTreeSet::from_iter(hidden);
        let mut room = Room { bytes: room, fields: MAX_CONTEXT_FIELDS };
        fields.each_of_context(&mut |name, value| {
            if self.own_names.contains(name) || !context_names.insert(name) {
                return true;
            }
            if room.take(name, &value) && written.is_ok() && (self.belongs)(&value) {
                written = match value {
                    Value::Str(text) => map.serialize_entry(name, &cut(text, MAX_CONTEXT_TEXT)),
                    value => map.serialize_entry(name, &value),
                };
            }
            room.fields > 0
        });
        written?;
        map.end()
    }
}

/// What is left for fields of enclosing spans.
struct Room {
    bytes: usize,
    fields: usize,
}

impl Room {
    /// Takes room for a field, if it fits. Both parts of the data take room for all fields, so both have the same.
    fn take(&mut self, name: &str, value: &Value<'_>) -> bool {
        let text = if let Value::Str(text) = value { width(text).min(MAX_CONTEXT_TEXT) } else { 0 };
        let left = self.bytes.checked_sub(width(name) + text + FIELD_OVERHEAD);
        let (Some(bytes), Some(fields)) = (left, self.fields.checked_sub(1)) else { return false };
        *self = Self { bytes, fields };
        true
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(value),
            Self::Number(Number::U64(value)) => serializer.serialize_u64(value),
            Self::Number(Number::I64(value)) => serializer.serialize_i64(value),
            Self::Number(Number::U128(value)) => serializer.serialize_u128(value),
            Self::Number(Number::I128(value)) => serializer.serialize_i128(value),
            Self::Number(Number::F64(value)) => serializer.serialize_f64(value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Text(value) => serializer.serialize_str(&text(value, MAX_TEXT)),
        }
    }
}

impl Value<'_> {
    /// Whether this value, as text, is `text`. It compares while it writes, so an id of another session allocates nothing.
    pub(in crate::bridge) fn reads(&self, text: &str) -> bool {
        struct Rest<'a>(&'a str);

        impl Write for Rest<'_> {
            fn write_str(&mut self, written: &str) -> fmt::Result {
                self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
                Ok(())
            }
        }

        let mut rest = Rest(text);
        write!(rest, "{self}").is_ok() && rest.0.is_empty()
    }
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => value.fmt(f),
            Self::Number(Number::U64(value)) => value.fmt(f),
            Self::Number(Number::I64(value)) => value.fmt(f),
            Self::Number(Number::U128(value)) => value.fmt(f),
            Self::Number(Number::I128(value)) => value.fmt(f),
            Self::Number(Number::F64(value)) => value.fmt(f),
            Self::Str(value) => f.write_str(value),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// Makes a text of at most `max` bytes, and survives a panic. Called inside the reentrancy scope.
pub(in crate::bridge) fn text(value: &dyn Display, max: usize) -> String {
    catch_panic(|| cut(value, max)).unwrap_or_else(|| PANICKED.to_owned())
}

#[cfg(test)]
mod tests;
