//! No client: the cost of the loop and the clock alone.

use std::hint::black_box;
use std::time::Duration;

use super::Peer;
use crate::payload::Fields;

pub(crate) struct Nothing;

impl Peer for Nothing {
    fn log(&self, fields: Fields<'_>) {
        black_box(fields);
    }

    fn flush(&self) {}

    fn shutdown(&mut self, _budget: Duration) {}
}
