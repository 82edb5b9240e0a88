//! A JSON document as a sequence of tokens, read by another parser than serde_json.

use json_event_parser::{JsonEvent, SliceJsonParser};

#[derive(Clone, Debug)]
pub enum Token {
    Null,
    Bool(bool),
    Integer(i128),
    Single(f32),
    Double(f64),
    Text(String),
    /// Any text. Another check covers it.
    AnyText,
    Key(String),
    OpenList,
    CloseList,
    OpenObject,
    CloseObject,
}

impl Token {
    pub fn key(name: &str) -> Self {
        Self::Key(name.to_owned())
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn is(&self, read: &JsonEvent<'_>) -> bool {
        match (self, read) {
            (Self::Null, JsonEvent::Null)
            | (Self::AnyText, JsonEvent::String(_))
            | (Self::OpenList, JsonEvent::StartArray)
            | (Self::CloseList, JsonEvent::EndArray)
            | (Self::OpenObject, JsonEvent::StartObject)
            | (Self::CloseObject, JsonEvent::EndObject) => true,
            (Self::Bool(value), JsonEvent::Boolean(read)) => value == read,
            (Self::Integer(number), JsonEvent::Number(text)) => text.parse() == Ok(*number),
            // The same bits, so that a zero keeps its sign.
            (Self::Single(number), JsonEvent::Number(text)) => {
                text.parse::<f32>().is_ok_and(|read| read.to_bits() == number.to_bits())
            }
            (Self::Double(number), JsonEvent::Number(text)) => {
                text.parse::<f64>().is_ok_and(|read| read.to_bits() == number.to_bits())
            }
            (Self::Text(text), JsonEvent::String(read)) | (Self::Key(text), JsonEvent::ObjectKey(read)) => {
                text == read
            }
            _ => false,
        }
    }
}

/// The largest number of open lists and objects.
pub fn depth(tokens: &[Token]) -> usize {
    let (mut open, mut deepest) = (0, 0);
    for token in tokens {
        match token {
            Token::OpenList | Token::OpenObject => open += 1,
            Token::CloseList | Token::CloseObject => open -= 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// Panics unless the document has exactly these tokens.
pub fn assert_reads(document: &[u8], expected: &[Token]) {
    let mut parser = SliceJsonParser::new(document);
    for token in expected {
        let read = parser.parse_next().unwrap_or_else(|error| panic!("{error} in {}", shown(document)));
        assert!(token.is(&read), "{token:?} was expected, not {read:?}, in {}", shown(document));
    }
    let end = parser.parse_next();
    assert!(matches!(end, Ok(JsonEvent::Eof)), "{end:?} after the end of {}", shown(document));
}

fn shown(document: &[u8]) -> String {
    String::from_utf8_lossy(document).into_owned()
}
