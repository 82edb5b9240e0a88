//! The spool as the worker sees it. Without the feature there is never one, and the compiler knows it.

#[cfg(all(feature = "spool", unix))]
pub(crate) use crate::spool::keeper::Keeper;
#[cfg(all(feature = "spool", unix))]
pub(crate) use crate::spool::store::KeepError;

#[cfg(not(all(feature = "spool", unix)))]
pub(crate) use absent::{KeepError, Keeper};

#[cfg(not(all(feature = "spool", unix)))]
mod absent {
    use std::fmt;

    use crate::queue::admission::Load;
    use crate::wire::batch::Batch;

    pub(crate) enum Keeper {}

    #[derive(Clone)]
    pub(crate) enum KeepError {}

    pub(crate) struct Kept {
        pub(crate) load: Load,
        pub(crate) error: Option<KeepError>,
    }

    impl Keeper {
        pub(crate) fn start_replay(&mut self) {
            match *self {}
        }

        pub(crate) fn look_again(&mut self) {
            match *self {}
        }

        pub(crate) fn is_write_ahead(&self) -> bool {
            match *self {}
        }

        pub(crate) fn is_synced(&self) -> bool {
            match *self {}
        }

        pub(crate) fn has(&self, _batch: &Batch) -> bool {
            match *self {}
        }

        pub(crate) fn prepare(&mut self) {
            match *self {}
        }

        pub(crate) fn write(&mut self, _batch: &mut Batch) -> Result<(), KeepError> {
            match *self {}
        }

        pub(crate) fn keep_all(&mut self, _batches: &mut [&mut Batch]) -> Vec<Kept> {
            match *self {}
        }

        pub(crate) fn sync(&mut self) -> Result<(), KeepError> {
            match *self {}
        }

        pub(crate) fn done(&mut self, _batch: &Batch, _is_key_known: bool) {
            match *self {}
        }

        pub(crate) fn done_after_all(&mut self, _batch: &Batch) {
            match *self {}
        }

        pub(crate) fn release(&mut self) -> bool {
            match *self {}
        }
    }

    impl KeepError {
        pub(crate) fn is_full(&self) -> bool {
            match *self {}
        }
    }

    impl fmt::Display for KeepError {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match *self {}
        }
    }
}
