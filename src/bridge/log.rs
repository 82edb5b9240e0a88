//! Records of the `log` crate as events.

use std::fmt;

use ::log::kv::{self, Key, VisitSource, VisitValue};
use ::log::{Level, LevelFilter, Log, Metadata, Record, STATIC_MAX_LEVEL, SetLoggerError};

use super::forwarding::attachments::{Attachments, is_never_forwarded, matching, run_guarded, severity};
use super::forwarding::fields::{Fields, Number, SESSION_ID, Value};
use super::origin::{Origin, current_thread};
use crate::process::program_log;
use crate::process::reentrancy;

/// A logger that forwards the records of a session, and passes every record on to the logger that it wraps.
///
/// A record belongs to the session whose id is the value of its key `session_id`. The record's target is the event's
/// name. Its level is the severity: `TRACE` becomes `DEBUG`, and an event whose name ends in `exception` is an error. Its
/// numbers are the measurements; its message and all other values are the metadata; its file, line and thread are the
/// [origin](crate::bridge#what-a-bridged-event-carries). A value that is neither a number, a text nor a boolean is
/// forwarded as the text that it prints.
///
/// In a program with one session, [`Attachments::everything`] forwards all records, and none needs the key.
///
#[cfg_attr(feature = "collector", doc = "```standalone_crate")]
#[cfg_attr(not(feature = "collector"), doc = "```ignore")]
/// use std::time::Duration;
/// use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge};
/// # use tinker_telemetry::{Config, Reporter, collector::Collector};
///
/// # let collector = Collector::start()?;
/// # let config = Config::new("tml-example").base_url(collector.url());
/// let session_id = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64"; // as Tinker returned it
/// # let reporter = Reporter::builder(config, session_id).enabled(true).start()?;
/// let attachments = Attachments::new();
/// attachments.attach("training", &reporter, EventFilter::new(["checkpoint.*"]))?;
/// let logger = env_logger::builder().build(); // prints what it prints without the bridge
/// LogBridge::new(logger, &attachments).install(log::LevelFilter::Info)?;
///
/// log::info!(target: "checkpoint.saved", session_id, step = 1200, path = "runs/a"; "saved");
/// assert!(reporter.wait_until_drained(Duration::from_secs(5)));
/// # let events = collector.events();
/// # let tinker_telemetry::event::Event::Generic(saved) = &events[1] else { panic!("{events:?}") };
/// # assert_eq!(saved.event_name, "checkpoint.saved");
/// # let expected = serde_json::json!({
/// #     "measurements": {"step": 1200}, "metadata": {"message": "saved", "path": "runs/a"}
/// # });
/// # let mut data = saved.event_data.clone();
/// # data.remove("origin").expect("where it was made");
/// # assert_eq!(serde_json::Value::Object(data), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The records of this crate, `ureq`, `ureq_proto` and `rustls` are passed on and never forwarded, whatever they carry.
/// The same holds for records that are made while another record is forwarded. To forward a record costs the caller about
/// a microsecond. It never blocks, and never panics, even if a value of the record panics when it is printed.
pub struct LogBridge<L> {
    logger: L,
    attachments: Attachments,
}

impl<L: Log> LogBridge<L> {
    /// Wraps a logger. The logger gets every record that arrives, enabled or not, as it would without the bridge.
    pub fn new(logger: L, attachments: &Attachments) -> Self {
        Self { logger, attachments: attachments.clone() }
    }

    /// Makes this the program's logger, and `max_level` the level down to which records arrive at all. Returns an error
    /// and changes nothing if the program has a logger already.
    ///
    /// Returns the level down to which records do arrive. It is not `max_level` if the program was built without records
    /// of that level: every crate of a program can set the features `max_level_…` of the crate `log`, for all of them.
    /// Then this also writes a warning to the wrapped logger. With `max_level_off` no record arrives, and none of the
    /// reporter's own warnings.
    pub fn install(self, max_level: LevelFilter) -> Result<LevelFilter, SetLoggerError>
    where
        L: 'static,
    {
        ::log::set_boxed_logger(Box::new(self))?;
        ::log::set_max_level(max_level);
        if max_level > STATIC_MAX_LEVEL {
            warn_of_compiled_out_levels();
        }
        Ok(max_level.min(STATIC_MAX_LEVEL))
    }

    fn forward(&self, record: &Record<'_>) {
        let target = record.target();
        if reentrancy::is_inside() || is_never_forwarded(target) {
            return;
        }
        let usual = record.level().into();
        let Some(attachments) = self.attachments.interested_in(target, &[""], usual) else { return };
        let severity = severity(target, "", usual);
        let matching = |id: Option<&Value<'_>>| matching(&attachments, (target, ""), severity, id);
        // The source of the key-values may be another crate's code, so the look-up of the id may panic.
        let matches = run_guarded(|| {
            let mut matches = None;
            if let Some(id) = record.key_values().get(Key::from_str(SESSION_ID)) {
                visit(&id, &mut |id| matches = Some(matching(Some(&id))));
            }
            matches.unwrap_or_else(|| matching(None))
        });
        for each in matches.into_iter().flatten() {
            let origin = Origin {
                target: Some(target),
                file: record.file(),
                line: record.line(),
                thread: current_thread(),
                ..Origin::default()
            };
            each.report(target, &RecordFields(record), &origin, severity);
        }
    }
}

impl<L: Log> Log for LogBridge<L> {
    /// Whether the wrapped logger takes the record, or an attachment asks for it.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        self.logger.enabled(metadata)
            || !is_never_forwarded(target)
                && self.attachments.interested_in(target, &[""], metadata.level().into()).is_some()
    }

    fn log(&self, record: &Record<'_>) {
        self.forward(record);
        self.logger.log(record);
    }

    /// Flushes the wrapped logger. Reporters are not flushed: call [`Reporter::flush`](crate::Reporter::flush).
    fn flush(&self) {
        self.logger.flush();
    }
}

impl<L> fmt::Debug for LogBridge<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBridge").field("attachments", &self.attachments).finish_non_exhaustive()
    }
}

/// Writes to the program's logger itself, because the macros of `log` are compiled out.
fn warn_of_compiled_out_levels() {
    let what = match STATIC_MAX_LEVEL {
        LevelFilter::Off => "no record of the crate log arrives, warnings of telemetry neither".to_owned(),
        lowest => format!("no record of the crate log below the level {lowest} arrives"),
    };
    let text = format_args!("{what}: a feature max_level_… of that crate compiles them out");
    let mut record = Record::builder();
    let record = record.level(Level::Warn).target(module_path!());
    program_log::write(|| ::log::logger().log(&record.args(text).build()));
}

/// The record's message, if it is not empty, and its key-values.
struct RecordFields<'r>(&'r Record<'r>);

impl Fields for RecordFields<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        struct Each<'t, 'a>(&'t mut dyn FnMut(&'a str, Value<'_>));

        impl<'a> VisitSource<'a> for Each<'_, 'a> {
            fn visit_pair(&mut self, key: Key<'a>, value: kv::Value<'a>) -> Result<(), kv::Error> {
                // In `log` 0.4 every key is borrowed.
                if let Some(name) = key.to_borrowed_str() {
                    visit(&value, &mut |value| (self.0)(name, value));
                }
                Ok(())
            }
        }

        match self.0.args().as_str() {
            Some("") => {}
            Some(text) => take("message", Value::Str(text)),
            None => take("message", Value::Text(self.0.args())),
        }
        // If the source fails halfway, the values so far count.
        let _ = self.0.key_values().visit(&mut Each(take));
    }
}

/// Passes on a value of `log` as a [`Value`].
fn visit(value: &kv::Value<'_>, take: &mut dyn FnMut(Value<'_>)) {
    struct Visit<'t>(&'t mut dyn FnMut(Value<'_>));

    impl Visit<'_> {
        #[expect(clippy::unnecessary_wraps, reason = "what the visitor's methods return")]
        fn take(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
            (self.0)(value);
            Ok(())
        }
    }

    impl VisitValue<'_> for Visit<'_> {
        fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
            self.take(Value::Text(&value))
        }

        fn visit_null(&mut self) -> Result<(), kv::Error> {
            self.take(Value::Null)
        }

        fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
            self.take(Value::Number(Number::U64(value)))
        }

        fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
            self.take(Value::Number(Number::I64(value)))
        }

        fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
            self.take(Value::Number(Number::U128(value)))
        }

        fn visit_i128(&mut self, value: i128) -> Result<(), kv::Error> {
            self.take(Value::Number(Number::I128(value)))
        }

        fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
            self.take(Value::Number(Number::F64(value)))
        }

        fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
            self.take(Value::Bool(value))
        }

        fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
            self.take(Value::Str(value))
        }
    }

    let _ = value.visit(Visit(take));
}
