//! The events that an attachment asks for: by name, by severity, and by whether they carry a session's id.

use std::borrow::Cow;

use crate::bridge::http_request;
use crate::model::event::Severity;

/// What is forwarded by default: HTTP requests and the state of the queue, by this crate's names and by those of Tinkex,
/// the Elixir SDK, whose reporter has the same default.
const BY_DEFAULT: [&str; 8] = [
    http_request::START,
    http_request::STOP,
    http_request::EXCEPTION,
    "queue.state_change",
    "tinkex.http.request.start",
    "tinkex.http.request.stop",
    "tinkex.http.request.exception",
    "tinkex.queue.state_change",
];

/// The events that are forwarded, by their names. A name that ends in `*` stands for all names that begin so, and `*`
/// alone for every name.
///
/// ```
/// use tinker_telemetry::Severity;
/// use tinker_telemetry::bridge::EventFilter;
///
/// let http_and_queue = EventFilter::default();
/// let own = EventFilter::new(["checkpoint.saved", "training.step.*", "my_crate::sampler*"]);
/// let troubles = EventFilter::all().min_severity(Severity::Warning).except(["hyper::*"]);
/// ```
///
/// Whatever a filter asks for, the records of this crate, `ureq`, `ureq_proto` and `rustls` are never forwarded: they are
/// made while events are sent.
#[derive(Clone, Debug)]
pub struct EventFilter {
    names: Box<[Name]>,
    except: Box<[Name]>,
    min_severity: Severity,
    needs_session_id: bool,
}

#[derive(Clone, Debug)]
enum Name {
    Exactly(Cow<'static, str>),
    Beginning(Cow<'static, str>),
}

impl EventFilter {
    /// Forwards the events of these names. An empty list forwards none.
    ///
    /// ```
    /// use tinker_telemetry::bridge::EventFilter;
    ///
    /// let filter = EventFilter::new(["checkpoint.saved", "my_crate::sampler*"]);
    /// ```
    pub fn new<N: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            names: collect(names),
            except: Box::default(),
            min_severity: Severity::Debug,
            needs_session_id: true,
        }
    }

    /// Forwards the events of every name.
    pub fn all() -> Self {
        Self::new(["*"])
    }

    /// Forwards none of these names, even if the filter asks for them otherwise. A later call replaces the names.
    #[must_use = "this returns the changed filter"]
    pub fn except<N: Into<Cow<'static, str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.except = collect(names);
        self
    }

    /// Forwards only events of this severity and above. Defaults to `DEBUG`, which is all.
    ///
    /// ```
    /// use tinker_telemetry::Severity;
    /// use tinker_telemetry::bridge::EventFilter;
    ///
    /// let filter = EventFilter::all().min_severity(Severity::Warning);
    /// ```
    #[must_use = "this returns the changed filter"]
    pub fn min_severity(mut self, severity: Severity) -> Self {
        self.min_severity = severity;
        self
    }

    /// Forwards also events that carry no session's id: for a program with one session. Events that carry the id of
    /// another session are forwarded too, with that id, unless that session is attached itself.
    #[must_use = "this returns the changed filter"]
    pub fn without_session_id(mut self) -> Self {
        self.needs_session_id = false;
        self
    }

    /// Whether the filter asks for the event named `stem` and `suffix`, of this severity.
    pub(in crate::bridge) fn admits(&self, stem: &str, suffix: &str, severity: Severity) -> bool {
        let has = |names: &[Name]| names.iter().any(|name| name.matches(stem, suffix));
        severity >= self.min_severity && has(&self.names) && !has(&self.except)
    }

    pub(in crate::bridge) fn takes_any_session(&self) -> bool {
        !self.needs_session_id
    }
}

fn collect<N: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = N>) -> Box<[Name]> {
    names.into_iter().map(|name| Name::from(name.into())).collect()
}

/// The names of events, as for [`EventFilter::new`].
///
/// ```
/// use tinker_telemetry::bridge::EventFilter;
///
/// let parts = ["loader", "sampler"];
/// let filter: EventFilter = parts.iter().map(|part| format!("{part}::*")).collect();
/// ```
impl<N: Into<Cow<'static, str>>> FromIterator<N> for EventFilter {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self::new(names)
    }
}

impl Default for EventFilter {
    /// HTTP requests and the state of the queue: `http.request.start`, `http.request.stop`, `http.request.exception` and
    /// `queue.state_change`, with or without the prefix `tinkex.` that the Elixir SDK writes.
    fn default() -> Self {
        Self::new(BY_DEFAULT)
    }
}

impl From<Cow<'static, str>> for Name {
    fn from(name: Cow<'static, str>) -> Self {
        match name {
            Cow::Borrowed(name) => match name.strip_suffix('*') {
                Some(beginning) => Self::Beginning(beginning.into()),
                None => Self::Exactly(name.into()),
            },
            Cow::Owned(mut name) if name.ends_with('*') => {
                name.pop();
                Self::Beginning(name.into())
            }
            Cow::Owned(name) => Self::Exactly(name.into()),
        }
    }
}

impl Name {
    /// The name comes in two parts, so that no text is made of a span's name and `.stop` only to compare it.
    fn matches(&self, stem: &str, suffix: &str) -> bool {
        match self {
            Self::Exactly(name) => name.strip_prefix(stem) == Some(suffix),
            Self::Beginning(beginning) => match beginning.strip_prefix(stem) {
                Some(rest) => suffix.starts_with(rest),
                None => stem.starts_with(beginning.as_ref()),
            },
        }
    }
}

#[cfg(test)]
mod tests;
