//! The callers' end of the queue: steps 1 to 3 of [the protocol](super#the-protocol).

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::model::stats::RefusalReason;
use crate::payload::record::Record;
use crate::queue::admission::{Grant, Lane};
use crate::queue::chunk::Chunk;
use crate::queue::ledger::Ledger;
use crate::queue::shards::{LockedShard, Shards};

#[derive(Debug)]
pub(crate) struct Producer {
    ledger: Arc<Ledger>,
    shards: Arc<Shards>,
    /// Boxed, because the channel allocates a slot for each chunk that it can hold.
    chunks: Sender<Box<Chunk>>,
    /// Holds one signal at most. A second signal is dropped: the first has not been received yet and wakes the worker.
    /// So a wakeup never waits behind data and never blocks.
    wakeup: Sender<()>,
}

impl Producer {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        shards: Arc<Shards>,
        chunks: Sender<Box<Chunk>>,
        wakeup: Sender<()>,
    ) -> Self {
        Self { ledger, shards, chunks, wakeup }
    }

    /// Puts an event into the queue, or counts why not. Wakes the worker only with the event that makes enough pending
    /// for a request: waking a sleeping thread costs more than all the rest.
    pub(crate) fn offer(&self, record: Record, lane: Lane) -> Result<(), RefusalReason> {
        let shard = self.shards.lock_any();
        // Under the shard's lock, by invariant 1.
        match self.ledger.admit(record.weight() as u64, lane) {
            Ok(grant) => {
                self.put(shard, grant, record);
                Ok(())
            }
            Err(reason) => {
                record.discard();
                drop(shard);
                // A large event may find no room while less than the threshold is pending.
                self.wake();
                Err(reason)
            }
        }
    }

    #[inline]
    fn put(&self, mut shard: LockedShard<'_>, Grant { sequence, is_due }: Grant, record: Record) {
        shard.put(sequence, record);
        if let Some(full) = shard.take_full() {
            // Under the lock too, by invariant 3. It fails only if the worker is gone, and then the ledger has settled
            // the chunk's events.
            let _ = self.chunks.try_send(Box::new(full));
        }
        drop(shard);
        if is_due {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        let _ = self.wakeup.try_send(());
    }
}

#[cfg(test)]
impl Producer {
    /// How many events are queued and not collected, if they are small ones.
    pub(crate) fn len(&self) -> usize {
        self.shards.len() + self.chunks.len() * super::chunk::FULL
    }

    /// Stops between steps 2 and 3, until the returned function is called.
    pub(crate) fn offer_half(&self, record: Record) -> impl FnOnce() {
        let shard = self.shards.lock_any();
        let grant = self.ledger.admit(record.weight() as u64, Lane::Ordinary).unwrap();
        move || self.put(shard, grant, record)
    }
}
