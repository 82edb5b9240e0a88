//! What is kept with a span of a session until it closes.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing_subscriber::registry::ExtensionsMut;

use crate::bridge::fields::{Fields, Number, SESSION_ID, Value, text};

/// The field that makes a span's end an exception.
const ERROR: &str = "error";

/// Kept in a span's extensions. Two bridges in one subscriber share it, so it holds nothing of a bridge's own, and
/// keeping twice is keeping once.
pub(super) struct SpanState {
    pub(super) session: Arc<SpanSession>,
    /// Where somebody asked for one when the span was made.
    pub(super) report: Option<Span>,
}

/// Which session a span is in: what its own field says, or else the span around it. Inherited when a span is made, so
/// that an event need not climb.
pub(super) struct SpanSession {
    /// Empty while the field is declared and not recorded.
    own: OnceLock<Box<str>>,
    /// Only where the own id may be missing, so spans within spans make no chain.
    around: Option<Arc<SpanSession>>,
}

/// A span that is to be reported.
pub(super) struct Span {
    made: Instant,
    noted: SpanFields,
}

/// A span's fields as they are known so far, in the order in which they became so.
#[derive(Default)]
pub(super) struct SpanFields {
    fields: Vec<(&'static str, OwnedValue)>,
    /// Not among the fields: it is in none of the data.
    pub(super) session_id: Option<Box<str>>,
    pub(super) has_error: bool,
}

/// A [`Value`] that lasts.
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
    pub(super) fn keep(extensions: &mut ExtensionsMut<'_>, session: Arc<SpanSession>, report: Option<Span>) {
        match extensions.get_mut::<Self>() {
            Some(kept) => kept.report = kept.report.take().or(report),
            None => extensions.insert(Self { session, report }),
        }
    }

    pub(super) fn add(&mut self, noted: SpanFields) {
        if let Some(id) = &noted.session_id {
            let _ = self.session.own.set(id.clone());
        }
        if let Some(span) = &mut self.report {
            span.noted.add(noted);
        }
    }
}

impl SpanSession {
    pub(super) fn new(own: Option<&str>, around: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(match own {
            Some(id) => Self { own: OnceLock::from(Box::from(id)), around: None },
            None => Self { own: OnceLock::new(), around },
        })
    }

    pub(super) fn id(&self) -> Option<&str> {
        let mut session = Some(self);
        while let Some(Self { own, around }) = session {
            if let Some(id) = own.get() {
                return Some(id);
            }
            session = around.as_deref();
        }
        None
    }
}

impl Span {
    pub(super) fn new(noted: SpanFields) -> Self {
        Self { made: Instant::now(), noted }
    }

    pub(super) fn has_error(&self) -> bool {
        self.noted.has_error
    }

    pub(super) fn closed(&self) -> ClosedSpan<'_> {
        let nanoseconds = u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        ClosedSpan { span: self, nanoseconds }
    }
}

impl SpanFields {
    /// Called inside the quiet scope: making a text runs the program's own code.
    pub(super) fn note(&mut self, name: &'static str, value: &Value<'_>) {
        if name == SESSION_ID {
            self.session_id.get_or_insert_with(|| text(value).into());
            return;
        }
        self.has_error |= name == ERROR && !matches!(value, Value::Null | Value::Bool(false));
        self.fields.push((name, OwnedValue::from(value)));
    }

    /// Takes over what was recorded later, which counts where both have a field.
    fn add(&mut self, later: Self) {
        self.has_error |= later.has_error;
        for (name, value) in later.fields {
            match self.fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
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
        self.span.noted.each(take);
    }
}
