//! The spool as the worker sees it. Without the feature there is never one, and the compiler knows it.

#[cfg(all(feature = "spool", unix))]
pub(crate) use crate::spool::keeper::Keeper;

#[cfg(not(all(feature = "spool", unix)))]
pub(crate) use none::Keeper;

#[cfg(not(all(feature = "spool", unix)))]
mod none {
    use std::convert::Infallible;

    use crate::model::stats::DropReason;
    use crate::wire::batch::Batch;

    pub(crate) enum Keeper {}

    impl Keeper {
        pub(crate) fn is_write_ahead(&self) -> bool {
            match *self {}
        }

        pub(crate) fn write(&mut self, _batch: &mut Batch, _key: Option<&str>) -> Result<(), Infallible> {
            match *self {}
        }

        pub(crate) fn keep(
            &mut self,
            _batch: &mut Batch,
            _key: &str,
            _reason: DropReason,
        ) -> Result<(), (DropReason, Infallible)> {
            match *self {}
        }

        pub(crate) fn done(&mut self, _batch: &Batch, _key: &str) {
            match *self {}
        }

        pub(crate) fn release(&mut self) {
            match *self {}
        }
    }
}
