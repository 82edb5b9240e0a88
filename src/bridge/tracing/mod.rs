//! Events of the `tracing` crate, and the beginnings and ends of its spans, as events.

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

use crate::bridge::attachments::{Attachments, is_never_forwarded, listeners_of, run_guarded, severity};
use crate::bridge::fields::{EventData, Fields, Number, SESSION_ID, Value};
use crate::model::event::Severity;
use crate::process::reentrancy;
use span::{Span, SpanFields, SpanSession, SpanState};

/// A layer that forwards the events and the spans of a session, and leaves every other layer as it is.
///
/// An event is the session's where it has a field `session_id` that says so, or else where its span has one, or the
/// nearest span around that. Its name is the one it was given (`name: "checkpoint.saved"`), or else its target; its
/// level is the severity (`TRACE` is `DEBUG`, and a name that ends in `exception` is an error), its numbers are the
/// measurements; its message and all else are the metadata. Values of other kinds are forwarded as the text that they
/// print.
///
/// A span of the session is reported as `<name>.start` when it is made, and as `<name>.stop` when it closes; where an
/// error was recorded in it (in a field `error`, or as a `dyn Error` in any), or a panic closes it, it closes as
/// `<name>.exception`, an error.
/// Both have the span's own fields, and at the close there is the measurement `duration`, in nanoseconds since it was
/// made. A span that an attachment should report must be made after the attachment.
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
///     let request = tracing::info_span!("tinkex.http.request", method = "POST", status = tracing::field::Empty);
///     request.record("status", 200);
///     drop(request);
///     tracing::warn!(name: "tinkex.queue.state_change", queue_state = "paused_capacity");
/// });
/// assert!(reporter.wait_until_drained(Duration::from_secs(5)));
/// # let events = collector.events();
/// # let names: Vec<_> = events.iter().skip(1).map(|event| event.name()).collect();
/// # assert_eq!(
/// #     names,
/// #     ["tinkex.http.request.start", "tinkex.http.request.stop", "tinkex.queue.state_change"]
/// # );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What comes from this crate, `ureq`, `ureq_proto` and `rustls` is never forwarded, whatever it carries, by way of
/// `tracing-log` too; the same goes for what is said while an event is being forwarded. Forwarding costs the caller what
/// [`Reporter::log`](crate::Reporter::log) costs, and never blocks or panics, even if a value panics when it is printed.
///
/// Like every layer without a filter this one makes the program form events of all levels. Where that costs, say which
/// are wanted: `TracingBridge::new(&attachments).with_filter(LevelFilter::INFO)`.
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
        let mut of_its_own = None;
        if event.metadata().fields().field(SESSION_ID).is_some() {
            let looked = run_guarded(|| {
                event.record(&mut FieldVisitor::new(&mut |field, id| {
                    if field == SESSION_ID && of_its_own.is_none() {
                        of_its_own = Some(listeners_of(&attachments, name, "", &id));
                    }
                }));
            });
            if looked.is_none() {
                return;
            }
        }
        let listening = of_its_own.or_else(|| {
            let span = context.event_span(event)?;
            let extensions = span.extensions();
            let id = extensions.get::<SpanState>()?.session.id()?;
            Some(listeners_of(&attachments, name, "", &Value::Str(id)))
        });
        let severity = severity(name, level(*event.metadata().level()));
        for attachment in listening.into_iter().flatten() {
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
        let around = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            Some(extensions.get::<SpanState>()?.session.clone())
        });
        let says_session = metadata.fields().field(SESSION_ID).is_some();
        if !says_session && around.is_none() {
            return;
        }
        let asked = !is_never_forwarded(metadata.target());
        let attachments =
            if asked { self.attachments.interested_in(metadata.name(), &SUFFIXES) } else { None };
        let is_wanted = |field: &str| field == SESSION_ID || attachments.is_some();
        let Some(noted) = note(is_wanted, |each| attributes.record(each)) else { return };
        let session = match around {
            Some(session) if !says_session => session,
            around => SpanSession::new(noted.session_id.as_deref(), around),
        };
        if let (Some(attachments), Some(id)) = (&attachments, session.id()) {
            for attachment in listeners_of(attachments, metadata.name(), START, &Value::Str(id)) {
                let name = Cow::Owned(format!("{}{START}", metadata.name()));
                attachment.report(name, EventData(&noted), level(*metadata.level()));
            }
        }
        let report = attachments.map(|_| Span::new(noted));
        SpanState::keep(&mut span.extensions_mut(), session, report);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if reentrancy::is_inside() || span.extensions().get::<SpanState>().is_none() {
            return;
        }
        // Before the lock on what is kept: forming a value may make an event, for which others want that lock.
        let Some(noted) = note(|_| true, |each| values.record(each)) else { return };
        if let Some(kept) = span.extensions_mut().get_mut::<SpanState>() {
            kept.add(noted);
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
        for attachment in listeners_of(&attachments, metadata.name(), suffix, &Value::Str(id)) {
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

/// What an event is called and where it comes from.
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

/// The target of the `log` record that `tracing-log` made this event of, if it did. It gives all of them one name and
/// one target, and theirs in a field.
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

/// Whether the event was given no name: the macros call it `event <file>:<line>` then.
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
            // Where the record was made is no part of what it says.
            if !(self.is_log_record && field.starts_with("log.")) {
                take(field, value);
            }
        }));
    }
}

/// Notes the fields that are wanted of those that `record` hands over. `None` where that cannot be.
fn note(is_wanted: impl Fn(&str) -> bool, record: impl FnOnce(&mut FieldVisitor<'_>)) -> Option<SpanFields> {
    run_guarded(|| {
        let mut noted = SpanFields::default();
        let mut take = |field, value: Value<'_>| {
            if is_wanted(field) {
                noted.note(field, &value);
            }
        };
        let mut each = FieldVisitor::new(&mut take);
        record(&mut each);
        noted.has_error |= each.saw_error;
        noted
    })
}

/// Hands over values in our words.
struct FieldVisitor<'t> {
    take: &'t mut dyn FnMut(&'static str, Value<'_>),
    saw_error: bool,
}

impl<'t> FieldVisitor<'t> {
    fn new(take: &'t mut dyn FnMut(&'static str, Value<'_>)) -> Self {
        Self { take, saw_error: false }
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
        self.saw_error = true;
        (self.take)(field.name(), Value::Text(&value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.take)(field.name(), Value::Text(&format_args!("{value:?}")));
    }
}
