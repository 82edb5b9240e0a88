use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::*;
use crate::model::event::Severity;
use crate::payload::record::{EventHeader, Record};

const LIMIT: Duration = Duration::from_secs(30);

/// Shards, and the worker's way to them.
fn shards() -> (Arc<Shards>, ShardReader) {
    let shards = Arc::<Shards>::default();
    (Arc::clone(&shards), ShardReader::new(shards))
}

fn put(shard: &mut LockedShard<'_>, sequence: u64) {
    let header = EventHeader::now(0, Severity::Info);
    shard.put(sequence, Record::generic(header, "step", &(), 100).unwrap());
}

/// The sequences in the chunks that `take` passes on, in ascending order.
fn sequences(take: impl FnOnce(&mut dyn FnMut(Chunk))) -> Vec<u64> {
    let mut sequences = Vec::new();
    take(&mut |mut chunk| {
        while let Some(sequence) = chunk.sequence() {
            sequences.push(sequence);
            chunk.take();
        }
    });
    sequences.sort_unstable();
    sequences
}

fn unlocked(reader: &mut ShardReader) -> Vec<u64> {
    sequences(|keep| reader.take_unlocked(keep))
}

/// Waits for locked shards this many times. Returns what is taken.
fn locked(reader: &mut ShardReader, mut times: u32) -> Vec<u64> {
    let wait = || {
        let lasts = times > 0;
        times = times.saturating_sub(1);
        lasts
    };
    sequences(|keep| reader.take_locked(wait, keep))
}

fn held_up(reader: &mut ShardReader) -> Vec<u64> {
    sequences(|keep| reader.take_held_up(keep))
}

/// How many chunks have events.
fn chunks(reader: &mut ShardReader) -> usize {
    let mut chunks = 0;
    reader.take_unlocked(|chunk| chunks += usize::from(!chunk.is_empty()));
    chunks
}

#[test]
fn a_thread_locks_another_shard_if_its_own_is_locked_and_each_event_is_taken_once() {
    let (shards, mut reader) = shards();
    let mut locked: Vec<_> = (0..SHARDS).map(|_| shards.lock_any()).collect();
    for (sequence, shard) in (0..).zip(&mut locked) {
        put(shard, sequence);
    }
    drop(locked);
    put(&mut shards.lock_any(), 16);
    assert_eq!(unlocked(&mut reader), (0..17).collect::<Vec<_>>());
    assert!(unlocked(&mut reader).is_empty());
}

#[test]
fn a_thread_puts_its_events_into_the_shard_of_its_last_event() {
    let (shards, mut reader) = shards();
    (0..10).for_each(|sequence| put(&mut shards.lock_any(), sequence));
    assert_eq!(chunks(&mut reader), 1);
}

#[test]
fn a_thread_that_found_its_shard_locked_stays_with_the_one_it_found_instead() {
    let (shards, mut reader) = shards();
    let locked = shards.lock_any();
    put(&mut shards.lock_any(), 0);
    drop(locked);
    put(&mut shards.lock_any(), 1);
    assert_eq!(chunks(&mut reader), 1);
}

#[test]
fn a_locked_shard_is_waited_for_while_the_others_are_not() {
    let (shards, mut reader) = shards();
    put(&mut shards.lock_any(), 0);
    let inside = shards.lock_any();
    put(&mut shards.lock_any(), 1);
    assert_eq!(unlocked(&mut reader), [1]);
    drop(inside);
    put(&mut shards.lock_any(), 2);
    assert_eq!(locked(&mut reader, 0), [0], "the shard with the second event was not locked");
    assert!(reader.next_look().is_none(), "no shard was held up");
}

#[test]
fn a_shard_that_was_waited_for_in_vain_is_held_up_until_it_is_unlocked() {
    let (shards, mut reader) = shards();
    put(&mut shards.lock_any(), 0);
    let inside = shards.lock_any();
    assert!(unlocked(&mut reader).is_empty() && reader.next_look().is_none());
    assert!(locked(&mut reader, 3).is_empty() && reader.next_look().is_some());
    let waits = || panic!("it is not waited for again");
    assert!(unlocked(&mut reader).is_empty());
    assert!(sequences(|keep| reader.take_locked(waits, keep)).is_empty());
    assert!(held_up(&mut reader).is_empty() && reader.next_look().is_some());
    drop(inside);
    assert_eq!(held_up(&mut reader), [0]);
    assert!(reader.next_look().is_none());
}

#[test]
fn a_caller_that_leaves_while_the_worker_waits_is_not_held_up() {
    let (shards, mut reader) = shards();
    let mut shard = shards.lock_any();
    put(&mut shard, 0);
    let mut inside = Some(shard);
    assert!(unlocked(&mut reader).is_empty());
    let leaves = || inside.take().is_some();
    assert_eq!(sequences(|keep| reader.take_locked(leaves, keep)), [0]);
    assert!(reader.next_look().is_none());
}

#[test]
fn an_ordinary_look_finds_a_shard_that_is_held_up_no_longer() {
    let (shards, mut reader) = shards();
    let mut inside = shards.lock_any();
    assert!(unlocked(&mut reader).is_empty() && locked(&mut reader, 0).is_empty());
    assert!(reader.next_look().is_some());
    put(&mut inside, 0);
    drop(inside);
    assert_eq!(unlocked(&mut reader), [0]);
    assert!(reader.next_look().is_none());
}

#[test]
fn only_events_of_earlier_calls_are_held_back() {
    for earlier_events in [0, 2] {
        let (shards, mut reader) = shards();
        (0..earlier_events).for_each(|sequence| put(&mut shards.lock_any(), sequence));
        let mut inside = shards.lock_any();
        put(&mut inside, earlier_events);
        assert!(unlocked(&mut reader).is_empty());
        assert!(!reader.holds_back_events(), "no shard is held up yet");
        assert!(locked(&mut reader, 0).is_empty());
        assert_eq!(reader.holds_back_events(), earlier_events > 0);
        drop(inside);
        assert_eq!(held_up(&mut reader).len() as u64, earlier_events + 1);
        assert!(!reader.holds_back_events());
    }
}

#[test]
fn events_that_were_taken_or_sent_are_not_held_back() {
    let (shards, mut reader) = shards();
    put(&mut shards.lock_any(), 0);
    assert_eq!(unlocked(&mut reader), [0]);
    let mut shard = shards.lock_any();
    (1..=100).for_each(|sequence| put(&mut shard, sequence));
    assert!(shard.take_full().is_some());
    drop(shard);
    let _inside = shards.lock_any();
    assert!(unlocked(&mut reader).is_empty() && locked(&mut reader, 0).is_empty());
    assert!(!reader.holds_back_events());
}

#[test]
fn if_all_shards_are_locked_a_thread_gets_the_first_that_is_unlocked() {
    let shards = Shards::default();
    let (events, received) = mpsc::channel();
    thread::scope(|scope| {
        let shards = &shards;
        // Inside the scope: if the test fails, they are unlocked before the scope waits for the thread.
        let mut locked: Vec<_> = (0..SHARDS).map(|_| (shards.lock_any(), PREFERRED.get())).collect();
        scope.spawn(move || {
            events.send(None).unwrap();
            drop(shards.lock_any());
            events.send(Some(PREFERRED.get())).unwrap();
        });
        assert_eq!(received.recv_timeout(LIMIT), Ok(None), "it is about to look for an unlocked one");
        let (shard, unlocked) = locked.swap_remove(SHARDS / 2);
        drop(shard);
        assert_eq!(received.recv_timeout(LIMIT), Ok(Some(unlocked)));
    });
}

#[test]
fn a_shard_whose_caller_panicked_is_used_like_any_other() {
    let (shards, mut reader) = shards();
    thread::scope(|scope| {
        let panics = || {
            let mut all: Vec<_> = (0..SHARDS).map(|_| shards.lock_any()).collect();
            put(&mut all[0], 3);
            panic!("with all shards locked, as the test wants it");
        };
        scope.spawn(panics).join().unwrap_err();
    });
    put(&mut shards.lock_any(), 4);
    assert_eq!(unlocked(&mut reader), [3, 4]);
}
