use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::model::event::Severity;
use crate::payload::record::{EventHeader, Record};

const LIMIT: Duration = Duration::from_secs(30);

fn put(chunk: &mut Chunk, sequence: u64) {
    chunk.put(sequence, Record::generic(EventHeader::now(0, Severity::Info), "step", &(), 100).unwrap());
}

fn sequences(shards: &Shards) -> Vec<u64> {
    let mut sequences = Vec::new();
    for mut chunk in shards.take(|_| false) {
        while let Some(sequence) = chunk.sequence() {
            sequences.push(sequence);
            chunk.take();
        }
    }
    sequences.sort_unstable();
    sequences
}

#[test]
fn a_thread_locks_another_shard_if_its_own_is_locked_and_each_event_is_taken_once() {
    let shards = Shards::default();
    let mut locked: Vec<_> = (0..SHARDS).map(|_| shards.lock_any()).collect();
    for (sequence, chunk) in (0..).zip(&mut locked) {
        put(chunk, sequence);
    }
    drop(locked);
    put(&mut shards.lock_any(), 16);
    assert_eq!(sequences(&shards), (0..17).collect::<Vec<_>>());
    assert!(sequences(&shards).is_empty());
}

#[test]
fn a_thread_puts_its_events_into_the_shard_of_its_last_event() {
    let shards = Shards::default();
    (0..10).for_each(|sequence| put(&mut shards.lock_any(), sequence));
    assert_eq!(shards.take(|_| false).filter(|chunk| chunk.sequence().is_some()).count(), 1);
}

#[test]
fn a_thread_that_found_its_shard_locked_stays_with_the_one_it_found_instead() {
    let shards = Shards::default();
    let locked = shards.lock_any();
    put(&mut shards.lock_any(), 0);
    drop(locked);
    put(&mut shards.lock_any(), 1);
    let both = shards.take(|_| false).filter(|chunk| chunk.len() == 2).count();
    assert_eq!(both, 1);
}

#[test]
fn a_locked_shard_is_tried_as_long_as_the_worker_wants_to_wait_and_then_left_out() {
    let shards = Shards::default();
    put(&mut shards.lock_any(), 0);
    let locked = shards.lock_any();
    put(&mut shards.lock_any(), 1);
    let tries_seen = Cell::new(0);
    let wait = |tries| {
        tries_seen.set(tries);
        tries < 3
    };
    let taken: Vec<_> = shards.take(wait).filter_map(|chunk| chunk.sequence()).collect();
    assert_eq!((taken, tries_seen.get()), (vec![1], 3));
    drop(locked);
    assert_eq!(sequences(&shards), [0]);
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
        let (chunk, unlocked) = locked.swap_remove(SHARDS / 2);
        drop(chunk);
        assert_eq!(received.recv_timeout(LIMIT), Ok(Some(unlocked)));
    });
}

#[test]
fn a_shard_whose_caller_panicked_is_used_like_any_other() {
    let shards = Shards::default();
    thread::scope(|scope| {
        let panics = || {
            let mut all: Vec<_> = (0..SHARDS).map(|_| shards.lock_any()).collect();
            put(&mut all[0], 3);
            panic!("with all shards locked, as the test wants it");
        };
        scope.spawn(panics).join().unwrap_err();
    });
    put(&mut shards.lock_any(), 4);
    assert_eq!(sequences(&shards), [3, 4]);
}
