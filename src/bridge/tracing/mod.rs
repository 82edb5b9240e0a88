//! Events of the `tracing` crate, and the start and the end of its spans, as events.

mod span;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::thread;

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::bridge::forwarding::attachments::{
    Attachments, is_never_forwarded, matching_attachments, run_guarded, severity,
};
use crate::bridge::forwarding::fields::{EventData, Fields, Number, SESSION_ID, Value};
use crate::model::event::Severity;
use crate::process::reentrancy;
use span::{Span, SpanFields, SpanSession, SpanState};

/// A layer that forwards the events and the spans of a session, and changes nothing for other layers.
///
/// An event belongs to the session that its field `session_id` names; without that field, to the session that the
/// nearest enclosing span with that field names. Its name is the name in the macro (`name: "checkpoint.saved"`), or else
/// its target. Its level is the severity: `TRACE` becomes `DEBUG`, and an event whose name ends in `exception` is an
/// error. Its numbers are the measurements; its message and all other values are the metadata. A value that is neither a
/// number, a text nor a boolean is forwarded as the text that it prints.
///
/// A span of the session is reported as `<name>.start` when it is made, and as `<name>.stop` when it closes. If an error
/// was recorded in it (in a field `error`, or as a `dyn Error` in any field), or if a panic closes it, it closes as
/// `<name>.exception`, an error. Both events have the span's own fields. At the close there is also the measurement
/// `duration`, in nanoseconds since the span was made. An attachment reports the spans that are made after it.
///
#[cfg_attr(feature = "collector", doc = "```standalone_crate")]
#[cfg_attr(not(feature = "collector"), doc = "```ignore")]
/// use std::time::Duration;
/// use tinker_telemetry::bridge::{Attachments, TracingBridge};
/// # use tinker_telemetry::{Config, Reporter, collector::Collector};
/// use tracing_subscriber::prelude::*;
///
/// # let collector = Collector::start()?;
/// # let config = Config::new("tml-example").base_url(collector.url());
/// # let reporter = Reporter::builder(config, "session-0001").enabled(true).start()?;
/// let attachments = Attachments::of(&reporter); // HTTP requests and queue states
/// tracing_subscriber::registry().with(TracingBridge::new(&attachments)).init();
///
/// tracing::info_span!("session", session_id = "session-0001").in_scope(|| {
///     let request = tracing::info_span!("http.request", method = "POST", status = tracing::field::Empty);
///     request.record("status", 200);
///     drop(request);
///     tracing::warn!(name: "queue.state_change", queue_state = "paused_capacity");
/// });
/// assert!(reporter.wait_until_drained(Duration::from_secs(5)));
/// # let events = collector.events();
/// # let names: Vec<_> = events.iter().skip(1).map(|event| event.name()).collect();
/// # assert_eq!(
/// #     names,
/// #     ["http.request.start", "http.request.stop", "queue.state_change"]
/// # );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Events of this crate, `ureq`, `ureq_proto` and `rustls` are never forwarded, whatever they carry, by way of
/// `tracing-log` too. The same holds for events that are made while another event is forwarded. To forward costs the
/// caller what [`Reporter::log`](crate::Reporter::log) costs. It never blocks, and never panics, even if a value panics
/// when it is printed.
///
/// Like every layer without a filter, this one makes the program form events of all levels. A filter saves that cost:
/// `TracingBridge::new(&attachments).with_filter(LevelFilter::INFO)`. Levels that the program compiled out (the features
/// `max_level_…` of the crate `tracing`) do not arrive here.
#[derive(Clone, Debug, Default)]
pub struct TracingBridge {
    attachments: Attachments,
}

impl TracingBridge {
    /// Forwards to these attachments, whose list may change at any time.
    pub fn new(attachments: &Attachments) -> Self {
        Self { attachments: attachments.clone() }
    }
}

impl<S> Layer<S> for TracingBridge
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if reentrancy::is_inside() {
            return;
        }
        let origin = Origin::of(event);
        if is_never_forwarded(&origin.target) {
            return;
        }
        let name = &*origin.name;
        let Some(attachments) = self.attachments.interested_in(name, &[""]) else { return };
        let mut own = None;
        if event.metadata().fields().field(SESSION_ID).is_some() {
            let looked_up = run_guarded(|| {
                event.record(&mut FieldVisitor::new(&mut |field, id| {
                    if field == SESSION_ID && own.is_none() {
                        own = Some(matching_attachments(&attachments, name, "", &id));
                    }
                }));
            });
            if looked_up.is_none() {
                return;
            }
        }
        let matching = own.or_else(|| {
            let span = context.event_span(event)?;
            let extensions = span.extensions();
            let id = extensions.get::<SpanState>()?.session.id()?;
            Some(matching_attachments(&attachments, name, "", &Value::Str(id)))
        });
        let severity = severity(name, level(*event.metadata().level()));
        for attachment in matching.into_iter().flatten() {
            let fields = EventFields { event, is_log_record: origin.is_log_record };
            attachment.report(origin.name.clone(), EventData(&fields), severity);
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if reentrancy::is_inside() {
            return;
        }
        let metadata = attributes.metadata();
        let Some(span) = context.span(id) else { return };
        let enclosing = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            Some(extensions.get::<SpanState>()?.session.clone())
        });
        let names_session = metadata.fields().field(SESSION_ID).is_some();
        if !names_session && enclosing.is_none() {
            return;
        }
        let may_be_reported = !is_never_forwarded(metadata.target());
        let attachments =
            if may_be_reported { self.attachments.interested_in(metadata.name(), &SUFFIXES) } else { None };
        let is_wanted = |field: &str| field == SESSION_ID || attachments.is_some();
        let Some(fields) = copy_fields(is_wanted, |visitor| attributes.record(visitor)) else { return };
        let session = match enclosing {
            Some(session) if !names_session => session,
            enclosing => SpanSession::new(fields.session_id.as_deref(), enclosing),
        };
        if let (Some(attachments), Some(id)) = (&attachments, session.id()) {
            for attachment in matching_attachments(attachments, metadata.name(), START, &Value::Str(id)) {
                let name = Cow::Owned(format!("{}{START}", metadata.name()));
                attachment.report(name, EventData(&fields), level(*metadata.level()));
            }
        }
        let report = attachments.map(|_| Span::new(fields));
        SpanState::insert(&mut span.extensions_mut(), session, report);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if reentrancy::is_inside() || span.extensions().get::<SpanState>().is_none() {
            return;
        }
        // Before the lock on the extensions: to print a value may make an event, for which layers take that lock.
        let Some(fields) = copy_fields(|_| true, |visitor| values.record(visitor)) else { return };
        if let Some(state) = span.extensions_mut().get_mut::<SpanState>() {
            state.add(fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if reentrancy::is_inside() {
            return;
        }
        let Some(span) = context.span(&id) else { return };
        let extensions = span.extensions();
        let Some(SpanState { session, report: Some(report) }) = extensions.get::<SpanState>() else { return };
        let metadata = span.metadata();
        let suffix = if report.has_error() || thread::panicking() { EXCEPTION } else { STOP };
        let Some(id) = session.id() else { return };
        let Some(attachments) = self.attachments.interested_in(metadata.name(), &[suffix]) else { return };
        let severity = severity(suffix, level(*metadata.level()));
        for attachment in matching_attachments(&attachments, metadata.name(), suffix, &Value::Str(id)) {
            let name = Cow::Owned(format!("{}{suffix}", metadata.name()));
            attachment.report(name, EventData(&report.closed()), severity);
        }
    }
}

const START: &str = ".start";
const STOP: &str = ".stop";
const EXCEPTION: &str = ".exception";
const SUFFIXES: [&str; 3] = [START, STOP, EXCEPTION];

fn level(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        _ => Severity::Debug,
    }
}

/// The name of an event, and where it comes from.
struct Origin {
    name: Cow<'static, str>,
    target: Cow<'static, str>,
    is_log_record: bool,
}

impl Origin {
    fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        if let Some(target) = log_target(event) {
            return Self { name: target.clone(), target, is_log_record: true };
        }
        let target = metadata.target();
        let name = if has_default_name(metadata) { target } else { metadata.name() };
        Self { name: name.into(), target: target.into(), is_log_record: false }
    }
}

/// The target of the `log` record that `tracing-log` made this event of. `tracing-log` gives all such events one name and
/// one target, and puts the record's target into a field. `None` for every other event.
fn log_target(event: &Event<'_>) -> Option<Cow<'static, str>> {
    if (event.metadata().target(), event.metadata().name()) != ("log", "log event") {
        return None;
    }
    let mut target = None;
    event.record(&mut FieldVisitor::new(&mut |field, value| {
        if let ("log.target", Value::Str(value)) = (field, value) {
            target = Some(value.to_owned().into());
        }
    }));
    target
}

/// Whether the event has the name that the macros make if the program gives none: `event <file>:<line>`.
fn has_default_name(metadata: &Metadata<'_>) -> bool {
    let Some(place) = metadata.name().strip_prefix("event ") else { return false };
    let line =
        metadata.file().and_then(|file| place.strip_prefix(file)).and_then(|rest| rest.strip_prefix(':'));
    line.is_some_and(|line| line.parse() == Ok(metadata.line().unwrap_or_default()))
}

/// An event's fields.
struct EventFields<'e> {
    event: &'e Event<'e>,
    is_log_record: bool,
}

impl Fields for EventFields<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        self.event.record(&mut FieldVisitor::new(&mut |field, value| {
            // Those fields are the place where the record was made, and no data of it.
            if !(self.is_log_record && field.starts_with("log.")) {
                take(field, value);
            }
        }));
    }
}

/// Copies the wanted fields of those that `record` passes on. `None` inside the reentrancy guard.
fn copy_fields(
    is_wanted: impl Fn(&str) -> bool,
    record: impl FnOnce(&mut FieldVisitor<'_>),
) -> Option<SpanFields> {
    run_guarded(|| {
        let mut fields = SpanFields::default();
        let mut take = |name, value: Value<'_>| {
            if is_wanted(name) {
                fields.push(name, &value);
            }
        };
        let mut visitor = FieldVisitor::new(&mut take);
        record(&mut visitor);
        fields.has_error |= visitor.has_error;
        fields
    })
}

/// Passes on values of `tracing` as [`Value`]s.
struct FieldVisitor<'t> {
    take: &'t mut dyn FnMut(&'static str, Value<'_>),
    has_error: bool,
}

impl<'t> FieldVisitor<'t> {
    fn new(take: &'t mut dyn FnMut(&'static str, Value<'_>)) -> Self {
        Self { take, has_error: false }
    }
}

impl Visit for FieldVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.take)(field.name(), Value::Number(Number::F64(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.take)(field.name(), Value::Number(Number::I64(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.take)(field.name(), Value::Number(Number::U64(value)));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        (self.take)(field.name(), Value::Number(Number::I128(value)));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        (self.take)(field.name(), Value::Number(Number::U128(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.take)(field.name(), Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.take)(field.name(), Value::Str(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        (self.take)(field.name(), Value::Str(&String::from_utf8_lossy(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.has_error = true;
        (self.take)(field.name(), Value::Text(&value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.take)(field.name(), Value::Text(&format_args!("{value:?}")));
    }
}
