//! An event of `tracing`: its name, its place, its fields.

use std::borrow::Cow;

use tracing_core::{Event, Metadata};

use super::span::ERROR;
use super::visitor::FieldVisitor;
use crate::bridge::forwarding::fields::{Fields, Number, Value};

/// The name of an event, and where it comes from.
pub(super) struct EventSource {
    pub(super) name: Cow<'static, str>,
    pub(super) target: Cow<'static, str>,
    pub(super) file: Option<Cow<'static, str>>,
    pub(super) line: Option<u32>,
    pub(super) is_log_record: bool,
}

impl EventSource {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        if let Some(source) = Self::of_log_record(event) {
            return source;
        }
        let target = metadata.target();
        let name = if has_default_name(metadata) { target } else { metadata.name() };
        Self {
            name: name.into(),
            target: target.into(),
            file: metadata.file().map(Cow::from),
            line: metadata.line(),
            is_log_record: false,
        }
    }

    /// The source of the `log` record from which `tracing-log` made this event. `tracing-log` gives all such events
    /// one name and one target, and puts the facts of the record into fields. `None` for every other event.
    fn of_log_record(event: &Event<'_>) -> Option<Self> {
        if (event.metadata().target(), event.metadata().name()) != ("log", "log event") {
            return None;
        }
        let (mut target, mut file, mut line) = (None, None, None);
        event.record(&mut FieldVisitor::new(&mut |field, value| match (field, value) {
            ("log.target", Value::Str(value)) => target = Some(Cow::from(value.to_owned())),
            ("log.file", Value::Str(value)) => file = Some(Cow::from(value.to_owned())),
            ("log.line", Value::Number(Number::U64(value))) => line = u32::try_from(value).ok(),
            _ => {}
        }));
        let target = target?;
        Some(Self { name: target.clone(), target, file, line, is_log_record: true })
    }
}

/// Whether the event has the name that the macros make if the program gives none: `event <file>:<line>`.
fn has_default_name(metadata: &Metadata<'_>) -> bool {
    let Some(place) = metadata.name().strip_prefix("event ") else { return false };
    let line =
        metadata.file().and_then(|file| place.strip_prefix(file)).and_then(|rest| rest.strip_prefix(':'));
    line.is_some_and(|line| line.parse() == Ok(metadata.line().unwrap_or_default()))
}

/// Whether the event has the field `error` and no other, as `#[instrument(err)]` makes one when its function fails.
pub(super) fn is_error_of_span(event: &Event<'_>) -> bool {
    let fields = event.metadata().fields();
    fields.len() == 1 && fields.field(ERROR).is_some()
}

/// An event's fields.
pub(super) struct EventFields<'e> {
    pub(super) event: &'e Event<'e>,
    pub(super) is_log_record: bool,
}

impl Fields for EventFields<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        self.event.record(&mut FieldVisitor::new(&mut |field, value| {
            // These fields say where the record was made. They are not its data.
            if !(self.is_log_record && field.starts_with("log.")) {
                take(field, value);
            }
        }));
    }
}
