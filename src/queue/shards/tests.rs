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
fn a_thread_whose_shard_is_in_use_takes_another_and_what_is_in_all_is_taken_once() {
    let shards = Shards::default();
    let mut in_use: Vec<_> = (0..SHARDS).map(|_| shards.lock_any()).collect();
    for (sequence, chunk) in (0..).zip(&mut in_use) {
        put(chunk, sequence);
    }
    drop(in_use);
    put(&mut shards.lock_any(), 16);
    assert_eq!(sequences(&shards), (0..17).collect::<Vec<_>>());
    assert!(sequences(&shards).is_empty());
}

#[test]
fn a_thread_puts_its_events_where_it_put_the_last() {
    let shards = Shards::default();
    (0..10).for_each(|sequence| put(&mut shards.lock_any(), sequence));
    assert_eq!(shards.take(|_| false).filter(|chunk| chunk.sequence().is_some()).count(), 1);
}

#[test]
fn a_thread_that_found_its_shard_in_use_stays_where_it_found_room() {
    let shards = Shards::default();
    let in_use = shards.lock_any();
    put(&mut shards.lock_any(), 0);
    drop(in_use);
    put(&mut shards.lock_any(), 1);
    let both = shards.take(|_| false).filter(|chunk| chunk.len() == 2).count();
    assert_eq!(both, 1);
}

#[test]
fn a_run_that_a_caller_is_in_is_waited_for_as_long_as_it_is_worth_it_and_then_left() {
    let shards = Shards::default();
    put(&mut shards.lock_any(), 0);
    let in_use = shards.lock_any();
    put(&mut shards.lock_any(), 1);
    let asked = Cell::new(0);
    let worth_it = |tries| {
        asked.set(tries);
        tries < 3
    };
    let taken: Vec<_> = shards.take(worth_it).filter_map(|chunk| chunk.sequence()).collect();
    assert_eq!((taken, asked.get()), (vec![1], 3));
    drop(in_use);
    assert_eq!(sequences(&shards), [0]);
}

#[test]
fn where_all_are_in_use_a_thread_gets_the_first_that_is_free() {
    let shards = Shards::default();
    let (got, has_got) = mpsc::channel();
    thread::scope(|scope| {
        let shards = &shards;
        // In here, so that they are free again before a test that fails waits for the thread.
        let mut in_use: Vec<_> = (0..SHARDS).map(|_| (shards.lock_any(), HOME.get())).collect();
        scope.spawn(move || {
            got.send(None).unwrap();
            drop(shards.lock_any());
            got.send(Some(HOME.get())).unwrap();
        });
        assert_eq!(has_got.recv_timeout(LIMIT), Ok(None), "it is about to look for one");
        let (chunk, free) = in_use.swap_remove(SHARDS / 2);
        drop(chunk);
        assert_eq!(has_got.recv_timeout(LIMIT), Ok(Some(free)));
    });
}

#[test]
fn a_shard_that_a_thread_died_with_is_as_good_as_any() {
    let shards = Shards::default();
    thread::scope(|scope| {
        let dies = || {
            let mut all: Vec<_> = (0..SHARDS).map(|_| shards.lock_any()).collect();
            put(&mut all[0], 3);
            panic!("with all shards, as the test wants it");
        };
        scope.spawn(dies).join().unwrap_err();
    });
    put(&mut shards.lock_any(), 4);
    assert_eq!(sequences(&shards), [3, 4]);
}
