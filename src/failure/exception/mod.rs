//! The type, the message and the traceback of an error or a panic.

mod own_stack;
mod type_name;

use std::error::Error;
use std::fmt::{self, Display};
use std::time::Duration;

use crate::failure::as_error::ErrorView;
use crate::failure::chain::{Message, chain, texts};
use crate::failure::text::cut;
use crate::failure::user_error::UserError;
use crate::payload::record::{Exception, Traceback};
use crate::process::stack::Stack;
use type_name::MAX_TYPE;

/// Longer messages and tracebacks are cut: people read them, and they must fit beside other events in a batch.
const MAX_MESSAGE: usize = 16 * 1024;
const MAX_TRACEBACK: usize = 64 * 1024;

/// Type, message and traceback of an error, in at most `limit` bytes of JSON together. Runs the error's own code.
///
/// The type is the caller's, if the compiler knows it. Otherwise it is the innermost of the chain that has a name: the
/// cause at the bottom, and not the contexts that were added on the way up. The message is the texts of the whole chain.
/// The traceback has a line for each error of the chain and, if the environment asks for backtraces, a stack: the one
/// that the error carries, or else that of this call, for which it may have to wait.
pub(crate) fn describe(view: ErrorView<'_>, limit: usize, wait_for_stack: Duration) -> Exception {
    let links = Link::all(view, MAX_TRACEBACK.min(limit / 2));
    let error_type = match view.type_name {
        Some(_) => links.first().and_then(|link| link.name.as_deref()),
        None => links.iter().rev().find_map(|link| link.name.as_deref()),
    };
    let error_type = cut(error_type.unwrap_or("Error"), MAX_TYPE.min(limit / 8));
    let message = links.iter().map(|link| &link.text).collect::<Message>().into_text();
    let message = cut(message, MAX_MESSAGE.min(limit / 4));
    let traceback = traceback(view, &links, MAX_TRACEBACK.min(limit / 2), wait_for_stack);
    Exception { error_type, message, traceback }
}

fn traceback(view: ErrorView<'_>, links: &[Link], max: usize, wait_for_stack: Duration) -> Traceback {
    let stack = Stack::capture(wait_for_stack);
    // Without a stack of the call the environment asks for none, or it takes too long to get one.
    let own = stack.as_ref().and_then(|_| own_stack::of(view, wait_for_stack));
    match own {
        Some(own) => Traceback {
            causes: cut(format_args!("{}\n\nStack backtrace:\n{own}", Causes(links)), max),
            stack: None,
            max,
        },
        None => Traceback { causes: cut(Causes(links), max), stack, max },
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

/// An error of a chain.
struct Link {
    name: Option<String>,
    text: String,
}

impl Link {
    /// The links of the chain, from the outermost in, with texts of at most `max` bytes in all. An error with the text of
    /// the one around it says nothing more, unless it has a name: an I/O error has the text of the error that it wraps.
    fn all(view: ErrorView<'_>, max: usize) -> Vec<Self> {
        let mut links: Vec<Self> = Vec::new();
        for (error, text) in chain(view.error).zip(texts(chain(view.error), max)) {
            let type_name = if links.is_empty() { view.type_name } else { None };
            let name = name(error, type_name);
            let is_repeated =
                links.last().is_some_and(|last| last.text == text && last.has_name_of(name.as_deref()));
            if !is_repeated {
                links.push(Self { name, text });
            }
        }
        links
    }

    /// Whether another error with this name has no other name than this one, apart from the path.
    fn has_name_of(&self, other: Option<&str>) -> bool {
        let last = |name: &str| name.rsplit("::").next().map(str::to_owned);
        other.is_none_or(|other| self.name.as_deref().and_then(last) == last(other))
    }
}

fn name(error: &(dyn Error + 'static), type_name: Option<&str>) -> Option<String> {
    let known = type_name::known(error).or(type_name.map(type_name::pointee)).map(str::to_owned);
    known.or_else(|| type_name::of_debug(error))
}

/// A line for each error.
struct Causes<'a>(&'a [Link]);

impl Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, Link { name, text }) in self.0.iter().enumerate() {
            f.write_str(if nth == 0 { "" } else { "\nCaused by: " })?;
            match name {
                Some(name) => write!(f, "{name}: {text}")?,
                None => f.write_str(text)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
