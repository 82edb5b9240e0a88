//! Data as callers may give them: all that serde can express, and the JSON that it becomes.

use arbitrary::{Arbitrary, Unstructured};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::document::Token;

#[derive(Clone, Debug)]
pub enum Value {
    Unit,
    None,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Wide(i128),
    Single(f32),
    Double(f64),
    Letter(char),
    Text(String),
    Bytes(Vec<u8>),
    Some(Box<Value>),
    Variant(Box<Value>),
    List(Vec<Value>),
    Map(Vec<(Key, Value)>),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Key {
    Text(String),
    Letter(char),
    Number(i64),
    Bool(bool),
}

/// A little deeper than the limit of the crate.
const DEEPEST: u32 = 120;

impl<'a> Arbitrary<'a> for Value {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Self::at_depth(input, DEEPEST)
    }
}

impl Value {
    fn at_depth(input: &mut Unstructured<'_>, left: u32) -> arbitrary::Result<Self> {
        let kinds = if left == 0 { 11 } else { 16 };
        Ok(match input.int_in_range(0..=kinds - 1)? {
            0 => Self::Unit,
            1 => Self::None,
            2 => Self::Bool(input.arbitrary()?),
            3 => Self::Signed(input.arbitrary()?),
            4 => Self::Unsigned(input.arbitrary()?),
            5 => Self::Wide(input.arbitrary()?),
            6 => Self::Single(input.arbitrary()?),
            7 => Self::Double(input.arbitrary()?),
            8 => Self::Letter(input.arbitrary()?),
            9 => Self::Text(input.arbitrary()?),
            10 => Self::Bytes(input.arbitrary()?),
            11 => Self::Some(Box::new(Self::at_depth(input, left - 1)?)),
            12 => Self::Variant(Box::new(Self::at_depth(input, left - 1)?)),
            13 => {
                let mut list = Vec::new();
                while input.arbitrary()? {
                    list.push(Self::at_depth(input, left - 1)?);
                }
                Self::List(list)
            }
            14 => {
                let lists = input.int_in_range(1..=left)?;
                let innermost = Self::at_depth(input, left - lists)?;
                (0..lists).fold(innermost, |inner, _| Self::List(vec![inner]))
            }
            _ => {
                let mut map = Vec::new();
                while input.arbitrary()? {
                    map.push((input.arbitrary()?, Self::at_depth(input, left - 1)?));
                }
                Self::Map(map)
            }
        })
    }

    /// Whether it is nothing. A float that JSON writes as null is something.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Unit | Self::None => true,
            Self::Some(value) => value.is_nothing(),
            _ => false,
        }
    }

    /// Adds the tokens of the value's JSON.
    pub fn tokens(&self, out: &mut Vec<Token>) {
        match self {
            Self::Unit | Self::None => out.push(Token::Null),
            Self::Single(number) if !number.is_finite() => out.push(Token::Null),
            Self::Double(number) if !number.is_finite() => out.push(Token::Null),
            Self::Bool(value) => out.push(Token::Bool(*value)),
            Self::Signed(number) => out.push(Token::Integer((*number).into())),
            Self::Unsigned(number) => out.push(Token::Integer((*number).into())),
            Self::Wide(number) => out.push(Token::Integer(*number)),
            Self::Single(number) => out.push(Token::Single(*number)),
            Self::Double(number) => out.push(Token::Double(*number)),
            Self::Letter(letter) => out.push(Token::Text(letter.to_string())),
            Self::Text(text) => out.push(Token::Text(text.clone())),
            Self::Bytes(bytes) => {
                out.push(Token::OpenList);
                out.extend(bytes.iter().map(|byte| Token::Integer((*byte).into())));
                out.push(Token::CloseList);
            }
            Self::Some(value) => value.tokens(out),
            Self::Variant(value) => {
                out.extend([Token::OpenObject, Token::Key("Variant".to_owned())]);
                value.tokens(out);
                out.push(Token::CloseObject);
            }
            Self::List(list) => {
                out.push(Token::OpenList);
                list.iter().for_each(|value| value.tokens(out));
                out.push(Token::CloseList);
            }
            Self::Map(map) => {
                out.push(Token::OpenObject);
                for (key, value) in map {
                    out.push(Token::Key(key.text()));
                    value.tokens(out);
                }
                out.push(Token::CloseObject);
            }
        }
    }
}

impl Key {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Letter(letter) => letter.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => serializer.serialize_unit(),
            Self::None => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Signed(number) => serializer.serialize_i64(*number),
            Self::Unsigned(number) => serializer.serialize_u64(*number),
            Self::Wide(number) => serializer.serialize_i128(*number),
            Self::Single(number) => serializer.serialize_f32(*number),
            Self::Double(number) => serializer.serialize_f64(*number),
            Self::Letter(letter) => serializer.serialize_char(*letter),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Some(value) => serializer.serialize_some(value),
            Self::Variant(value) => serializer.serialize_newtype_variant("Value", 0, "Variant", value),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Letter(letter) => serializer.serialize_char(*letter),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Bool(value) => serializer.serialize_bool(*value),
        }
    }
}
