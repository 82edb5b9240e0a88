//! The stack of where an error was made, if the error carries one.
//!
//! The interface of the standard library for this is not stable. `anyhow` and `eyre` print theirs at the end of their
//! `Debug`, below a line of its own, if the environment asks for backtraces. That resolves the symbols, so it happens on
//! the thread of the caller, who owns the error.

use std::fmt::{Debug, Write};
use std::time::Duration;

use crate::failure::as_error::{ErrorView, StackPrinter};
use crate::process::stack::{self, Frames, StackText};

/// What stands above the stack.
const HEADING: &str = "\nStack backtrace:\n";

/// The stack that the error prints. `None` if it prints none, in a forked child, and if other threads resolve symbols for
/// longer than `wait`.
pub(super) fn of(view: ErrorView<'_>, wait: Duration) -> Option<String> {
    let printed: &dyn Debug = match view.printer? {
        StackPrinter::Error => &view.error,
        StackPrinter::Report(report) => report,
    };
    let text = stack::resolve(wait, || {
        let mut text = StackText::default(); // a `Debug` that does not fit is not searched
        write!(text, "{printed:?}").is_ok().then_some(text.0)
    })??;
    let (_, stack) = text.rsplit_once(HEADING)?;
    Some(Frames(stack).to_string().trim_end().to_owned())
}
