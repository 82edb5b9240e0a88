//! What a record or a span says, shaped as an event's data: `{"measurements": {numbers}, "metadata": {the rest}}`.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::failure::text::cut;
use crate::process::catch_panic::contain;

/// The field that says which session a record belongs to. It is in the request already, so not in the data.
pub(super) const SESSION_ID: &str = "session_id";

/// A value's text is cut here: an event with more is refused by default, and making more costs the caller.
const MAX_TEXT: usize = 256 * 1024;

/// Stands for a text whose making panicked: the other fields are worth the event.
const PANICKED: &str = "(panicked while formatting)";

/// What a field can be, `log`'s and `tracing`'s words for it brought together.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Str(&'a str),
    /// A text yet to be made, by code that may panic.
    Text(&'a dyn Display),
}

#[derive(Clone, Copy)]
pub(super) enum Number {
    U64(u64),
    I64(i64),
    U128(u128),
    I128(i128),
    F64(f64),
}

/// Fields in order. Of several with one name the first counts, where they are in the same part of the data.
pub(super) trait Fields {
    /// Hands over each field. Asked twice for an event: for the numbers, then for the rest.
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>));
}

/// Fields as an event's data.
pub(super) struct Shaped<'f, F>(pub(super) &'f F);

impl<F: Fields> Serialize for Shaped<'_, F> {
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
            // Those who hand over cannot be stopped, so after a failure the rest is only not listened to.
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

    /// Whether this, written out, is `text`. Compares while it is written, so that nothing is allocated for an id that
    /// is not ours.
    pub(super) fn reads(&self, text: &str) -> bool {
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

/// Makes a text, within [`MAX_TEXT`], whatever the code that makes it does. Called inside the quiet scope.
pub(super) fn text(value: &dyn Display) -> String {
    contain(|| cut(value, MAX_TEXT)).unwrap_or_else(|| PANICKED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given<'g>(&'g [(&'g str, Value<'g>)]);

    impl Fields for Given<'_> {
        fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
            for (name, value) in self.0 {
                take(name, *value);
            }
        }
    }

    fn shaped(fields: &[(&str, Value<'_>)]) -> String {
        serde_json::to_string(&Shaped(&Given(fields))).unwrap()
    }

    struct Panics;

    impl Display for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half of it, then ")?;
            panic!("while formatting, as the test wants it")
        }
    }

    #[test]
    fn numbers_are_measurements_and_the_rest_is_metadata() {
        let fields = [
            ("message", Value::Str("saved")),
            ("step", Value::Number(Number::U64(7))),
            ("delta", Value::Number(Number::I64(-7))),
            ("huge", Value::Number(Number::U128(u128::MAX))),
            ("deep", Value::Number(Number::I128(i128::MIN))),
            ("loss", Value::Number(Number::F64(0.5))),
            ("ok", Value::Bool(true)),
            ("none", Value::Null),
            ("text", Value::Text(&"a \"text\"")),
        ];
        let expected = concat!(
            r#"{"measurements":{"step":7,"delta":-7,"huge":340282366920938463463374607431768211455,"#,
            r#""deep":-170141183460469231731687303715884105728,"loss":0.5},"#,
            r#""metadata":{"message":"saved","ok":true,"none":null,"text":"a \"text\""}}"#
        );
        assert_eq!(shaped(&fields), expected);
        assert_eq!(shaped(&[]), r#"{"measurements":{},"metadata":{}}"#);
    }

    #[test]
    fn what_json_cannot_say_becomes_null() {
        let fields = [
            ("nan", Value::Number(Number::F64(f64::NAN))),
            ("inf", Value::Number(Number::F64(f64::INFINITY))),
        ];
        assert_eq!(shaped(&fields), r#"{"measurements":{"nan":null,"inf":null},"metadata":{}}"#);
    }

    #[test]
    fn the_session_id_is_left_out_and_names_like_ours_stay() {
        let fields = [
            ("session_id", Value::Str("session-0001")),
            ("session_id", Value::Number(Number::U64(1))),
            ("measurements", Value::Number(Number::U64(1))),
            ("metadata", Value::Str("m")),
            ("measurements", Value::Bool(true)),
        ];
        let expected =
            r#"{"measurements":{"measurements":1},"metadata":{"metadata":"m","measurements":true}}"#;
        assert_eq!(shaped(&fields), expected);
    }

    #[test]
    fn of_one_name_the_first_counts() {
        let fields = [
            ("a", Value::Number(Number::U64(1))),
            ("a", Value::Number(Number::U64(2))),
            ("a", Value::Str("x")),
            ("a", Value::Null),
        ];
        assert_eq!(shaped(&fields), r#"{"measurements":{"a":1},"metadata":{"a":"x"}}"#);
    }

    #[test]
    fn a_text_that_panics_costs_only_itself() {
        let fields = [("bad", Value::Text(&Panics)), ("good", Value::Number(Number::U64(1)))];
        let expected = r#"{"measurements":{"good":1},"metadata":{"bad":"(panicked while formatting)"}}"#;
        assert_eq!(shaped(&fields), expected);
    }

    #[test]
    fn a_text_without_end_is_cut() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("uu€r")?;
                }
            }
        }
        let cut = text(&Endless);
        assert!(cut.len() <= MAX_TEXT && cut.len() > MAX_TEXT - 6, "{}", cut.len());
    }
}
