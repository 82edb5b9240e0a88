//! The name of an error's type.
//!
//! Rust keeps no names of types for trait objects. So there are three kinds of names, from the best to the worst:
//!
//! 1. Types that every program meets are asked for one by one. Their names are those that users write, without private
//!    modules: `std::num::ParseIntError`.
//! 2. The type that the caller passes, if the compiler knows it: `my_crate::TrainingError`.
//! 3. For a trait object, the name that its `Debug` begins with, if that looks as if it was derived: `Diverged` of
//!    `Diverged { step: 3 }`. For an enum this is the variant.
//!
//! An error without a name is a text, a context of `anyhow`, or a type whose `Debug` is written by hand.

use std::error::Error;
use std::fmt::{self, Write};
use std::{array, char, env, ffi, io, net, num, str, string, sync, time};

use crate::failure::user_error::{ApiError, downcast};

/// Longer names are cut.
pub(super) const MAX_TYPE: usize = 256;

/// The name of a type that every program meets, also of one in a `Box` or an `Arc`.
pub(super) fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! first_of {
        ($($kind:ty => $name:literal,)*) => {
            $(if downcast::<$kind>(error).is_some() {
                return Some($name);
            })*
        };
    }
    first_of! {
        ApiError => "ApiError",
        io::Error => "std::io::Error",
        serde_json::Error => "serde_json::Error",
        ureq::Error => "ureq::Error",
        fmt::Error => "std::fmt::Error",
        num::ParseIntError => "std::num::ParseIntError",
        num::ParseFloatError => "std::num::ParseFloatError",
        num::TryFromIntError => "std::num::TryFromIntError",
        str::ParseBoolError => "std::str::ParseBoolError",
        char::ParseCharError => "std::char::ParseCharError",
        char::CharTryFromError => "std::char::CharTryFromError",
        str::Utf8Error => "std::str::Utf8Error",
        string::FromUtf8Error => "std::string::FromUtf8Error",
        string::FromUtf16Error => "std::string::FromUtf16Error",
        array::TryFromSliceError => "std::array::TryFromSliceError",
        net::AddrParseError => "std::net::AddrParseError",
        time::SystemTimeError => "std::time::SystemTimeError",
        env::VarError => "std::env::VarError",
        ffi::NulError => "std::ffi::NulError",
        sync::mpsc::RecvError => "std::sync::mpsc::RecvError",
        sync::mpsc::RecvTimeoutError => "std::sync::mpsc::RecvTimeoutError",
        sync::mpsc::TryRecvError => "std::sync::mpsc::TryRecvError",
    }
    None
}

/// The name of the type that a `Box` or an `Arc` holds: the error's own. Other names stay as they are.
pub(super) fn pointee(name: &str) -> &str {
    let inner =
        ["alloc::boxed::Box<", "alloc::sync::Arc<"].iter().find_map(|pointer| name.strip_prefix(pointer));
    inner.and_then(|inner| inner.strip_suffix('>')).unwrap_or(name)
}

/// The name that a derived `Debug` begins with. `None` for a text, for `Error`, which is no name to group by, and for the
/// forms of an I/O error: a type that hands its `Debug` on to one is not named by them.
pub(super) fn of_debug(error: &(dyn Error + 'static)) -> Option<String> {
    let mut beginning = Beginning::default();
    let _ = write!(beginning, "{error:?}");
    let Beginning { name, next } = beginning;
    let is_derived = matches!(next.as_str(), "" | "(" | " {");
    let is_io = matches!((name.as_str(), next.as_str()), ("Os" | "Custom", " {") | ("Kind", "("));
    let is_path = name.split("::").all(|part| !part.is_empty() && !part.contains(':'));
    let is_type = is_path && name.rsplit(':').next().is_some_and(|last| last.starts_with(char::is_uppercase));
    (is_derived && !is_io && is_type && name != "Error").then_some(name)
}

/// Keeps the path that a text begins with and the two characters after it at most, and then fails, so that a large
/// `Debug` is not written in full.
#[derive(Default)]
struct Beginning {
    name: String,
    next: String,
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let fits = letter == '_' || letter == ':' || letter.is_alphanumeric();
            if self.next.is_empty() && fits && self.name.len() < MAX_TYPE {
                self.name.push(letter);
            } else {
                self.next.push(letter);
                if self.next != " " {
                    return Err(fmt::Error);
                }
            }
        }
        Ok(())
    }
}
