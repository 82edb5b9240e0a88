//! The program's hook that sees each event before it is sent. It can change the event, or withhold it.

use std::sync::Arc;

use crate::model::event::Event;
use crate::model::stats::DropReason;
use crate::payload::json::{MAX_DEPTH, is_strict};
use crate::process::catch_panic::catch_panic;
use crate::process::fork;

/// See [`Builder::before_send`](crate::Builder::before_send).
pub(crate) type Hook = dyn Fn(Event) -> Option<Event> + Send + Sync;

/// Asks the hook about each event, if there is one.
#[derive(Clone, Default)]
pub(crate) struct BeforeSend {
    hook: Option<Arc<Hook>>,
    /// How large an event's JSON may be made. What was larger before may stay as large.
    max_bytes: usize,
}

impl BeforeSend {
    pub(crate) fn new(hook: Option<Arc<Hook>>, max_bytes: usize) -> Self {
        Self { hook, max_bytes }
    }

    /// Puts the event that the hook returned in the place of the given one, or says why no event is sent. If the hook
    /// panics, the event is withheld: it may be one that must not leave the program.
    #[inline]
    pub(super) fn apply(&self, json: &mut Vec<u8>) -> Result<(), DropReason> {
        match &self.hook {
            Some(hook) => self.ask(&**hook, json),
            None => Ok(()),
        }
    }

    #[cold]
    fn ask(&self, hook: &Hook, json: &mut Vec<u8>) -> Result<(), DropReason> {
        let event: Event = serde_json::from_slice(json).map_err(|_| DropReason::Withheld)?;
        let (id, index) = (event.id(), event.session_index());
        let answer = catch_panic(|| hook(event));
        fork::exit_if_forked(); // the hook is the program's code
        let mut event = answer.flatten().ok_or(DropReason::Withheld)?;
        event.identify(id, index);
        let max_bytes = self.max_bytes.max(json.len());
        json.clear();
        serde_json::to_writer(&mut *json, &event).map_err(|_| DropReason::Internal)?;
        if json.len() > max_bytes {
            return Err(DropReason::TooLarge);
        }
        // A parser that refuses this event would refuse the whole batch. The event itself is one level.
        if is_strict(json, MAX_DEPTH + 1) { Ok(()) } else { Err(DropReason::Withheld) }
    }
}
