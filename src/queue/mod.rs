//! The queue between the threads that log and the one worker thread: bounded, ordered, counted.
//!
//! `session` puts events in through the [`Producer`], `worker` takes them out through the [`Consumer`], and both count
//! in the [`Ledger`]. This page describes the whole protocol. The files of this folder hold one part of it each.
//!
//! # The problem
//!
//! A call of `log` takes about a tenth of a microsecond. Three things would cost more than the rest of the call:
//!
//! - **Waking a thread** costs the caller 7 to 10 µs, with any primitive. So an event does not wake the worker. Only
//!   the event that makes enough pending for a request does.
//! - **Writing to memory that another core wrote last** waits for that core's cache. With one shard, in place of the
//!   sixteen here, four threads that log as fast as they can took 0.49 to 0.67 µs a call on average; with sixteen
//!   they take 0.11 to 0.19 µs. (OpenTelemetry takes 0.39 µs for the same.) With one channel and no shards each call
//!   took 0.7 µs.
//! - **Freeing on one thread what another thread allocated** waits for the allocator's lock and for the other core's
//!   cache. So memory is handed over for many events at a time.
//!
//! # The constraints
//!
//! - A call waits neither for the worker nor for the network, and takes no lock that another call waits for, as long
//!   as no more than sixteen threads are putting an event in at the same moment.
//! - The limits on events and on bytes are exact. An event is either accepted or counted as refused.
//! - Every accepted event comes out once.
//! - An event comes out before every event whose call began after its own call returned, on whichever threads. (The one
//!   exception is below.)
//! - One thread that is suspended inside a call does not stop the delivery of the other threads' events.
//! - No `unsafe`.
//! - A call works at the very end of its thread too, when the standard library's storage for the thread is gone. So no
//!   caller asks for its thread: the worker sleeps in [`Consumer::sleep_until_ready`].
//! - No lock that a fork can leave locked: a forked child makes a queue of its own (see `process::fork`).
//!
//! # The protocol
//!
//! ```text
//!  callers                                                               worker
//!
//!  admit, number ─ put ─▶ shard 0 ┐                ┌───────────┐
//!  admit, number ─ put ─▶ shard 1 ┼─ full chunks ─▶│  channel  │─ collect ┐
//!        …                   …    │                └───────────┘          ├─▶ order ─▶ event ─▶ batch
//!  admit, number ─ put ─▶ shard 15┘                                       │
//!                            └──── the other chunks, when it is time ─────┘
//! ```
//!
//! 1. **Admit** ([`admission`]). The caller locks a shard: the one where its thread found room the last time, or
//!    another if that one is locked. It never sleeps on the lock. Then it takes room for the event: one
//!    compare-and-swap on the one word that holds what is pending, and whether the reporter is closed. If there is no
//!    room, the refusal is counted and the call returns.
//! 2. **Number** ([`admission`]). The caller draws the event's sequence number from one counter, still under the
//!    shard's lock. The sequence is the order in which events come out. (It is not the number that an event has on the
//!    wire. That one also counts refused events; the worker gives it to each event that comes out: see
//!    `wire::session_index`.)
//! 3. **Put** ([`shards`], [`chunk`]). The caller appends the event to the chunk in the shard. If that makes the chunk
//!    full, the caller sends the chunk through the bounded channel and leaves an empty one. Then it unlocks the shard.
//!    If the event is the one that makes enough pending for a request, the caller wakes the worker.
//! 4. **Collect** ([`consumer`]). The worker takes the full chunks from the channel. When it needs an event that is in
//!    none of them, it also takes the chunks that are not full out of the shards.
//! 5. **Order** ([`consumer`]). The worker keeps the chunks sorted by the sequence of their next events, and takes
//!    the event with the next sequence, whichever chunk it is in.
//! 6. **Settle** ([`ledger`]). The worker claims the event, gives it its fate, and so gives its room back.
//!
//! A thread that logs alone fills one chunk after the other, and each is a batch: it pays for one channel operation
//! per hundred events. Of many threads that log a little, the worker collects most events from the shards.
//!
//! # The invariants
//!
//! 1. A sequence is drawn under the lock of a shard, and the event with it is put into the chunk of that shard before
//!    the lock is released.
//! 2. So the sequences in a chunk ascend, and the sequences in a later chunk of the same shard are greater.
//! 3. A full chunk is in the channel before its shard is unlocked. So an event whose sequence was drawn before the
//!    worker looked at its shard is in that shard or in the channel: the worker finds it if it looks at the shards
//!    first and at the channel afterwards.
//! 4. Sequences are drawn without gaps. So if the worker holds a higher sequence than the next one, looks at all shards,
//!    and does not find the next one, then that one is in a shard that is still locked.
//! 5. The channel has room for every full chunk that the limits allow, so sending one never fails and never blocks.
//! 6. What the admission's word holds is what is pending. It grows in step 1 and shrinks in step 6 only.
//! 7. No event is admitted after the close: the bit that closes is in the same word.
//!
//! # What may come in another order, and what restores it
//!
//! Chunks reach the worker in any order: a fast thread's chunk is full, and sent, before the older events of a slow
//! thread are collected. Step 5 restores the order of the sequences. Two calls that run at the same moment may draw
//! their sequences in either order, and either is right.
//!
//! The sequence is drawn by a relaxed read-modify-write. That is enough: all such operations on one counter have one
//! order, and it agrees with every "this call returned before that one began" that threads can observe.
//!
//! # Callers that are held up inside a shard
//!
//! A caller is inside a shard for much less than a microsecond, unless its thread loses its core there, or is suspended
//! by a debugger, or a signal handler runs on it. No other caller waits for it: they lock other shards. The worker
//! does, if the next sequence may be the caller's: 100 ms in all, and not at all once the reporter is closed. Then the
//! shard is *held up*, and the worker goes on with the next sequence that it has. It tries the shard again, without
//! waiting, whenever it collects, and once in a while if it has nothing else to do.
//!
//! - What waits for the caller are its own event and the events in its shard: at most one chunk that is not full. Those
//!   come out later than their sequences, and in the order of their shard. Here the order of the calls is not restored.
//! - A flush covers the events whose calls have returned. So it waits for a shard that is held up only if that had
//!   events when its caller locked it: a flag beside the lock says so. It does not wait for the caller's own event.
//! - One thing is not covered: a caller that is suspended between two instructions of crossbeam's `try_send`, when its
//!   place in the channel is taken and not filled, stops the worker until it goes on.
//!
//! # Why not simpler
//!
//! - One chunk, or one channel, for all threads: the figures above.
//! - A queue for each thread: it must be registered, found by the worker, and dropped when the thread ends, and a
//!   program with a thousand threads would have a thousand of them. Sixteen shards serve as many threads as there
//!   are cores to run them, and there is nothing to register.
//! - No sequences: then the events of two threads come out in the order of collection. A reader of the backend could
//!   not tell which came first, and `event_session_index` promises the order of the calls.

pub(crate) mod admission;
pub(crate) mod chunk;
mod consumer;
pub(crate) mod ledger;
mod producer;
mod shards;

use std::sync::Arc;

use crossbeam_channel::bounded;

use crate::queue::admission::{RESERVED_EVENTS, SESSION_EVENTS};
use crate::queue::ledger::Ledger;
use crate::queue::shards::Shards;

pub(crate) use consumer::{CALLER_WAIT, Consumer};
pub(crate) use producer::Producer;

/// Makes both ends of a queue for as many events as the ledger's admission accepts.
pub(crate) fn queue(ledger: Arc<Ledger>, max_queue_size: usize) -> (Producer, Consumer) {
    let max_chunks = (max_queue_size + RESERVED_EVENTS + SESSION_EVENTS) / chunk::MIN_FULL;
    let (chunk_sender, chunk_receiver) = bounded(max_chunks);
    let (wakeup_sender, wakeup_receiver) = bounded(1);
    let shards = Arc::<Shards>::default();
    let producer = Producer::new(Arc::clone(&ledger), Arc::clone(&shards), chunk_sender, wakeup_sender);
    let consumer = Consumer::new(ledger, shards, chunk_receiver, wakeup_receiver);
    (producer, consumer)
}

#[cfg(test)]
mod tests;
