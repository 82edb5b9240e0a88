//! Events of the `tracing` crate, and the start and the end of its spans, as events.

mod context;
mod event;
mod span;
mod visitor;

use std::thread;
use std::time::Instant;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::bridge::forwarding::attachments::{
    Attachments, is_never_forwarded, matching, run_guarded, severity,
};
use crate::bridge::forwarding::fields::{Fields, MAX_CONTEXT_TEXT, MAX_TEXT, SESSION_ID, Value};
use crate::bridge::origin::{Origin, current_thread, next_span_id};
use crate::model::event::Severity;
use crate::process::reentrancy;
use context::{EnclosingSpans, Within};
use event::{EventFields, EventSource, is_error_of_span};
use span::{SpanFields, SpanSession, SpanState};
use visitor::FieldVisitor;

/// A layer that forwards the events and the spans of a session, and changes nothing for other layers.
///
/// An event belongs to the session that its field `session_id` names; without that field, to the session that the
/// nearest enclosing span with that field names. Its name is the name in the macro (`name: "checkpoint.saved"`), or else
/// its target. Its level is the severity: `TRACE` becomes `DEBUG`, and an event whose name ends in `exception` is an
/// error. Its numbers are the measurements; its message and all other values are the metadata, together with the fields
/// of the enclosing spans; the [origin](crate::bridge#what-a-bridged-event-carries) says where it was made and within
/// which spans. A value that is neither a number, a text nor a boolean is forwarded as the text that it prints.
///
/// In a program with one session, [`Attachments::everything`] forwards all events and spans, and none needs the field.
/// Otherwise the spans around the one with the field are named in the origin, and their fields are not forwarded.
///
/// A span of the session is reported as `<name>.start` when it is made, and as `<name>.stop` when it closes. It closes as
/// `<name>.exception`, an error, if an error was recorded in it (in a field `error`, or as a `dyn Error` in any field), if
/// an event in it has the field `error` and no other, which is what `#[instrument(err)]` makes of a returned error, or if
/// a panic closes it. Both events have the span's own fields. At the close there is also the measurement `duration`, in
/// nanoseconds since the span was made. An attachment reports the spans that are made after it.
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
/// # let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start()?;
/// use tracing_subscriber::filter::LevelFilter;
///
/// // What this program prints. Without the filter it would print each request of the HTTP client at TRACE, if the
/// // feature `tracing-log` of `tracing-subscriber` is on, as it is by default.
/// let printed = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::INFO);
/// let attachments = Attachments::everything(&reporter);
/// let bridge = TracingBridge::new(&attachments).with_filter(LevelFilter::INFO);
/// tracing_subscriber::registry().with(printed).with(bridge).init();
///
/// tracing::info_span!("request", path = "/samples", status = tracing::field::Empty).in_scope(|| {
///     tracing::warn!(name: "queue.state_change", queue_state = "paused_capacity");
///     tracing::Span::current().record("status", 200);
/// });
/// assert!(reporter.wait_until_drained(Duration::from_secs(5)));
/// # let events = collector.events();
/// # let names: Vec<_> = events.iter().skip(1).map(|event| event.name()).collect();
/// # assert_eq!(names, ["request.start", "queue.state_change", "request.stop"]);
/// # let tinker_telemetry::event::Event::Generic(changed) = &events[2] else { panic!("{events:?}") };
/// # assert_eq!(changed.event_data["metadata"]["path"], "/samples");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Events of this crate, `ureq`, `ureq_proto` and `rustls` are never forwarded, whatever they carry, by way of
/// `tracing-log` too. The same holds for events that are made while another event is forwarded. To forward one
/// costs the caller one to two microseconds. It never blocks, and never panics, even if a value panics when it is
/// printed.
///
/// In a forked child, spans and events are forwarded as in its parent. The registry of `tracing-subscriber` has locks of its
/// own, which a fork can catch: make a span before the fork on the thread that forks, and do not use a span there that
/// other threads of the parent use too.
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
        if is_error_of_span(event) {
            record_error(event, &context);
        }
        let source = EventSource::of(event);
        if is_never_forwarded(&source.target) {
            return;
        }
        let (name, usual) = (&*source.name, level(*event.metadata().level()));
        let Some(attachments) = self.attachments.interested_in(name, &[""], usual) else { return };
        let severity = severity(name, "", usual);
        let matching = |id: Option<&Value<'_>>| matching(&attachments, (name, ""), severity, id);
        let mut own = None;
        if event.metadata().fields().field(SESSION_ID).is_some() {
            let looked_up = run_guarded(|| {
                event.record(&mut FieldVisitor::new(&mut |field, id| {
                    if field == SESSION_ID && own.is_none() {
                        own = Some(matching(Some(&id)));
                    }
                }));
            });
            if looked_up.is_none() {
                return;
            }
        }
        let matches = own.unwrap_or_else(|| {
            let span = context.event_span(event);
            let extensions = span.as_ref().map(SpanRef::extensions);
            let id = extensions.as_ref().and_then(|extensions| extensions.get::<SpanState>()?.session_id());
            matching(id.map(Value::Str).as_ref())
        });
        if matches.is_empty() {
            return;
        }
        let enclosing = EnclosingSpans::new(context.event_scope(event));
        let (span_id, parent_span_id) = enclosing.ids();
        let origin = Origin {
            target: Some(&source.target),
            file: source.file.as_deref(),
            line: source.line,
            thread: current_thread(),
            span_id,
            parent_span_id,
            spans: enclosing.names(),
        };
        let fields = EventFields { event, is_log_record: source.is_log_record };
        let fields = Within { fields, enclosing: &enclosing };
        for each in matches {
            each.report(name, &fields, &origin, severity);
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if reentrancy::is_inside() {
            return;
        }
        let metadata = attributes.metadata();
        let Some(span) = context.span(id) else { return };
        let (parent_id, enclosing) = span
            .parent()
            .and_then(|parent| {
                let extensions = parent.extensions();
                let state = extensions.get::<SpanState>()?;
                Some((state.id, state.session.clone()))
            })
            .unzip();
        let names_session = metadata.fields().field(SESSION_ID).is_some();
        let may_be_reported = !is_never_forwarded(metadata.target());
        let is_in_session = names_session || parent_id.is_some();
        if !(is_in_session || may_be_reported && self.attachments.take_any_session()) {
            return;
        }
        let usual = level(*metadata.level());
        let attachments = if may_be_reported {
            self.attachments.interested_in(metadata.name(), &SUFFIXES, usual)
        } else {
            None
        };
        let is_reported = attachments.is_some();
        let is_kept = may_be_reported && !self.attachments.is_empty();
        let max_text = if is_reported { MAX_TEXT } else { MAX_CONTEXT_TEXT };
        let is_wanted = |field: &str| field == SESSION_ID || is_kept;
        let Some(fields) = SpanFields::copy(max_text, is_wanted, |visitor| attributes.record(visitor)) else {
            return;
        };
        let session = match enclosing.flatten() {
            enclosing if names_session => Some(SpanSession::new(fields.session_id(), enclosing)),
            enclosing => enclosing,
        };
        // Another bridge may have given the span a number.
        let id = span.extensions().get::<SpanState>().map(|state| state.id);
        let state = SpanState {
            id: id.unwrap_or_else(next_span_id),
            parent_id,
            session,
            fields,
            reported_since: is_reported.then(Instant::now),
        };
        if is_reported {
            self.report_span(&span, &state, START, &state.fields);
        }
        state.insert(&mut span.extensions_mut());
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if !reentrancy::is_inside() {
            add_fields(&span, |visitor| values.record(visitor));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if reentrancy::is_inside() {
            return;
        }
        let Some(span) = context.span(&id) else { return };
        let extensions = span.extensions();
        let Some(state) = extensions.get::<SpanState>() else { return };
        let Some(made) = state.reported_since else { return };
        let suffix = if state.fields.has_error || thread::panicking() { EXCEPTION } else { STOP };
        self.report_span(&span, state, suffix, state.closed(made));
    }
}

impl TracingBridge {
    /// Reports the start or the close of a span.
    fn report_span<S>(&self, span: &SpanRef<'_, S>, state: &SpanState, suffix: &str, fields: impl Fields)
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        let (metadata, name) = (span.metadata(), span.name());
        let usual = level(*metadata.level());
        let Some(attachments) = self.attachments.interested_in(name, &[suffix], usual) else { return };
        let severity = severity(name, suffix, usual);
        let id = state.session_id().map(Value::Str);
        let matches = matching(&attachments, (name, suffix), severity, id.as_ref());
        if matches.is_empty() {
            return;
        }
        let mut scope = span.scope();
        scope.next(); // the span itself
        let enclosing = EnclosingSpans::new(Some(scope));
        let origin = Origin {
            target: Some(metadata.target()),
            file: metadata.file(),
            line: metadata.line(),
            thread: current_thread(),
            span_id: Some(state.id),
            parent_span_id: state.parent_id,
            spans: enclosing.names(),
        };
        let fields = Within { fields, enclosing: &enclosing };
        let name = format!("{name}{suffix}");
        for each in matches {
            each.report(&name, &fields, &origin, severity);
        }
    }
}

/// Records the error of `#[instrument(err)]` in the span that it is about, if the span is reported.
fn record_error<S>(event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let Some(span) = context.event_span(event) else { return };
    let is_reported = |state: &SpanState| state.reported_since.is_some();
    if span.extensions().get().is_some_and(is_reported) {
        add_fields(&span, |visitor| event.record(visitor));
    }
}

/// Adds fields to a span that has a state.
fn add_fields<S>(span: &SpanRef<'_, S>, record: impl FnOnce(&mut FieldVisitor<'_>))
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let Some(max_text) = span.extensions().get::<SpanState>().map(|state| state.fields.max_text()) else {
        return;
    };
    // Before the lock on the extensions: to print a value may make an event, for which layers take that lock.
    let Some(fields) = SpanFields::copy(max_text, |_| true, record) else { return };
    if let Some(state) = span.extensions_mut().get_mut::<SpanState>() {
        state.add(fields);
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
