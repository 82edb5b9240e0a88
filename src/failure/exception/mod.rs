//! The type, the message and the traceback of an error or a panic.

use std::error::Error;
use std::fmt::{self, Display, Write};
use std::io;
use std::time::Duration;

use crate::failure::text::cut;
use crate::failure::user_error::{ApiError, MAX_DEPTH, UserError};
use crate::payload::record::{Exception, Traceback};
use crate::process::stack::Stack;

/// Longer messages and tracebacks are cut: people read them, and they must fit beside other events in a batch.
const MAX_MESSAGE: usize = 16 * 1024;
const MAX_TRACEBACK: usize = 64 * 1024;
const MAX_TYPE: usize = 256;

/// Type, message and traceback of an error, in at most `limit` bytes of JSON together. The traceback is the chain of
/// sources and, if the environment asks for backtraces, the caller's stack, for which it may have to wait. Runs the
/// error's own code.
pub(crate) fn describe(
    error: &(dyn Error + 'static),
    type_name: Option<&str>,
    limit: usize,
    wait_for_stack: Duration,
) -> Exception {
    let error_type = match type_name {
        // The names that users know, without the private modules of their paths.
        _ if error.is::<ApiError>() => "ApiError".to_owned(),
        _ if error.is::<io::Error>() => "std::io::Error".to_owned(),
        Some(name) => cut(pointee(name), MAX_TYPE.min(limit / 8)),
        None => cut(debug_name(error), MAX_TYPE.min(limit / 8)),
    };
    let message = cut(error, MAX_MESSAGE.min(limit / 4));
    let max = MAX_TRACEBACK.min(limit / 2);
    let causes = cut(Causes { error, error_type: &error_type, message: &message }, max);
    Exception {
        error_type,
        message,
        traceback: Traceback { causes, stack: Stack::capture(wait_for_stack), max },
    }
}

/// Type, message and traceback of a panic. `report` is the message with the panic's thread and location.
pub(crate) fn describe_panic(
    message: &str,
    report: impl Display,
    stack: Option<Stack>,
    limit: usize,
) -> Exception {
    let max = MAX_TRACEBACK.min(limit / 2);
    Exception {
        error_type: cut("panic", MAX_TYPE.min(limit / 8)),
        message: cut(message, MAX_MESSAGE.min(limit / 4)),
        traceback: Traceback { causes: cut(report, max), stack, max },
    }
}

/// A user error that is too large for an event, made smaller: its texts are cut as those of an exception are, and it
/// has no body. It is better to report the error without the answer's body than not at all.
pub(crate) fn shorten(error: &UserError, limit: usize) -> UserError {
    UserError {
        error_type: cut(&error.error_type, MAX_TYPE.min(limit / 8)),
        message: cut(&error.message, MAX_MESSAGE.min(limit / 4)),
        status_code: error.status_code,
        body: None,
    }
}

struct Causes<'a> {
    error: &'a (dyn Error + 'static),
    error_type: &'a str,
    message: &'a str,
}

impl Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)?;
        let causes = std::iter::successors(self.error.source(), |&cause| cause.source());
        for cause in causes.take(MAX_DEPTH) {
            write!(f, "\nCaused by: {cause}")?;
        }
        Ok(())
    }
}

/// The name of the type that a `Box` or an `Arc` holds: the error's own. Other names stay as they are.
fn pointee(name: &str) -> &str {
    let inner =
        ["alloc::boxed::Box<", "alloc::sync::Arc<"].iter().find_map(|pointer| name.strip_prefix(pointer));
    inner.and_then(|inner| inner.strip_suffix('>')).unwrap_or(name)
}

/// The name that a trait object's `Debug` begins with: `ParseError` of `ParseError { line: 3 }`.
fn debug_name(error: &(dyn Error + 'static)) -> String {
    let mut name = LeadingIdentifier::default();
    let _ = write!(name, "{error:?}");
    if name.0.is_empty() { "Error".to_owned() } else { name.0 }
}

/// Keeps a leading identifier and fails at the first other character, so that a large `Debug` is not written in full.
#[derive(Default)]
struct LeadingIdentifier(String);

impl Write for LeadingIdentifier {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let fits = letter == '_' || letter.is_alphabetic() || (letter.is_numeric() && !self.0.is_empty());
            if !fits || self.0.len() >= MAX_TYPE {
                return Err(fmt::Error);
            }
            self.0.push(letter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
