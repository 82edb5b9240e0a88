//! The reporters that bridges forward to, each under a name, as the handlers of Erlang's `:telemetry` are.
//!
//! Every record of the program passes here, on every thread, and most of them are not forwarded. So the list is never
//! changed in place: a change replaces it, and each thread keeps the list that it saw last. A record costs one comparison
//! of versions, and takes no lock and no reference count that another thread uses.

mod attachment;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::filter::EventFilter;
use crate::model::event::Severity;
use crate::process::catch_panic::catch_panic;
use crate::process::fork::Inherited;
use crate::process::reentrancy;
use crate::reporter::Reporter;
use attachment::Attachment;
pub(in crate::bridge) use attachment::{matching, severity};

/// The crates whose records are never forwarded: this one and its HTTP client. A record of theirs that is made while
/// events are sent would be an event to send, and so on without end.
const NEVER: [&str; 4] = ["tinker_telemetry", "ureq", "ureq_proto", "rustls"];

/// The handler id of the attachments that are made here, with a number after it unless the list has one only.
const HANDLER_ID: &str = "tinker-telemetry";

/// The reporters that bridges forward to. Cheap to clone: all clones, and every bridge made with one, share one list,
/// which may change at any time.
///
/// An attachment is a reporter and a filter, under a handler id. It forwards only what carries the id of that reporter's
/// session, so a program with several sessions attaches one reporter for each. A program with one session attaches
/// [everything](Self::everything), and need not write the id anywhere. An attachment does not keep its session going, and
/// is gone when the reporter's last clone is dropped.
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
/// Erlang's `:telemetry` does the same, with one difference: it detaches a handler that fails, and an attachment cannot
/// fail. If a reporter refuses an event, its [`stats`](Reporter::stats) count that, and later events are still forwarded.
#[derive(Clone, Default)]
pub struct Attachments {
    shared: Arc<AttachmentList>,
}

/// The list, and its version.
struct AttachmentList {
    list: Inherited<Arc<[Attachment]>>,
    /// No two lists have the same version. It changes under the list's lock.
    version: AtomicU64,
}

/// The list that a thread saw last. It keeps no session alive, and no more than one list in memory.
struct CachedList {
    version: u64,
    list: Rc<Arc<[Attachment]>>,
}

thread_local! {
    static CACHED: Cell<Option<CachedList>> = const { Cell::new(None) };
}

static NEXT_VERSION: AtomicU64 = AtomicU64::new(0);

/// The number in the next handler id that is made here.
static NEXT_HANDLER: AtomicU64 = AtomicU64::new(1);

fn next_version() -> u64 {
    NEXT_VERSION.fetch_add(1, Ordering::Relaxed)
}

impl Default for AttachmentList {
    fn default() -> Self {
        Self { list: Inherited::new(), version: next_version().into() }
    }
}

/// Why an attachment was not made or not detached.
///
/// ```
/// use tinker_telemetry::bridge::{AttachError, Attachments};
///
/// let error = Attachments::new().detach("training").unwrap_err();
/// assert_eq!(error, AttachError::NotFound);
/// assert_eq!(error.to_string(), "there is no attachment with this handler id");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is an attachment with this handler id. It stays as it is.
    #[error("there is an attachment with this handler id")]
    AlreadyExists,
    /// There is no attachment with this handler id: it was never made, it was detached, or its reporter is gone.
    #[error("there is no attachment with this handler id")]
    NotFound,
}

impl Attachments {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forwards the [default](EventFilter::default) events to this reporter, under the handler id `tinker-telemetry`.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// use tinker_telemetry::bridge::{Attachments, EventFilter};
    ///
    /// let attachments = Attachments::of(&reporter);
    /// attachments.attach("mine", &reporter, EventFilter::new(["checkpoint.*"]))?;
    /// # Ok::<(), tinker_telemetry::bridge::AttachError>(())
    /// ```
    pub fn of(reporter: &Reporter) -> Self {
        let attachments = Self::default();
        // It cannot fail: the list is empty.
        let _ = attachments.attach(HANDLER_ID, reporter, EventFilter::default());
        attachments
    }

    /// Forwards every event to this reporter, whether it carries the session's id or not, under the handler id
    /// `tinker-telemetry`: for a program with one session. Only records that are [never forwarded](EventFilter) are left
    /// out. To choose by name and severity, attach a filter with [`EventFilter::without_session_id`].
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// use tinker_telemetry::Severity;
    /// use tinker_telemetry::bridge::{Attachments, EventFilter};
    ///
    /// let attachments = Attachments::everything(&reporter);
    ///
    /// // Or everything that matters, but for one noisy library:
    /// let attachments = Attachments::new();
    /// let filter = EventFilter::all().without_session_id().min_severity(Severity::Info).except(["hyper::*"]);
    /// attachments.add(&reporter, filter);
    /// ```
    pub fn everything(reporter: &Reporter) -> Self {
        let attachments = Self::default();
        // It cannot fail: the list is empty.
        let _ = attachments.attach(HANDLER_ID, reporter, EventFilter::all().without_session_id());
        attachments
    }

    /// From now on `reporter` gets the events that `filter` asks for and that carry the id of its session. A reporter
    /// that is switched off is attached like any other, and gets none.
    pub fn attach(
        &self,
        handler_id: impl Into<String>,
        reporter: &Reporter,
        filter: EventFilter,
    ) -> Result<(), AttachError> {
        let attachment = Attachment::new(handler_id.into(), reporter, filter);
        self.change(|list| {
            if has(list, &attachment.handler_id) {
                return Err(AttachError::AlreadyExists);
            }
            list.push(attachment);
            Ok(())
        })
    }

    /// Attaches as [`attach`](Self::attach) does, under a handler id of its own, which it returns.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// use tinker_telemetry::bridge::{Attachments, EventFilter};
    ///
    /// let attachments = Attachments::new();
    /// let handler_id = attachments.add(&reporter, EventFilter::new(["checkpoint.*"]));
    /// attachments.detach(&handler_id)?;
    /// # Ok::<(), tinker_telemetry::bridge::AttachError>(())
    /// ```
    pub fn add(&self, reporter: &Reporter, filter: EventFilter) -> String {
        let mut attachment = Attachment::new(String::new(), reporter, filter);
        self.change(|list| {
            loop {
                let handler_id = format!("{HANDLER_ID}-{}", NEXT_HANDLER.fetch_add(1, Ordering::Relaxed));
                // The program may have given an attachment this very id.
                if !has(list, &handler_id) {
                    attachment.handler_id.clone_from(&handler_id);
                    list.push(attachment);
                    return handler_id;
                }
            }
        })
    }

    /// Ends an attachment. An event that another thread forwards at this moment may still arrive.
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
        let result = change(&mut list);
        *shared = list.into();
        self.shared.version.store(next_version(), Ordering::Release);
        result
    }

    /// The attachments, if any of them asks for an event named `stem` and one of `suffixes`, with this severity unless it
    /// is an exception.
    pub(in crate::bridge) fn interested_in(
        &self,
        stem: &str,
        suffixes: &[&str],
        usual: Severity,
    ) -> Option<Rc<Arc<[Attachment]>>> {
        self.with(|list| {
            list.iter().any(|each| each.is_interested_in(stem, suffixes, usual)).then(|| Rc::clone(list))
        })
    }

    #[cfg(feature = "tracing")]
    pub(in crate::bridge) fn is_empty(&self) -> bool {
        self.with(|list| list.is_empty())
    }

    /// Whether one of them takes what carries no session's id.
    #[cfg(feature = "tracing")]
    pub(in crate::bridge) fn take_any_session(&self) -> bool {
        self.with(|list| list.iter().any(Attachment::takes_any_session))
    }

    fn with<T>(&self, read: impl FnOnce(&Rc<Arc<[Attachment]>>) -> T) -> T {
        let version = self.shared.version.load(Ordering::Acquire);
        // A thread that ends may have destroyed its cache. Then each call reads the shared list.
        let cached = CACHED.try_with(Cell::take).ok().flatten().filter(|cached| cached.version == version);
        let cached = cached.unwrap_or_else(|| self.refresh());
        let result = read(&cached.list);
        let _ = CACHED.try_with(|cache| cache.set(Some(cached)));
        result
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

fn has(list: &[Attachment], handler_id: &str) -> bool {
    list.iter().any(|attachment| attachment.handler_id == handler_id)
}

/// Whether records of this target are never forwarded.
pub(in crate::bridge) fn is_never_forwarded(target: &str) -> bool {
    let root = target.split_once("::").map_or(target, |(root, _)| root);
    NEVER.contains(&root)
}

/// Runs code of the program, which may panic, and whose own records must not be forwarded. `None` if it panicked, and
/// if this thread is inside the reentrancy scope already.
pub(in crate::bridge) fn run_guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let _scope = reentrancy::enter()?;
    catch_panic(run)
}

#[cfg(test)]
mod tests;
