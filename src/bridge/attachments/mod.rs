//! Who listens: the reporters that bridges forward to, each under a name, as the handlers of Erlang's `:telemetry`.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::fields::Value;
use super::filter::EventFilter;
use crate::model::event::Severity;
use crate::process::catch_panic::catch_panic;
use crate::process::fork::Inherited;
use crate::process::reentrancy;
use crate::reporter::{Reporter, WeakReporter};

/// Never forwarded, nor what is below them: our own words, and those of the HTTP client, whose records at TRACE show
/// all that is sent, and would be sent in their turn.
const NEVER: [&str; 4] = ["tinker_telemetry", "ureq", "ureq_proto", "rustls"];

/// The handler id of an attachment that was given none.
const HANDLER_ID: &str = "tinker-telemetry";

/// The reporters that bridges forward to. Cheap to clone; all clones, and every bridge made with one, share the same
/// list, which may change at any time.
///
/// An attachment is a reporter and a filter, under a handler id. It forwards only what carries that reporter's
/// session id, so a program with several sessions attaches one for each. It does not keep its session going, and is
/// gone when the reporter's last clone is.
///
/// ```
/// use tinker_telemetry::Reporter;
/// use tinker_telemetry::bridge::{AttachError, Attachments, EventFilter};
///
/// # let reporter = Reporter::disabled();
/// let attachments = Attachments::new();
/// attachments.attach("training", &reporter, EventFilter::all())?;
/// assert_eq!(attachments.attach("training", &reporter, EventFilter::all()), Err(AttachError::AlreadyExists));
///
/// attachments.detach("training")?;
/// assert_eq!(attachments.detach("training"), Err(AttachError::NotFound));
/// # Ok::<(), AttachError>(())
/// ```
///
/// This is how Erlang's `:telemetry` does it, but for one thing: a handler that fails is detached there, and an
/// attachment cannot fail. What a reporter refuses is counted in its [`stats`](Reporter::stats), and what comes next is
/// forwarded all the same.
#[derive(Clone, Default)]
pub struct Attachments {
    shared: Arc<AttachmentList>,
}

/// The list is replaced, never changed: whoever forwards does so from the one that was there, without the lock.
struct AttachmentList {
    list: Inherited<Arc<[Attachment]>>,
    /// Of the list; no two lists have the same. Changes under the list's lock.
    version: AtomicU64,
}

/// The list that a thread saw last. Most records are not for us, and threads that only find that out must not meet at a
/// lock, nor at a count of references. Holds no session, and no more than one list.
struct CachedList {
    version: u64,
    list: Rc<Arc<[Attachment]>>,
}

thread_local! {
    static CACHED: Cell<Option<CachedList>> = const { Cell::new(None) };
}

static NEXT_VERSION: AtomicU64 = AtomicU64::new(0);

fn next_version() -> u64 {
    NEXT_VERSION.fetch_add(1, Ordering::Relaxed)
}

impl Default for AttachmentList {
    fn default() -> Self {
        Self { list: Inherited::new(), version: next_version().into() }
    }
}

/// Why an attachment was not made, or not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is an attachment with this handler id; it stays as it is.
    #[error("there is an attachment with this handler id")]
    AlreadyExists,
    /// There is no attachment with this handler id: there never was, it was detached, or its reporter is gone.
    #[error("there is no attachment with this handler id")]
    NotFound,
}

impl Attachments {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// This reporter listens to the [default](EventFilter::default) events, with the handler id `tinker-telemetry`.
    pub fn of(reporter: &Reporter) -> Self {
        let attachments = Self::default();
        // Cannot fail: the list is empty.
        let _ = attachments.attach(HANDLER_ID, reporter, EventFilter::default());
        attachments
    }

    /// From now on `reporter` gets the events that `filter` asks for and that carry its session's id. A reporter that
    /// is switched off is attached like any other, and gets none.
    pub fn attach(
        &self,
        handler_id: impl Into<String>,
        reporter: &Reporter,
        filter: EventFilter,
    ) -> Result<(), AttachError> {
        let attachment = Attachment {
            handler_id: handler_id.into(),
            session: reporter.session_id().map(SessionId::new),
            filter,
            reporter: reporter.downgrade(),
        };
        self.change(|list| {
            if list.iter().any(|other| other.handler_id == attachment.handler_id) {
                return Err(AttachError::AlreadyExists);
            }
            list.push(attachment);
            Ok(())
        })
    }

    /// Ends an attachment. An event that another thread is forwarding at this moment may still arrive.
    pub fn detach(&self, handler_id: &str) -> Result<(), AttachError> {
        self.change(|list| {
            let place = list.iter().position(|attachment| attachment.handler_id == handler_id);
            list.remove(place.ok_or(AttachError::NotFound)?);
            Ok(())
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Attachment>) -> T) -> T {
        let mut shared = self.shared.list.write();
        let mut list: Vec<_> = shared.iter().filter(|attachment| attachment.is_live()).cloned().collect();
        let answer = change(&mut list);
        *shared = list.into();
        self.shared.version.store(next_version(), Ordering::Release);
        answer
    }

    /// The attachments, if any of them asks for an event named `stem` and one of `suffixes`.
    pub(super) fn interested_in(&self, stem: &str, suffixes: &[&str]) -> Option<Rc<Arc<[Attachment]>>> {
        self.with(|list| list.iter().any(|one| one.is_interested_in(stem, suffixes)).then(|| Rc::clone(list)))
    }

    fn with<T>(&self, look: impl FnOnce(&Rc<Arc<[Attachment]>>) -> T) -> T {
        let version = self.shared.version.load(Ordering::Acquire);
        // Where the thread's locals are torn down already, each look is a first one.
        let seen = CACHED.try_with(Cell::take).ok().flatten().filter(|seen| seen.version == version);
        let seen = seen.unwrap_or_else(|| self.refresh());
        let answer = look(&seen.list);
        let _ = CACHED.try_with(|kept| kept.set(Some(seen)));
        answer
    }

    #[cold]
    fn refresh(&self) -> CachedList {
        let list = self.shared.list.read();
        CachedList { version: self.shared.version.load(Ordering::Relaxed), list: Rc::new(Arc::clone(&list)) }
    }
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.with(Rc::clone);
        f.debug_list().entries(list.iter()).finish()
    }
}

#[derive(Clone)]
pub(super) struct Attachment {
    handler_id: String,
    /// `None`: the reporter is switched off.
    session: Option<SessionId>,
    filter: EventFilter,
    reporter: WeakReporter,
}

/// Those that ask for the event named `stem`, followed by `suffix`, in the session of this id.
pub(super) fn listeners_of<'l>(
    list: &'l [Attachment],
    stem: &str,
    suffix: &str,
    id: &Value<'_>,
) -> Vec<&'l Attachment> {
    list.iter().filter(|attachment| attachment.listens_to(stem, suffix, id)).collect()
}

impl Attachment {
    fn is_interested_in(&self, stem: &str, suffixes: &[&str]) -> bool {
        suffixes.iter().any(|suffix| self.filter.admits(stem, suffix))
    }

    fn listens_to(&self, stem: &str, suffix: &str, id: &Value<'_>) -> bool {
        self.filter.admits(stem, suffix) && self.session.as_ref().is_some_and(|session| session.is(id))
    }

    pub(super) fn report(&self, name: Cow<'static, str>, data: impl Serialize, severity: Severity) {
        self.reporter.log(name, data, severity);
    }

    fn is_live(&self) -> bool {
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

/// A session's id, and how `Debug` writes it: `?id` is a common way to give a string.
#[derive(Clone, Debug)]
struct SessionId {
    plain: Box<str>,
    quoted: Box<str>,
}

impl SessionId {
    fn new(id: &str) -> Self {
        Self { plain: id.into(), quoted: format!("{id:?}").into() }
    }

    fn is(&self, id: &Value<'_>) -> bool {
        match id {
            Value::Str(id) => **id == *self.plain || **id == *self.quoted,
            Value::Text(_) => id.reads(&self.plain) || id.reads(&self.quoted),
            Value::Null | Value::Bool(_) | Value::Number(_) => id.reads(&self.plain),
        }
    }
}

/// Whether this target is one that must not come back as an event.
pub(super) fn is_never_forwarded(target: &str) -> bool {
    let root = target.split_once("::").map_or(target, |(root, _)| root);
    NEVER.contains(&root)
}

/// The severity of an event by its name and otherwise.
pub(super) fn severity(name: &str, otherwise: Severity) -> Severity {
    if name.ends_with("exception") { Severity::Error } else { otherwise }
}

/// Runs code of the program's own, which may panic, or say things that are not to be forwarded in turn. `None` where
/// it panicked, and inside the quiet scope.
pub(super) fn run_guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let _scope = reentrancy::enter()?;
    catch_panic(run)
}

#[cfg(test)]
mod tests;
