//! The events that an attachment asks for, by name.

use std::borrow::Cow;

use crate::bridge::http_request;

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

/// The names of the events that are forwarded. A name that ends in `*` stands for all names that begin so, and `*` alone
/// for every name.
///
/// ```
/// use tinker_telemetry::bridge::EventFilter;
///
/// let http_and_queue = EventFilter::default();
/// let own = EventFilter::new(["checkpoint.saved", "training.step.*", "my_crate::sampler*"]);
/// let everything = EventFilter::all();
/// ```
#[derive(Clone, Debug)]
pub struct EventFilter {
    names: Box<[Name]>,
}

#[derive(Clone, Debug)]
enum Name {
    Exactly(Cow<'static, str>),
    Beginning(Cow<'static, str>),
}

impl EventFilter {
    /// Forwards the events of these names. An empty list forwards none.
    pub fn new<N: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Name::from(name.into()));
        Self { names: names.collect() }
    }

    /// Forwards the events of every name.
    pub fn all() -> Self {
        Self::new(["*"])
    }

    /// Whether the filter asks for the event named `stem` and `suffix`.
    pub(in crate::bridge) fn admits(&self, stem: &str, suffix: &str) -> bool {
        self.names.iter().any(|name| name.matches(stem, suffix))
    }
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
