//! One attachment: a reporter, and what it asks for.

use std::fmt;

use crate::bridge::forwarding::fields::{EventData, Fields, MAX_CONTEXT, Value};
use crate::bridge::forwarding::filter::EventFilter;
use crate::bridge::origin::{MAX_ORIGIN, Origin};
use crate::model::event::Severity;
use crate::reporter::{Reporter, WeakReporter};

#[derive(Clone)]
pub(in crate::bridge) struct Attachment {
    pub(super) handler_id: String,
    /// `None`: the reporter is switched off.
    session: Option<SessionId>,
    filter: EventFilter,
    reporter: WeakReporter,
    /// How many bytes an event may have besides its own fields.
    room: usize,
}

/// An attachment that an event is forwarded to.
pub(in crate::bridge) struct Match<'l> {
    attachment: &'l Attachment,
    /// The session's own id is not part of the data, because the request names the session.
    hides_session_id: bool,
}

/// The attachments that ask for the event named `stem` and `suffix`, with this severity and session id.
pub(in crate::bridge) fn matching<'l>(
    list: &'l [Attachment],
    (stem, suffix): (&str, &str),
    severity: Severity,
    id: Option<&Value<'_>>,
) -> Vec<Match<'l>> {
    let mut matches = Vec::new();
    let mut has_session_attached = None;
    for attachment in list.iter().filter(|attachment| attachment.filter.admits(stem, suffix, severity)) {
        let is_by_id = id.is_some_and(|id| attachment.is_of_session(id));
        // What carries the id of another session that is attached belongs to that one alone.
        let mut is_free = || {
            *has_session_attached
                .get_or_insert_with(|| id.is_some_and(|id| list.iter().any(|other| other.is_of_session(id))))
        };
        if is_by_id || attachment.takes_any_session() && !is_free() {
            matches.push(Match { attachment, hides_session_id: is_by_id });
        }
    }
    matches
}

impl Match<'_> {
    pub(in crate::bridge) fn report(
        &self,
        name: &str,
        fields: &impl Fields,
        origin: &Origin<'_>,
        severity: Severity,
    ) {
        let Attachment { reporter, room, .. } = self.attachment;
        let data = EventData {
            fields,
            origin: (*room >= MAX_ORIGIN).then_some(origin),
            room: *room,
            hides_session_id: self.hides_session_id,
        };
        reporter.log(name, data, severity);
    }
}

impl Attachment {
    pub(super) fn new(handler_id: String, reporter: &Reporter, filter: EventFilter) -> Self {
        let session = reporter.session_id().map(SessionId::new);
        let max_event_bytes = reporter.session().map_or(0, |session| session.max_event_bytes);
        // An event must not be refused for what surrounds it.
        let room = MAX_CONTEXT.min(max_event_bytes / 4);
        Self { handler_id, session, filter, reporter: reporter.downgrade(), room }
    }

    /// Whether it asks for an event named `stem` and one of `suffixes`.
    pub(super) fn is_interested_in(&self, stem: &str, suffixes: &[&str], usual: Severity) -> bool {
        suffixes.iter().any(|suffix| self.filter.admits(stem, suffix, severity(stem, suffix, usual)))
    }

    /// Whether it takes events that carry no session's id.
    pub(super) fn takes_any_session(&self) -> bool {
        self.filter.takes_any_session() && self.session.is_some()
    }

    fn is_of_session(&self, id: &Value<'_>) -> bool {
        self.session.as_ref().is_some_and(|session| session.is(id))
    }

    pub(super) fn is_live(&self) -> bool {
        self.session.is_none() || self.reporter.is_alive()
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("handler_id", &self.handler_id)
            .field("session", &self.session)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// The severity of the event named `stem` and `suffix`: an error for an exception, and `usual` for all others.
pub(in crate::bridge) fn severity(stem: &str, suffix: &str, usual: Severity) -> Severity {
    let end = if suffix.is_empty() { stem } else { suffix };
    if end.ends_with("exception") { Severity::Error } else { usual }
}

/// A session's id, plain and as `Debug` writes it: programs often record a string as `?id`.
#[derive(Clone, Debug)]
pub(super) struct SessionId {
    plain: Box<str>,
    quoted: Box<str>,
}

impl SessionId {
    pub(super) fn new(id: &str) -> Self {
        Self { plain: id.into(), quoted: format!("{id:?}").into() }
    }

    pub(super) fn is(&self, id: &Value<'_>) -> bool {
        match id {
            Value::Str(id) => **id == *self.plain || **id == *self.quoted,
            Value::Text(_) => id.reads(&self.plain) || id.reads(&self.quoted),
            Value::Null | Value::Bool(_) | Value::Number(_) => id.reads(&self.plain),
        }
    }
}
