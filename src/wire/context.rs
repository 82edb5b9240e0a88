//! The fields that the builder adds to every event's data.

use std::borrow::Cow;

use serde_json::Value;

use crate::payload::json::{MAX_DEPTH, Reader, is_strict};

/// Fields, ready to be put at the end of an object.
#[derive(Debug, Default)]
pub(crate) struct Context {
    fields: Vec<(String, Vec<u8>)>,
}

impl Context {
    pub(crate) fn new(fields: &[(String, Value)]) -> Self {
        let encode = |(key, value): &(String, Value)| {
            let json = format!("{}:{value}", Value::from(key.as_str()));
            (key.clone(), json.into_bytes())
        };
        Self { fields: fields.iter().map(encode).collect() }
    }

    /// Whether every parser accepts data with these fields.
    pub(crate) fn is_strict(&self) -> bool {
        let is_strict = |json: &[u8]| is_strict(&[b"{", json, b"}"].concat(), MAX_DEPTH);
        self.fields.iter().all(|(_, json)| is_strict(json))
    }

    /// The bytes that it adds to an event at the most.
    pub(crate) fn len(&self) -> usize {
        self.fields.iter().map(|(_, json)| json.len() + 1).sum()
    }

    /// Adds the fields to the object that begins at `start`. The object's own fields win.
    pub(crate) fn add_to_object(&self, start: usize, out: &mut Vec<u8>) {
        if self.fields.is_empty() {
            return;
        }
        let Some(own) = keys(&out[start..]) else { return };
        let mut is_first = own.is_empty();
        let missing = |(key, _): &&(String, Vec<u8>)| !own.iter().any(|own| **own == *key.as_bytes());
        let missing: Vec<_> = self.fields.iter().filter(missing).collect();
        if out.pop() != Some(b'}') {
            return; // unreachable: an object ends so
        }
        for (_, json) in missing {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(json);
        }
        out.push(b'}');
    }
}

/// The keys of an object, without what is below them.
fn keys(object: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut json = Reader::new(object);
    let mut keys = Vec::new();
    if !json.take(b'{') {
        return None;
    }
    while !json.take(b'}') {
        keys.push(json.key()?);
        json.raw()?;
        json.take(b',');
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_context(data: &str, fields: &[(&str, Value)]) -> String {
        let fields: Vec<_> = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut out = format!("before{data}").into_bytes();
        Context::new(&fields).add_to_object("before".len(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_added_and_never_overwrite_the_events_own() {
        let fields = [("release", json!("1.2")), ("he\"re", json!({"deep": [1, null]}))];
        let table = [
            ("{}", r#"before{"release":"1.2","he\"re":{"deep":[1,null]}}"#),
            (r#"{"a":1}"#, r#"before{"a":1,"release":"1.2","he\"re":{"deep":[1,null]}}"#),
            (r#"{"release":3}"#, r#"before{"release":3,"he\"re":{"deep":[1,null]}}"#),
            (r#"{"rele\u0061se":3,"he\"re":4}"#, r#"before{"rele\u0061se":3,"he\"re":4}"#),
            (
                r#"{"a":{"release":1}}"#,
                r#"before{"a":{"release":1},"release":"1.2","he\"re":{"deep":[1,null]}}"#,
            ),
        ];
        for (data, expected) in table {
            assert_eq!(with_context(data, &fields), expected);
        }
        assert_eq!(with_context("{}", &[]), "before{}");
    }
}
