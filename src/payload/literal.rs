//! The types that [`json!`](crate::json!) expands to: the members and elements of a literal, borrowed, one inside the
//! other. Nothing is allocated or copied until an event is encoded.

use std::fmt::{self, Debug};

use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};

/// Event data as a JSON literal, with values that are borrowed.
///
/// The syntax is that of `serde_json::json!`, whose trees can be reported as well. This macro builds no tree:
/// [`log`](crate::Reporter::log) encodes the values as it does those of a struct, at less than half of the cost.
///
/// ```
/// use tinker_telemetry::{Reporter, Severity, json};
///
/// # let reporter = Reporter::disabled();
/// # let (path, losses) = (String::from("runs/a"), [0.51, 0.42]);
/// reporter.log("checkpoint.saved", json!({"step": 1200, "path": path, "losses": losses}), Severity::Info);
/// reporter.log("epoch.ended", json!({"at": {"step": 1200, "of": 9000}, "best": null}), Severity::Info);
/// ```
///
/// A value is any expression whose type is `Serialize`, or `null`, or another object or list. Names are string
/// literals; for computed names use a map. The result borrows its values, so it cannot be returned from a function.
/// More than some 120 members or elements need `#![recursion_limit]`, or a struct.
///
/// A `Path` or `PathBuf` that is not UTF-8 is no JSON: `serde` refuses it, and the event is refused as `invalid_data`. Give
/// its text instead, which is always UTF-8:
///
/// ```
/// # use tinker_telemetry::{Reporter, Severity, json};
/// # let (reporter, path) = (Reporter::disabled(), std::path::Path::new("runs/a"));
/// reporter.log("checkpoint.saved", json!({"path": path.to_string_lossy()}), Severity::Info);
/// ```
#[macro_export]
macro_rules! json {
    (null) => { () };
    ([ $($elements:tt)* ]) => { $crate::literal::List { elements: $crate::json!(@elements $($elements)*) } };
    ({ $($members:tt)* }) => { $crate::literal::Object { members: $crate::json!(@members $($members)*) } };

    (@elements) => { () };
    (@elements null $(, $($rest:tt)*)?) => { ((), $crate::json!(@elements $($($rest)*)?)) };
    (@elements [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        ($crate::json!([ $($inner)* ]), $crate::json!(@elements $($($rest)*)?))
    };
    (@elements { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        ($crate::json!({ $($inner)* }), $crate::json!(@elements $($($rest)*)?))
    };
    (@elements $value:expr $(, $($rest:tt)*)?) => { (&$value, $crate::json!(@elements $($($rest)*)?)) };

    (@members) => { () };
    (@members $name:literal : null $(, $($rest:tt)*)?) => {
        ($crate::literal::Name(|| $name), (), $crate::json!(@members $($($rest)*)?))
    };
    (@members $name:literal : [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        ($crate::literal::Name(|| $name), $crate::json!([ $($inner)* ]), $crate::json!(@members $($($rest)*)?))
    };
    (@members $name:literal : { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        ($crate::literal::Name(|| $name), $crate::json!({ $($inner)* }), $crate::json!(@members $($($rest)*)?))
    };
    (@members $name:literal : $value:expr $(, $($rest:tt)*)?) => {
        ($crate::literal::Name(|| $name), &$value, $crate::json!(@members $($($rest)*)?))
    };

    (@members $($other:tt)*) => {
        compile_error!("names are string literals; for others use a map, or `serde_json::json!`")
    };

    ($value:expr) => { &$value };
}

/// An object: a tuple of the first name, its value, and a like tuple of the other members. The last tuple is `()`.
#[derive(Clone, Copy, Debug)]
pub struct Object<M> {
    pub members: M,
}

/// A list: a tuple of the first element and a like tuple of the other elements. The last tuple is `()`.
#[derive(Clone, Copy, Debug)]
pub struct List<E> {
    pub elements: E,
}

/// A name, as a closure that returns it. The name is then part of the type, and the code that writes it knows it when it is
/// compiled: a call takes a tenth fewer instructions than with a name that is read from memory.
#[derive(Clone, Copy)]
pub struct Name<F>(pub F);

impl<F: Fn() -> &'static str> Debug for Name<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt((self.0)(), f)
    }
}

pub trait Members {
    const COUNT: usize;

    fn write<S: SerializeStruct>(&self, object: &mut S) -> Result<(), S::Error>;
}

pub trait Elements {
    fn write<S: SerializeSeq>(&self, list: &mut S) -> Result<(), S::Error>;
}

impl<M: Members> Serialize for Object<M> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("", M::COUNT)?;
        self.members.write(&mut object)?;
        object.end()
    }
}

impl<E: Elements> Serialize for List<E> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.elements.write(&mut list)?;
        list.end()
    }
}

impl Members for () {
    const COUNT: usize = 0;

    #[inline]
    fn write<S: SerializeStruct>(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

impl<F: Fn() -> &'static str, V: Serialize, R: Members> Members for (Name<F>, V, R) {
    const COUNT: usize = 1 + R::COUNT;

    #[inline]
    fn write<S: SerializeStruct>(&self, object: &mut S) -> Result<(), S::Error> {
        object.serialize_field((self.0.0)(), &self.1)?;
        self.2.write(object)
    }
}

impl Elements for () {
    #[inline]
    fn write<S: SerializeSeq>(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

impl<V: Serialize, R: Elements> Elements for (V, R) {
    #[inline]
    fn write<S: SerializeSeq>(&self, list: &mut S) -> Result<(), S::Error> {
        list.serialize_element(&self.0)?;
        self.1.write(list)
    }
}
