//! The fields of a record or a span as an event's data: `{"measurements": {numbers}, "metadata": {the rest}}`.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::failure::text::cut;
use crate::process::catch_panic::catch_panic;

/// The field that names the session that a record belongs to. The request names the session, so the data does not.
pub(in crate::bridge) const SESSION_ID: &str = "session_id";

/// A value's text is cut here: an event with a longer text is refused by default, and to make it costs the caller time.
const MAX_TEXT: usize = 256 * 1024;

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
    /// Passes each field on. It is called twice for an event: for the numbers, then for the rest.
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>));
}

/// Fields as an event's data.
pub(in crate::bridge) struct EventData<'f, F>(pub(in crate::bridge) &'f F);

impl<F: Fields> Serialize for EventData<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("data", 2)?;
        data.serialize_field("measurements", &Part { fields: self.0, belongs: |value| value.is_number() })?;
        data.serialize_field("metadata", &Part { fields: self.0, belongs: |value| !value.is_number() })?;
        data.end()
    }
}

struct Part<'f, F> {
    fields: &'f F,
    belongs: fn(&Value<'_>) -> bool,
}

impl<F: Fields> Serialize for Part<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut names = BTreeSet::from([SESSION_ID]);
        let mut written = Ok(());
        self.fields.each(&mut |name, value| {
            // The source cannot be stopped, so after a failure the other fields are ignored.
            if written.is_ok() && (self.belongs)(&value) && names.insert(name) {
                written = map.serialize_entry(name, &value);
            }
        });
        written?;
        map.end()
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
            Self::Text(value) => serializer.serialize_str(&text(value)),
        }
    }
}

impl Value<'_> {
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

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

/// Makes a text of at most [`MAX_TEXT`] bytes, and survives a panic. Called inside the reentrancy guard.
pub(in crate::bridge) fn text(value: &dyn Display) -> String {
    catch_panic(|| cut(value, MAX_TEXT)).unwrap_or_else(|| PANICKED.to_owned())
}

#[cfg(test)]
mod tests;
