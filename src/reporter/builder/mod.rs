//! The settings of a reporter. The defaults are here, each with its reason. `assembly` makes the parts.

mod assembly;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::failure::user_error::{UserError, UserErrorClassifier};
use crate::model::config::{self, Config, Mode};
use crate::model::error::StartError;
use crate::model::event::Event;
use crate::process::program_log;
use crate::queue::admission::{MAX_BYTES, MAX_EVENTS};
use crate::reporter::Reporter;
#[cfg(feature = "spool")]
use crate::spool::settings::Spool;
use crate::transport::retry::MAX_WAIT;
use crate::wire::context::Context;
use crate::worker::before_send::Hook;

/// Long enough that a quiet program makes few requests, and short enough that a person who watches sees events live.
const FLUSH_INTERVAL: Duration = Duration::from_secs(10);
/// A full batch: sooner would make more requests, later would not make fewer.
const FLUSH_THRESHOLD: usize = 100;
/// A program that fails has nothing better to do than to report why, but it must still end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// What the official SDK allows one attempt.
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// With the delay below this lasts longer than a restart of the backend's front, and no more.
const MAX_RETRIES: u32 = 3;
const RETRY_BASE_DELAY: Duration = Duration::from_secs(1);
/// A hundred full batches: what the backend takes in some seconds after an outage.
const MAX_QUEUE_SIZE: usize = 10_000;
/// What the backend accepts in one request.
const MAX_BATCH_SIZE: usize = 100;
/// A full queue is gone in 25 round trips. More would help only over long distances, and each costs the server a
/// connection.
const MAX_IN_FLIGHT: usize = 4;
/// The most that may be set. Each has a thread, a connection and a batch in memory.
const MAX_IN_FLIGHT_SETTING: usize = 16;
/// The most that may be set. A batch notes where each event ends, in memory that the budget in bytes does not count.
const MAX_BATCH_SIZE_SETTING: usize = 10_000;
/// Little beside a training run. Large events reach it before they reach the limit on their number.
const MAX_QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Below the 1 MB and more that proxies usually take.
const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// Four of them fill a batch. Anything larger is a file, not an event.
const MAX_EVENT_BYTES: usize = 256 * 1024;
/// What every event has besides its name and its data.
const MAX_HEAD: usize = 256;
/// Fields that are the same in every event.
const MAX_CONTEXT: usize = 16 * 1024;
/// What a person at a terminal waits for without wondering.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of a reporter, and its start.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tinker_telemetry::{Config, Reporter};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64")
///     .flush_interval(Duration::from_secs(2))
///     .shutdown_timeout(Duration::from_secs(1))
///     .start()?;
/// # Ok::<(), tinker_telemetry::StartError>(())
/// ```
///
/// A service with a session for each job clones one builder, and gives each clone its id:
///
/// ```
/// use tinker_telemetry::{Config, Reporter};
///
/// # let job_sessions = ["0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64"];
/// let settings = Reporter::sessionless_builder(Config::new("tml-example").base_url("http://127.0.0.1:8080"));
/// for session_id in job_sessions {
///     let reporter = settings.clone().session_id(session_id).start()?;
/// }
/// # Ok::<(), tinker_telemetry::StartError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is reported until `start` is called"]
pub struct Builder {
    config: Config,
    /// `None` for work without a session.
    session_id: Option<String>,
    enabled: Option<bool>,
    print: bool,
    classifier: Option<Arc<UserErrorClassifier>>,
    before_send: Option<Arc<Hook>>,
    context: Vec<(String, Value)>,
    flush_interval: Duration,
    flush_threshold: usize,
    flush_timeout: Option<Duration>,
    /// `None`: the environment's or the default.
    http_timeout: Option<Duration>,
    max_retries: u32,
    retry_base_delay: Duration,
    max_queue_size: usize,
    max_batch_size: usize,
    max_in_flight: usize,
    max_queue_bytes: usize,
    max_batch_bytes: usize,
    max_event_bytes: usize,
    shutdown_timeout: Option<Duration>,
    #[cfg(feature = "spool")]
    spool: Option<Spool>,
}

impl Reporter {
    /// Starts a reporter as the environment says. `TINKER_TELEMETRY` and `DO_NOT_TRACK` say whether to report at all; a
    /// reporter that is switched off needs no key. (A `TINKER_TELEMETRY` that is set and empty leaves telemetry on, as in
    /// Tinkex. The official SDK takes it for off.) The rest is as in [`Config::from_env`]. All settings are the defaults.
    ///
    /// ```no_run
    /// use tinker_telemetry::Reporter;
    ///
    /// let reporter = Reporter::from_env("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64")?;
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn from_env(session_id: impl Into<String>) -> Result<Self, StartError> {
        Self::builder(Config::from_env(), session_id).start()
    }

    /// Settings for a reporter of the session with this id, which is the one that Tinker returned when the program opened
    /// the session.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
    /// let builder = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64");
    /// let reporter = builder.flush_interval(Duration::from_secs(2)).start()?;
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn builder(config: Config, session_id: impl Into<String>) -> Builder {
        Builder::new(config, Some(session_id.into()))
    }

    /// Starts a reporter of work that has no session, with the default settings. Neither a session start nor a session end
    /// is reported.
    ///
    /// The id is `sessionless-` and a UUID, as the official SDK makes it for clients that open no session. A backend may
    /// insist on the bare UUID of a session that it opened: then open one, and pass its id to
    /// [`builder`](Self::builder).
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
    /// let reporter = Reporter::sessionless(config)?;
    /// assert!(reporter.session_id().is_none_or(|id| id.starts_with("sessionless-")));
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn sessionless(config: Config) -> Result<Self, StartError> {
        Self::sessionless_builder(config).start()
    }

    /// Settings for a reporter as [`sessionless`](Self::sessionless) starts it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
    /// let reporter = Reporter::sessionless_builder(config).flush_interval(Duration::from_secs(2)).start()?;
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn sessionless_builder(config: Config) -> Builder {
        Builder::new(config, None)
    }
}

impl Builder {
    fn new(config: Config, session_id: Option<String>) -> Self {
        Self {
            config,
            session_id,
            enabled: None,
            print: false,
            classifier: None,
            before_send: None,
            context: Vec::new(),
            flush_interval: FLUSH_INTERVAL,
            flush_threshold: FLUSH_THRESHOLD,
            flush_timeout: None,
            http_timeout: None,
            max_retries: MAX_RETRIES,
            retry_base_delay: RETRY_BASE_DELAY,
            max_queue_size: MAX_QUEUE_SIZE,
            max_batch_size: MAX_BATCH_SIZE,
            max_in_flight: MAX_IN_FLIGHT,
            max_queue_bytes: MAX_QUEUE_BYTES,
            max_batch_bytes: MAX_BATCH_BYTES,
            max_event_bytes: MAX_EVENT_BYTES,
            shutdown_timeout: None,
            #[cfg(feature = "spool")]
            spool: None,
        }
    }

    /// The id of the session to report to, in place of the one that this builder was made with. Defaults to that one.
    pub fn session_id(mut self, session_id: impl Into<String>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }

    #[cfg(feature = "spool")]
    /// Keeps what cannot be sent in files, and sends what earlier runs kept: see [`Spool`]. The program then ends sooner:
    /// [`shutdown_timeout`](Self::shutdown_timeout) is 300 ms and [`flush_timeout`](Self::flush_timeout) 2 s unless they
    /// are set. Where the variable `CI` is set they keep their usual defaults: such a machine has no next run. A dry run
    /// keeps nothing. Defaults to none.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter, Spool};
    ///
    /// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
    /// let builder = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64")
    ///     .spool(Spool::for_program("my-tool"));
    /// ```
    pub fn spool(mut self, spool: Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// Whether to report at all. Overrides the environment. Defaults to what `TINKER_TELEMETRY` and `DO_NOT_TRACK` say, and
    /// `OTEL_SDK_DISABLED` too with `Config::otlp_from_env`.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let builder = Reporter::builder(Config::new("tml-test"), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(false);
    /// assert!(!builder.start()?.is_enabled());
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// A dry run: each event is written to standard error as a line for people, and nothing is sent. No key is needed. The
    /// events count as dropped for the reason [`Printed`](crate::DropReason::Printed). [`enabled(false)`](Self::enabled) switches
    /// this off too. Defaults to what the environment says: `TINKER_TELEMETRY=print` does the same.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter, Severity, json};
    ///
    /// let reporter = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").print().start()?;
    /// reporter.log("checkpoint.saved", json!({"step": 1200}), Severity::Info);
    /// // telemetry 16:17:23.834 INFO     checkpoint.saved  step=1200
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn print(mut self) -> Self {
        self.print = true;
        self
    }

    /// Teaches the reporter which errors of other crates were caused by the user. The closure is called for each error of
    /// a chain that the crate does not recognise itself. It recognises an [`ApiError`](crate::ApiError) and a
    /// `ureq::Error::StatusCode`. The texts of the errors around it are put before the message that the closure returns.
    /// [`Reporter::find_user_error`] asks it too. The closure must not block. A later call replaces an earlier one. Defaults to
    /// none.
    ///
    /// An error that carries a status, of the `http` crate for example:
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter, UserError};
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("answered with {0}")]
    /// struct Answered(http::StatusCode);
    ///
    /// let builder = Reporter::builder(Config::new("tml-example"), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").user_errors(|error| {
    ///     let error = error.downcast_ref::<Answered>()?;
    ///     UserError::from_status("Answered", error.to_string(), error.0.as_u16())
    /// });
    /// ```
    ///
    /// For reqwest 0.13, whose own message has the whole URL in it, and for tonic 0.14 (not compiled with these
    /// documents):
    ///
    /// ```text
    /// .user_errors(|error| {
    ///     let status = error.downcast_ref::<reqwest::Error>()?.status()?;
    ///     UserError::from_status("reqwest::Error", status.to_string(), status.as_u16())
    /// })
    ///
    /// .user_errors(|error| {
    ///     use tonic::Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfRange};
    ///     let status = error.downcast_ref::<tonic::Status>()?;
    ///     let theirs = [AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfRange];
    ///     theirs.contains(&status.code()).then(|| UserError::new("tonic::Status", status.message()))
    /// })
    /// ```
    pub fn user_errors(
        mut self,
        find: impl Fn(&(dyn Error + 'static)) -> Option<UserError> + Send + Sync + 'static,
    ) -> Self {
        self.classifier = Some(Arc::new(find));
        self
    }

    /// A field for the data of every event that is logged, such as the program's release, its host or its run. An event's own
    /// field of the same name wins. A later call with the same key replaces an earlier one. Session events and exceptions
    /// have no data, and so no context. At most 16 KiB in all, which come on top of
    /// [`max_event_bytes`](Self::max_event_bytes). Defaults to none.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let builder = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64")
    ///     .context("release", env!("CARGO_PKG_VERSION"))
    ///     .context("run", 17);
    /// ```
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let key = key.into();
        self.context.retain(|(other, _)| *other != key);
        self.context.push((key, value.into()));
        self
    }

    /// Looks at every event before it leaves, session events and exceptions too: returns it, changed or not, or `None` to
    /// withhold it. It runs on the worker's thread. What it logs is not reported. It must not block: while it runs nothing
    /// is sent. If it panics, the event is withheld. What is withheld is counted in [`Stats`](crate::Stats) as `withheld`.
    /// What is made larger than [`max_event_bytes`](Self::max_event_bytes) is dropped as `too_large`. Data that are made
    /// deeper than 100 levels are withheld, since a parser would refuse the whole batch. The id and the number
    /// of an event cannot be changed. A later call replaces an earlier one. Defaults to none, which costs nothing.
    ///
    /// To scrub, to drop, and to sample:
    ///
    /// ```
    /// use tinker_telemetry::event::Event;
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let home = std::env::var("HOME").unwrap_or_default();
    /// let scrub = move |text: &mut String| {
    ///     if !home.is_empty() {
    ///         *text = text.replace(&home, "~");
    ///     }
    /// };
    /// let session_id = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64";
    /// let builder = Reporter::builder(Config::from_env(), session_id).before_send(move |mut event| {
    ///     match &mut event {
    ///         // Scrub: no home folder in messages and stacks, no user name in data.
    ///         Event::UnhandledException(error) => {
    ///             scrub(&mut error.error_message);
    ///             error.traceback.as_mut().map(&scrub);
    ///         }
    ///         Event::Generic(event) => drop(event.event_data.remove("user")),
    ///         _ => {}
    ///     }
    ///     // Drop: events without a reader. Sample: one in ten of a frequent event.
    ///     let is_kept = match event.name() {
    ///         "cache.hit" => false,
    ///         "token.sampled" => event.id().as_u128() % 10 == 0,
    ///         _ => true,
    ///     };
    ///     is_kept.then_some(event)
    /// });
    /// ```
    pub fn before_send(mut self, hook: impl Fn(Event) -> Option<Event> + Send + Sync + 'static) -> Self {
        self.before_send = Some(Arc::new(hook));
        self
    }

    /// How often queued events are sent. An event waits at most this long for its first attempt, unless earlier
    /// batches are still being sent. Must be greater than zero. Defaults to 10 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let builder = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").flush_interval(Duration::from_secs(2));
    /// ```
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// As soon as this many events are pending they are sent, without waiting for the interval. So are events that
    /// together reach [`max_batch_bytes`](Self::max_batch_bytes). At least 1. A threshold above
    /// [`max_queue_size`](Self::max_queue_size) counts as that size. Defaults to 100.
    pub fn flush_threshold(mut self, events: usize) -> Self {
        self.flush_threshold = events;
        self
    }

    /// How long [`log_fatal_exception`](Reporter::log_fatal_exception) and [`capture_fatal`](Reporter::capture_fatal)
    /// wait at the most. Zero: they do not wait. With a spool 2 s if it is not set. Defaults to 30 s.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = Some(timeout);
        self
    }

    /// How long one attempt may take in all, from the name lookup to the end of the answer. Must be greater
    /// than zero; more than 24 h counts as 24 h. Defaults to 5 s. With `Config::otlp_from_env`, the variable
    /// `OTEL_EXPORTER_OTLP_TIMEOUT` replaces that default.
    pub fn http_timeout(mut self, timeout: Duration) -> Self {
        self.http_timeout = Some(timeout);
        self
    }

    /// How many times a batch is sent again after a failure that may pass. Zero: it has one attempt. Defaults to 3.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let builder = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").max_retries(0); // each batch has one attempt
    /// ```
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// The wait before the first retry. It doubles with each retry, up to 60 s, which is also the most that may be set.
    /// Up to a tenth of it is added at random. After an outage the next batch waits for a random part of this delay, so
    /// that programs which lost a server together do not return to it together. While a flush or a stop waits for that
    /// batch, it is sent at once. Defaults to 1 s.
    pub fn retry_base_delay(mut self, delay: Duration) -> Self {
        self.retry_base_delay = delay;
        self
    }

    /// How many events may be pending; more are refused as `queue_full`. 1 to 4 194 304. Defaults to
    /// 10 000.
    pub fn max_queue_size(mut self, events: usize) -> Self {
        self.max_queue_size = events;
        self
    }

    /// How many events one request carries at the most. 1 to 10 000. Defaults to 100.
    pub fn max_batch_size(mut self, events: usize) -> Self {
        self.max_batch_size = events;
        self
    }

    /// How many requests may be on the wire at the same time. There is more than one only while there is a backlog: when
    /// another full batch is ready behind the one to be sent. Each has a connection of its own, and a thread that ends with
    /// the backlog. Their events arrive in any order; [`session_index`](crate::event::Event::session_index) tells the order
    /// of the calls. While requests fail there is one at a time, until a batch is delivered: an outage uses up the attempts
    /// of the batches that are on their way when it begins, and then of one after the other. 1 to 16; with 1, batches
    /// arrive in order. Defaults to 4.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// How many bytes of memory pending events may hold; more are refused as `queue_bytes`. 1 to 512 GiB. Defaults to
    /// 16 MiB. Fatal exceptions may hold 4 MiB more. With `RUST_BACKTRACE` set, the stack of an exception counts as 4
    /// KiB however deep it is.
    ///
    /// This bounds what is queued, not all that a reporter holds. Beside it there are:
    ///
    /// - the open batch and the bodies of requests, up to [`max_in_flight`](Self::max_in_flight), each up to
    ///   [`max_batch_bytes`](Self::max_batch_bytes) or one event (the events in them count as pending all the same), the two
    ///   halves of a batch while it is split, the compressed body, and the JSON of the largest event so far;
    /// - the buffers of each connection, 64 KiB, with TLS 128 KiB: one, and after a backlog one more for each request that
    ///   was in flight;
    /// - up to 16 KiB for each thread that logs, in which it encodes;
    /// - unused room in the buffers of some 16 KiB that the queue is made of: at most as much again as the events in them,
    ///   plus up to 36 KiB in each of 16 that are being filled and 16 that are being emptied.
    pub fn max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue_bytes = bytes;
        self
    }

    /// How large a request's body may be, unless a single event is larger. At least 1. Defaults to 1 MiB.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_batch_bytes = bytes;
        self
    }

    /// How large one event may be: its name as it is, and its data as JSON. Larger ones are refused as `too_large`,
    /// and the texts of an exception are cut to fit. What every event has besides (its id, its time, …) comes on top,
    /// 256 bytes at the most. So do the escapes of a name that needs some as JSON. At least 1. Defaults to 256 KiB.
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// How long the drop of the last clone may take; what is pending then is dropped as `deadline`. Zero drops at once
    /// what was not sent yet. The panic hook waits as long at the most. With a spool 300 ms if it is not set. Defaults to 5 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let builder = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").shutdown_timeout(Duration::from_secs(1));
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Checks everything, starts the worker and reports the session's start. Takes a fraction of a millisecond and
    /// touches no network.
    ///
    /// If telemetry is switched off, this checks nothing and returns [`Reporter::disabled`]. If the environment names a proxy
    /// that cannot be used, or a file of certificates for an OTLP endpoint, it writes a warning to the program's log and
    /// returns the same.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let error = Reporter::builder(Config::new(""), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start().unwrap_err();
    /// println!("{error}"); // no API key: set TINKER_API_KEY, or pass one to Config::new
    /// ```
    pub fn start(self) -> Result<Reporter, StartError> {
        let mode = self.mode();
        if mode == Mode::Unclear {
            program_log::write(|| log::warn!("TINKER_TELEMETRY is neither on nor off, so telemetry is off"));
        }
        if matches!(mode, Mode::Off | Mode::Unclear) {
            return Ok(Reporter::switched_off(self.classifier));
        }
        let classifier = self.classifier.clone();
        match self.start_in(mode) {
            Err(error) if error.is_of_the_machine() => {
                program_log::write(|| log::warn!("telemetry is off: {error}"));
                Ok(Reporter::switched_off(classifier))
            }
            outcome => outcome,
        }
    }

    fn mode(&self) -> Mode {
        match (self.enabled, self.print) {
            (Some(false), _) => Mode::Off,
            (_, true) => Mode::Print,
            #[cfg(feature = "otlp")]
            (None, false) if self.config.is_disabled() && config::mode() == Mode::Send => Mode::Off,
            (None, false) => config::mode(),
            // A dry run that the environment asks for must send nothing.
            (Some(true), false) if config::mode() == Mode::Print => Mode::Print,
            (Some(true), false) => Mode::Send,
        }
    }

    fn attempt_timeout(&self) -> Duration {
        #[cfg(feature = "otlp")]
        if let (None, Some(timeout)) = (self.http_timeout, self.config.timeout()) {
            return timeout;
        }
        self.http_timeout.unwrap_or(HTTP_TIMEOUT)
    }

    fn validate(&self) -> Result<(), StartError> {
        let context = Context::new(&self.context);
        let at_least_one = "must be at least 1";
        let greater_than_zero = "must be greater than zero";
        let rules = [
            ("flush_interval", !self.flush_interval.is_zero(), greater_than_zero),
            ("flush_threshold", self.flush_threshold >= 1, at_least_one),
            ("http_timeout", !self.attempt_timeout().is_zero(), greater_than_zero),
            ("retry_base_delay", self.retry_base_delay <= MAX_WAIT, "must be at most 60 s"),
            ("max_queue_size", (1..=MAX_EVENTS).contains(&self.max_queue_size), "must be 1 to 4 194 304"),
            (
                "max_batch_size",
                (1..=MAX_BATCH_SIZE_SETTING).contains(&self.max_batch_size),
                "must be 1 to 10 000",
            ),
            ("max_in_flight", (1..=MAX_IN_FLIGHT_SETTING).contains(&self.max_in_flight), "must be 1 to 16"),
            (
                "max_queue_bytes",
                (1..=MAX_BYTES).contains(&(self.max_queue_bytes as u64)),
                "must be 1 to 512 GiB",
            ),
            ("max_batch_bytes", self.max_batch_bytes >= 1, at_least_one),
            ("max_event_bytes", self.max_event_bytes >= 1, at_least_one),
            ("context", context.len() <= MAX_CONTEXT, "must be at most 16 KiB in all"),
            ("context", context.is_strict(), "must be nested at most 99 levels deep"),
        ];
        #[cfg(feature = "spool")]
        if let Some(Err(reason)) = self.spool.as_ref().map(Spool::check) {
            return Err(StartError::InvalidSetting { setting: "spool", reason });
        }
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((setting, _, reason)) => Err(StartError::InvalidSetting { setting, reason }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Builder");
        shown.field("config", &self.config).field("session_id", &self.session_id);
        shown.field("enabled", &self.enabled).field("context", &self.context);
        shown.field("before_send", &self.before_send.is_some());
        #[cfg(feature = "spool")]
        shown.field("spool", &self.spool);
        shown.finish_non_exhaustive()
    }
}
