//! What the bridge keeps with a span until the span closes.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing_subscriber::registry::ExtensionsMut;

use super::visitor::FieldVisitor;
use crate::bridge::forwarding::attachments::run_guarded;
use crate::bridge::forwarding::fields::{Fields, MAX_TEXT, Number, SESSION_ID, Value, text};
use crate::failure::text::{cut, width};

/// The field that makes a span's end an exception.
pub(super) const ERROR: &str = "error";

/// The most fields that are kept of a span.
const MAX_FIELDS: usize = 128;

/// Kept in a span's extensions. Two bridges in one subscriber share it. So it holds nothing that belongs to one
/// bridge alone, and the second bridge only adds what is still missing.
pub(super) struct SpanState {
    /// See [`next_span_id`](crate::bridge::origin::next_span_id).
    pub(super) id: u64,
    pub(super) parent_id: Option<u64>,
    /// `None`: neither this span nor one around it names a session.
    pub(super) session: Option<Arc<SpanSession>>,
    pub(super) fields: SpanFields,
    /// When the span was made. `None` if no attachment asked for the span then.
    pub(super) reported_since: Option<Instant>,
}

/// The session that a span belongs to: by its own field, or else by the enclosing span. A span inherits it when it is
/// made, so that an event need not search all enclosing spans.
pub(super) struct SpanSession {
    /// Empty as long as the field is declared and not recorded.
    own: OnceLock<Box<str>>,
    /// Set only if the own id may be missing, so nested spans form no chain.
    enclosing: Option<Arc<SpanSession>>,
}

/// The fields that a span has so far, in the order in which they were recorded. Their number and size are bounded: a
/// larger event would be refused.
pub(super) struct SpanFields {
    fields: Vec<(&'static str, OwnedValue)>,
    session_id: Option<Box<str>>,
    pub(super) has_error: bool,
    /// A longer text is cut.
    max_text: usize,
    /// How many bytes all texts together may have.
    room: usize,
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
    fields: &'s SpanFields,
    nanoseconds: u64,
}

impl SpanState {
    /// Puts the state into a span, unless another bridge has done that.
    pub(super) fn insert(self, extensions: &mut ExtensionsMut<'_>) {
        match extensions.get_mut::<Self>() {
            Some(state) => {
                let is_first_report = state.reported_since.is_none() && self.reported_since.is_some();
                if is_first_report || state.fields.is_empty() {
                    state.fields = self.fields;
                }
                state.reported_since = state.reported_since.or(self.reported_since);
            }
            None => extensions.insert(self),
        }
    }

    pub(super) fn session_id(&self) -> Option<&str> {
        self.session.as_ref()?.id()
    }

    pub(super) fn add(&mut self, later: SpanFields) {
        if let (Some(id), Some(session)) = (&later.session_id, &self.session) {
            let _ = session.own.set(id.clone());
        }
        self.fields.add(later);
    }

    /// The fields at the close of a span that was made at this time.
    pub(super) fn closed(&self, made: Instant) -> ClosedSpan<'_> {
        let nanoseconds = u64::try_from(made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        ClosedSpan { fields: &self.fields, nanoseconds }
    }
}

impl SpanSession {
    pub(super) fn new(own: Option<&str>, enclosing: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(match own {
            Some(id) => Self { own: OnceLock::from(Box::from(id)), enclosing: None },
            None => Self { own: OnceLock::new(), enclosing },
        })
    }

    fn id(&self) -> Option<&str> {
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

impl SpanFields {
    /// Copies those fields of `record` that are wanted, with texts of at most `max_text` bytes. `None` inside the
    /// reentrancy scope.
    pub(super) fn copy(
        max_text: usize,
        is_wanted: impl Fn(&str) -> bool,
        record: impl FnOnce(&mut FieldVisitor<'_>),
    ) -> Option<Self> {
        run_guarded(|| {
            let mut fields =
                Self { fields: Vec::new(), session_id: None, has_error: false, max_text, room: MAX_TEXT };
            let mut take = |name, value: Value<'_>| {
                if is_wanted(name) {
                    fields.push(name, &value);
                }
            };
            let mut visitor = FieldVisitor::new(&mut take);
            record(&mut visitor);
            let has_error = visitor.has_error;
            fields.has_error |= has_error;
            fields
        })
    }

    pub(super) fn max_text(&self) -> usize {
        self.max_text
    }

    pub(super) fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Called inside the reentrancy scope, because making a text runs the program's own code.
    fn push(&mut self, name: &'static str, value: &Value<'_>) {
        if name == SESSION_ID {
            self.session_id.get_or_insert_with(|| text(value, MAX_TEXT).into());
            return;
        }
        self.has_error |= name == ERROR && !matches!(value, Value::Null | Value::Bool(false));
        if self.fields.len() < MAX_FIELDS {
            let value = self.fit(OwnedValue::new(value, self.max_text));
            self.fields.push((name, value));
        }
    }

    /// Adds fields that were recorded later. If a field has two values, the later one counts.
    fn add(&mut self, later: Self) {
        self.has_error |= later.has_error;
        self.session_id = self.session_id.take().or(later.session_id);
        for (name, value) in later.fields {
            if let Some(place) = self.fields.iter().position(|(existing, _)| *existing == name) {
                self.room += self.fields[place].1.width();
                self.fields[place].1 = self.fit(value);
            } else if self.fields.len() < MAX_FIELDS {
                let value = self.fit(value);
                self.fields.push((name, value));
            }
        }
    }

    /// Takes room for a value. A text is cut to what is left.
    fn fit(&mut self, value: OwnedValue) -> OwnedValue {
        let value = match value {
            OwnedValue::Text(text) if width(&text) > self.room => {
                OwnedValue::Text(cut(text, self.room).into())
            }
            value => value,
        };
        self.room = self.room.saturating_sub(value.width());
        value
    }

    /// Passes each field to `take`, until that returns `false`. Returns what `take` returned last.
    pub(super) fn all(&self, take: &mut dyn FnMut(&'static str, Value<'_>) -> bool) -> bool {
        let session_id = self.session_id.as_deref().map(|id| (SESSION_ID, Value::Str(id)));
        let fields = self.fields.iter().map(|(name, value)| (*name, value.borrow()));
        session_id.into_iter().chain(fields).all(|(name, value)| take(name, value))
    }
}

impl OwnedValue {
    fn new(value: &Value<'_>, max: usize) -> Self {
        match *value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(value) => Self::Number(value),
            Value::Str(value) if value.len() <= max && width(value) <= max => Self::Text(value.into()),
            Value::Str(value) => Self::Text(cut(value, max).into()),
            Value::Text(value) => Self::Text(text(value, max).into()),
        }
    }

    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(*value),
            Self::Text(text) => Value::Str(text),
        }
    }

    fn width(&self) -> usize {
        if let Self::Text(text) = self { width(text) } else { 0 }
    }
}

impl Fields for &SpanFields {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        self.all(&mut |name, value| {
            take(name, value);
            true
        });
    }
}

impl Fields for ClosedSpan<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        take("duration", Value::Number(Number::U64(self.nanoseconds)));
        self.fields.each(take);
    }
}
