//! The caller's data, encoded on the caller's thread: a snapshot of exactly known size, so that limits are
//! checked at the door and the worker never runs the caller's code.

use std::cell::Cell;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::contain::contain;
use crate::quiet;
use crate::stats::RefusalReason;

/// A thread keeps its scratch buffer up to this size: room for all but rare events, little for an idle thread.
const SCRATCH_KEPT: usize = 16 * 1024;

/// Data nested deeper are refused: parsers have a limit (that of `serde_json` is 128, and a request adds 4), and the one that
/// meets it rejects the batch, with everybody's events. It also bounds the stack that encoding takes of the caller.
const DEEPEST: u32 = 100;

/// What says that a value grew past the limit, among the errors of writing it.
const PAST_LIMIT: io::ErrorKind = io::ErrorKind::FileTooLarge;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Encodes `data` to a JSON object of at most `limit` bytes: an object goes as it is, nothing becomes `{}`, any
/// other value becomes `{"value": …}`. Data nested deeper than [`DEEPEST`] are invalid. What is written `before` it is in the same allocation.
pub(crate) fn encode(
    before: impl FnOnce(&mut Vec<u8>),
    data: &impl Serialize,
    limit: usize,
) -> Result<Box<[u8]>, RefusalReason> {
    let scope = quiet::enter().ok_or(RefusalReason::Reentrant)?;
    // While the thread's locals are torn down there is no scratch: the event pays for a buffer of its own.
    let mut bytes = SCRATCH.try_with(Cell::take).unwrap_or_default();
    before(&mut bytes);
    let json_at = bytes.len();
    let mut json = Bounded { limit: limit.saturating_add(json_at), bytes };
    let written =
        contain(|| data.serialize(&mut Serializer::with_formatter(&mut json, Compact { left: DEEPEST })));
    let object = match written {
        Some(Ok(())) => with_object(&json.bytes, json_at, json.limit),
        Some(Err(error)) if error.io_error_kind() == Some(PAST_LIMIT) => Err(RefusalReason::TooLarge),
        Some(Err(_)) | None => Err(RefusalReason::InvalidData),
    };
    json.bytes.clear();
    json.bytes.shrink_to(SCRATCH_KEPT);
    let _ = SCRATCH.try_with(|scratch| scratch.set(json.bytes));
    scope.end()?;
    object
}

/// The bytes, with the JSON from `json_at` on made an object.
fn with_object(bytes: &[u8], json_at: usize, limit: usize) -> Result<Box<[u8]>, RefusalReason> {
    let (before, json) = bytes.split_at(json_at);
    match json.first() {
        _ if bytes.len() > limit => Err(RefusalReason::TooLarge),
        Some(b'{') => Ok(bytes.into()),
        Some(b'n') => Ok([before, b"{}"].concat().into()), // null: the only JSON value that begins so
        Some(_) => {
            let object = [before, br#"{"value":"#, json, b"}"].concat();
            if object.len() <= limit { Ok(object.into()) } else { Err(RefusalReason::TooLarge) }
        }
        None => Err(RefusalReason::InvalidData),
    }
}

/// JSON without white space, down to a depth.
struct Compact {
    left: u32,
}

impl Compact {
    fn enter(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
        Ok(())
    }
}

impl Formatter for Compact {
    #[inline]
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter()?;
        out.write_all(b"[")
    }

    #[inline]
    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.left += 1;
        out.write_all(b"]")
    }

    #[inline]
    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter()?;
        out.write_all(b"{")
    }

    #[inline]
    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.left += 1;
        out.write_all(b"}")
    }
}

/// Stops a value that grows past the limit while it is still being written. Looks at the limit only where the buffer
/// has to grow, since most writes are of a few bytes: what fits the buffer may be past the limit in the end.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    #[cold]
    fn grow(&mut self, by: usize) -> io::Result<()> {
        if by > self.limit.saturating_sub(self.bytes.len()) {
            return Err(PAST_LIMIT.into());
        }
        self.bytes.reserve(by);
        Ok(())
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.bytes.capacity() - self.bytes.len() {
            self.grow(bytes.len())?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serializer;
    use serde::ser::Error;
    use serde_json::json;

    use super::*;

    const LIMIT: usize = 64;

    fn text(data: impl Serialize) -> Result<String, RefusalReason> {
        encode(|_| (), &data, LIMIT).map(|json| String::from_utf8(json.into()).unwrap())
    }

    #[test]
    fn objects_stay_nothing_is_empty_and_the_rest_is_a_value() {
        assert_eq!(text(json!({"a": 1, "none": null})).unwrap(), r#"{"a":1,"none":null}"#);
        assert_eq!(text(()).unwrap(), "{}");
        assert_eq!(text(None::<u8>).unwrap(), "{}");
        assert_eq!(text(3).unwrap(), r#"{"value":3}"#);
        assert_eq!(text("null").unwrap(), r#"{"value":"null"}"#);
        assert_eq!(text(["x"]).unwrap(), r#"{"value":["x"]}"#);
        assert_eq!(text(BTreeMap::from([(1, 2)])).unwrap(), r#"{"1":2}"#);
    }

    #[test]
    fn what_json_cannot_say_becomes_null() {
        let data = BTreeMap::from([("inf", f64::INFINITY), ("nan", f64::NAN)]);
        assert_eq!(text(data).unwrap(), r#"{"inf":null,"nan":null}"#);
    }

    #[test]
    fn the_limit_is_exact_and_a_value_past_it_is_not_written_out() {
        let fits = "x".repeat(LIMIT - r#"{"value":""}"#.len());
        assert_eq!(text(&fits).unwrap().len(), LIMIT);
        assert_eq!(text(fits + "x"), Err(RefusalReason::TooLarge));

        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(std::iter::repeat(0))
            }
        }
        assert_eq!(text(Endless), Err(RefusalReason::TooLarge));
    }

    #[test]
    fn data_that_fails_or_panics_is_invalid_and_the_next_is_not() {
        struct Fails;
        impl Serialize for Fails {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("cannot"))
            }
        }
        struct Panics;
        impl Serialize for Panics {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("while serialising, as the test wants it")
            }
        }
        assert_eq!(text(Fails), Err(RefusalReason::InvalidData));
        assert_eq!(text(BTreeMap::from([((1, 2), 3)])), Err(RefusalReason::InvalidData));
        assert_eq!(text(Panics), Err(RefusalReason::InvalidData));
        assert_eq!(text(1).unwrap(), r#"{"value":1}"#);
    }

    #[test]
    fn data_nested_too_deep_are_invalid_however_deep_and_siblings_do_not_add_up() {
        /// Lists in lists without end: encoding it would take all of the stack.
        struct Bottomless;
        impl Serialize for Bottomless {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq([Bottomless])
            }
        }
        let encode = |data: &dyn Fn() -> serde_json::Value| encode(|_| (), &data(), 10_000);
        let nested = |depth| (1..depth).fold(json!([]), |inner, _| json!([inner]));
        let deepest = encode(&|| nested(DEEPEST)).unwrap();
        serde_json::from_slice::<serde_json::Value>(&deepest).unwrap();
        assert_eq!(encode(&|| nested(DEEPEST + 1)), Err(RefusalReason::InvalidData));
        assert_eq!(super::encode(|_| (), &Bottomless, usize::MAX), Err(RefusalReason::InvalidData));
        assert!(encode(&|| json!(vec![json!({}); 1_000])).is_ok());
        assert!(encode(&|| json!(vec![json!([]); 1_000])).is_ok());
    }

    #[test]
    fn data_that_encodes_data_is_reentrant() {
        struct Nested;
        impl Serialize for Nested {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&format_args!("{:?}", text(1)))
            }
        }
        assert_eq!(text(Nested).unwrap(), r#"{"value":"Err(Reentrant)"}"#);
    }

    #[test]
    fn a_write_past_the_limit_is_refused_before_it_is_copied() {
        let mut json = Bounded { bytes: Vec::new(), limit: LIMIT };
        assert!(json.write_all(&[b'x'; LIMIT + 1]).is_err());
        assert!(json.bytes.is_empty());
        json.write_all(&[b'x'; LIMIT]).unwrap();
        assert!(json.write_all(b"x").is_err());
        assert_eq!(json.bytes.len(), LIMIT);
    }

    #[test]
    fn a_thread_keeps_sixteen_kibibytes_of_scratch() {
        encode(|_| (), &"x".repeat(100_000), usize::MAX).unwrap();
        let kept = SCRATCH.take().capacity();
        assert!((16 * 1024..32 * 1024).contains(&kept), "{kept}");
    }
}
