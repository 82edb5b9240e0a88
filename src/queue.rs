//! The bounded queue and the bell beside it, cut in two: the intake for callers, the outlet for the worker.
//!
//! The bell has room for one ring: a bell that has been rung is ringing already, so a ring never waits behind
//! data and never blocks.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::admission::{Lane, RESERVED_EVENTS, SESSION_EVENTS};
use crate::ledger::Ledger;
use crate::record::Record;
use crate::stats::RefusalReason;

#[derive(Debug)]
pub(crate) struct Intake {
    ledger: Arc<Ledger>,
    records: Sender<Record>,
    bell: Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) records: Receiver<Record>,
    pub(crate) bell: Receiver<()>,
}

/// A queue with a slot for every event that the ledger's door lets in.
pub(crate) fn queue(ledger: Arc<Ledger>, max_queue_size: usize) -> (Intake, Outlet) {
    let (records, outlet_records) = bounded(max_queue_size + RESERVED_EVENTS + SESSION_EVENTS);
    let (bell, outlet_bell) = bounded(1);
    (Intake { ledger, records, bell }, Outlet { records: outlet_records, bell: outlet_bell })
}

impl Intake {
    /// Puts an event into the queue, or counts why not. Wakes the worker only with the event that makes a batch
    /// worth sending: waking a parked thread costs more than all the rest.
    pub(crate) fn offer(&self, record: Record, lane: Lane) -> Result<(), RefusalReason> {
        let is_due = self.ledger.admit(record.weight() as u64, lane)?;
        // There is a slot for everything that was admitted. Should the worker be gone, the ledger has settled it.
        let _ = self.records.try_send(record);
        if is_due {
            self.ring();
        }
        Ok(())
    }

    /// How many events are in it. Takes no lock.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Wakes the worker.
    pub(crate) fn ring(&self) {
        let _ = self.bell.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{Door, Load};
    use crate::event::Severity;
    use crate::record::Head;

    fn record() -> Record {
        Record::generic(Head::now(0, Severity::Info), "step", &(), 100).unwrap()
    }

    #[test]
    fn there_is_a_slot_for_each_event_that_is_let_in_and_no_more() {
        let limits = Load { events: 10, bytes: 1_000_000 };
        let ledger = Arc::new(Ledger::new(Door::new(limits, limits)));
        let (intake, outlet) = queue(Arc::clone(&ledger), 10);
        let let_in = [Lane::Ordinary, Lane::Fatal, Lane::Session]
            .map(|lane| (0..1_000).take_while(|_| intake.offer(record(), lane).is_ok()).count());
        assert_eq!(let_in, [10, 512, 2]);
        assert_eq!(ledger.stats().accepted, 10 + 512 + 2);
        assert_eq!(intake.len(), outlet.records.len());
        assert_eq!((outlet.records.len(), outlet.records.capacity()), (10 + 512 + 2, Some(10 + 512 + 2)));
    }

    #[test]
    fn the_bell_rings_once_for_the_event_that_is_enough_and_for_whoever_rings() {
        let threshold = Load { events: 2, bytes: 1_000_000 };
        let ledger = Arc::new(Ledger::new(Door::new(Load { events: 10, ..threshold }, threshold)));
        let (intake, outlet) = queue(ledger, 10);
        let rung = [(); 3].map(|()| {
            intake.offer(record(), Lane::Ordinary).unwrap();
            outlet.bell.try_recv().is_ok()
        });
        assert_eq!(rung, [false, true, false]);
        intake.ring();
        intake.ring();
        assert_eq!(outlet.bell.try_iter().count(), 1, "a bell that has been rung is ringing already");
    }
}
