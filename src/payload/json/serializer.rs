//! Serde's side of [`Json`]: a method for each kind of value.

use std::fmt::{self, Display, Write as _};
use std::mem;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{EncodeError, FLOAT, INVALID, Json, expand, is_strict};

/// The value of [`Members::before`] after the key of a map, and in a struct that represents a JSON text: the next
/// thing must be a value.
const VALUE_DUE: u8 = 0xfe;

/// The value of [`Members::before`] while an element, a key or a value is written. It stays if that panics and the
/// code around it catches the panic. Then nothing more may be written.
const INCOMPLETE: u8 = 0xff;

/// The elements of a list or the members of an object, between two brackets.
pub(crate) struct Members<'a> {
    json: &'a mut Json,
    /// The byte before the next one: first the opening bracket, then a comma. [`VALUE_DUE`]
    /// and [`INCOMPLETE`] are no bytes of JSON.
    before: u8,
    /// The closing brackets, one for each level. Empty for a struct that represents a JSON text, as those of
    /// `serde_json` for raw values and for numbers of arbitrary precision do.
    close: &'static str,
}

impl Json {
    #[inline]
    fn open(&mut self, bracket: u8, close: &'static str) -> Result<Members<'_>, EncodeError> {
        let Some(levels_left) = self.levels_left.checked_sub(close.len()) else {
            return Err(self.fail(INVALID));
        };
        self.levels_left = levels_left;
        Ok(Members { json: self, before: bracket, close })
    }

    /// Opens an object with one member, named by the variant, whose value is a list or an object.
    #[inline]
    fn open_variant(
        &mut self,
        variant: &str,
        bracket: u8,
        close: &'static str,
    ) -> Result<Members<'_>, EncodeError> {
        self.name(b'{', variant)?;
        self.open(bracket, close)
    }
}

impl Members<'_> {
    /// The byte before the next element or key. Fails if none may come. The caller must then write it.
    #[inline]
    fn begin(&mut self) -> Result<u8, EncodeError> {
        match mem::replace(&mut self.before, INCOMPLETE) {
            VALUE_DUE | INCOMPLETE => Err(self.json.fail(INVALID)),
            before => Ok(before),
        }
    }

    /// Fails unless a value must come next. The caller must then write it.
    #[inline]
    fn begin_due_value(&mut self) -> Result<(), EncodeError> {
        match mem::replace(&mut self.before, INCOMPLETE) {
            VALUE_DUE => Ok(()),
            _ => Err(self.json.fail(INVALID)),
        }
    }

    #[inline]
    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        self.json.value(value)?;
        self.before = b',';
        Ok(())
    }

    #[inline]
    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        let before = self.begin()?;
        self.json.put(&[before])?;
        self.value(value)
    }

    #[inline]
    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        if self.close.is_empty() {
            return self.raw(value);
        }
        let before = self.begin()?;
        self.json.name(before, name)?;
        self.value(value)
    }

    /// Writes a value that is a JSON text.
    #[cold]
    fn raw(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        self.begin_due_value()?;
        let at = self.json.out.len();
        let limit = self.json.limit;
        self.json.limit = limit.saturating_add(2); // the quotes are removed again
        self.json.escapes = false;
        let written = self.value(value);
        self.json.escapes = true;
        self.json.limit = limit;
        written?;
        let raw = match &self.json.out.bytes()[at..] {
            [b'"', raw @ .., b'"'] if is_strict(raw, self.json.levels_left) => raw.to_vec(),
            _ => return Err(self.json.fail(INVALID)),
        };
        self.json.out.truncate(at);
        self.json.put(&raw)
    }

    #[cold]
    fn float_key(&mut self, at: usize) -> Result<(), EncodeError> {
        let mut text = Vec::new();
        let is_written = expand(&self.json.out.bytes()[at..], &mut text).is_ok();
        if !is_written || text == b"null" {
            return Err(self.json.fail(INVALID));
        }
        self.json.out.truncate(at);
        self.json.floats -= 1;
        self.json.rare_text(&text)
    }

    #[inline]
    fn close(self) -> Result<(), EncodeError> {
        match self.before {
            b',' => {}
            VALUE_DUE | INCOMPLETE => return Err(self.json.fail(INVALID)),
            bracket => self.json.put(&[bracket])?,
        }
        self.json.levels_left += self.close.len();
        self.json.put(self.close.as_bytes())
    }
}

/// Methods that write an integer.
macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {$(
        #[inline]
        fn $method(self, number: $number) -> Result<(), EncodeError> {
            self.number(number)
        }
    )*};
}

impl<'a> Serializer for &'a mut Json {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Members<'a>;
    type SerializeTupleVariant = Members<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    numbers! { serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128 }
    numbers! { serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128 }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        if value.is_finite() { self.number(value) } else { self.float(value.into()) }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        self.float(value)
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        self.put(if value { b"true" } else { b"false" })
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        self.collect_seq(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), EncodeError> {
        self.put(b"null")
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        self.value(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), EncodeError> {
        self.put(b"null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        self.put(b"null")
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.text(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        let mut object = self.open(b'{', "}")?;
        object.member(variant, value)?;
        object.close()
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, EncodeError> {
        self.open(b'[', "]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, EncodeError> {
        self.open(b'[', "]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, EncodeError> {
        self.open(b'[', "]")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, EncodeError> {
        self.open_variant(variant, b'[', "]}")
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, EncodeError> {
        self.open(b'{', "}")
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Members<'a>, EncodeError> {
        let is_raw = name.starts_with("$serde_json::private::");
        if is_raw { self.open(VALUE_DUE, "") } else { self.open(b'{', "}") }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, EncodeError> {
        self.open_variant(variant, b'{', "}}")
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        struct Escaped<'a>(&'a mut Json);
        impl fmt::Write for Escaped<'_> {
            fn write_str(&mut self, part: &str) -> fmt::Result {
                self.0.escape(part.as_bytes()).map_err(|_| fmt::Error)
            }
        }
        self.put(b"\"")?;
        if write!(Escaped(self), "{value}").is_err() {
            return Err(self.fail(INVALID));
        }
        self.put(b"\"")
    }
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = EncodeError;

    /// Writes a key as any other value, and makes a string of it if it is a number or a boolean.
    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        let before = self.begin()?;
        self.json.put(&[before])?;
        let at = self.json.out.len();
        self.json.value(key)?;
        match self.json.out.bytes().get(at) {
            Some(b'"') => {}
            Some(b't' | b'f' | b'-' | b'0'..=b'9') => {
                self.json.out.insert(at, b"\"");
                self.json.put(b"\"")?;
            }
            Some(&FLOAT) => self.float_key(at)?,
            _ => return Err(self.json.fail(INVALID)),
        }
        self.before = VALUE_DUE;
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.begin_due_value()?;
        self.json.put(b":")?;
        self.value(value)
    }

    #[inline]
    fn end(self) -> Result<(), EncodeError> {
        self.close()
    }
}

macro_rules! lists {
    ($($list:ident: $method:ident),*) => {$(
        impl $list for Members<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        }
    )*};
}

lists! { SerializeSeq: serialize_element, SerializeTuple: serialize_element }
lists! { SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field }

macro_rules! structs {
    ($($object:ident),*) => {$(
        impl $object for Members<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), EncodeError> {
                self.member(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        }
    )*};
}

structs! { SerializeStruct, SerializeStructVariant }

impl Error for EncodeError {
    /// The message of the caller's code is not kept: the refusal is only counted.
    fn custom<T: Display>(_: T) -> Self {
        INVALID
    }
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for EncodeError {}
