//! What the bridge keeps with a span of a session until the span closes.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing_subscriber::registry::ExtensionsMut;

use crate::bridge::forwarding::fields::{Fields, Number, SESSION_ID, Value, text};

/// The field that makes a span's end an exception.
const ERROR: &str = "error";

/// Kept in a span's extensions. Two bridges in one subscriber share it, so it holds nothing of one bridge alone, and
/// the second insertion changes nothing.
pub(super) struct SpanState {
    pub(super) session: Arc<SpanSession>,
    /// `None` if no attachment asked for the span when it was made.
    pub(super) report: Option<Span>,
}

/// The session that a span belongs to: by its own field, or else by the enclosing span. A span inherits it when it is
/// made, so that an event need not search all enclosing spans.
pub(super) struct SpanSession {
    /// Empty as long as the field is declared and not recorded.
    own: OnceLock<Box<str>>,
    /// Only if the own id may be missing, so nested spans make no chain.
    enclosing: Option<Arc<SpanSession>>,
}

/// A span to report.
pub(super) struct Span {
    made: Instant,
    fields: SpanFields,
}

/// The fields that a span has so far, in the order in which they were recorded.
#[derive(Default)]
pub(super) struct SpanFields {
    fields: Vec<(&'static str, OwnedValue)>,
    /// Apart from the fields: it is never part of the data.
    pub(super) session_id: Option<Box<str>>,
    pub(super) has_error: bool,
}

/// A [`Value`] with memory of its own.
enum OwnedValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

/// A span's fields at its close, and how long it lasted.
pub(super) struct ClosedSpan<'s> {
    span: &'s Span,
    nanoseconds: u64,
}

impl SpanState {
    pub(super) fn insert(
        extensions: &mut ExtensionsMut<'_>,
        session: Arc<SpanSession>,
        report: Option<Span>,
    ) {
        match extensions.get_mut::<Self>() {
            Some(state) => state.report = state.report.take().or(report),
            None => extensions.insert(Self { session, report }),
        }
    }

    pub(super) fn add(&mut self, fields: SpanFields) {
        if let Some(id) = &fields.session_id {
            let _ = self.session.own.set(id.clone());
        }
        if let Some(span) = &mut self.report {
            span.fields.add(fields);
        }
    }
}

impl SpanSession {
    pub(super) fn new(own: Option<&str>, enclosing: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(match own {
            Some(id) => Self { own: OnceLock::from(Box::from(id)), enclosing: None },
            None => Self { own: OnceLock::new(), enclosing },
        })
    }

    pub(super) fn id(&self) -> Option<&str> {
        let mut session = Some(self);
        while let Some(Self { own, enclosing }) = session {
            if let Some(id) = own.get() {
                return Some(id);
            }
            session = enclosing.as_deref();
        }
        None
    }
}

impl Span {
    pub(super) fn new(fields: SpanFields) -> Self {
        Self { made: Instant::now(), fields }
    }

    pub(super) fn has_error(&self) -> bool {
        self.fields.has_error
    }

    pub(super) fn closed(&self) -> ClosedSpan<'_> {
        let nanoseconds = u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        ClosedSpan { span: self, nanoseconds }
    }
}

impl SpanFields {
    /// Called inside the reentrancy guard: to make a text runs the program's own code.
    pub(super) fn push(&mut self, name: &'static str, value: &Value<'_>) {
        if name == SESSION_ID {
            self.session_id.get_or_insert_with(|| text(value).into());
            return;
        }
        self.has_error |= name == ERROR && !matches!(value, Value::Null | Value::Bool(false));
        self.fields.push((name, OwnedValue::from(value)));
    }

    /// Adds fields that were recorded later. Of two values of one field the later counts.
    fn add(&mut self, later: Self) {
        self.has_error |= later.has_error;
        for (name, value) in later.fields {
            match self.fields.iter_mut().find(|(existing, _)| *existing == name) {
                Some((_, existing)) => *existing = value,
                None => self.fields.push((name, value)),
            }
        }
    }
}

impl From<&Value<'_>> for OwnedValue {
    fn from(value: &Value<'_>) -> Self {
        match *value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(value) => Self::Number(value),
            Value::Str(value) => Self::Text(value.into()),
            Value::Text(value) => Self::Text(text(value).into()),
        }
    }
}

impl Fields for SpanFields {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        for (name, value) in &self.fields {
            let value = match value {
                OwnedValue::Null => Value::Null,
                OwnedValue::Bool(value) => Value::Bool(*value),
                OwnedValue::Number(value) => Value::Number(*value),
                OwnedValue::Text(text) => Value::Str(text),
            };
            take(name, value);
        }
    }
}

impl Fields for ClosedSpan<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        take("duration", Value::Number(Number::U64(self.nanoseconds)));
        self.span.fields.each(take);
    }
}
