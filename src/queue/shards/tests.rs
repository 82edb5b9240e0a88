use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::model::event::Severity;
use crate::payload::record::{Head, Record};

const LIMIT: Duration = Duration::from_secs(30);

fn put(run: &mut Run, ticket: u64) {
    run.put(ticket, Record::generic(Head::now(0, Severity::Info), "step", &(), 100).unwrap());
}

fn tickets(shards: &Shards) -> Vec<u64> {
    let mut tickets = Vec::new();
    for mut run in shards.take(|_| false) {
        while let Some(ticket) = run.ticket() {
            tickets.push(ticket);
            run.take();
        }
    }
    tickets.sort_unstable();
    tickets
}

#[test]
fn a_thread_whose_shard_is_in_use_takes_another_and_what_is_in_all_is_taken_once() {
    let shards = Shards::default();
    let mut in_use: Vec<_> = (0..SHARDS).map(|_| shards.run()).collect();
    for (ticket, run) in (0..).zip(&mut in_use) {
        put(run, ticket);
    }
    drop(in_use);
    put(&mut shards.run(), 16);
    assert_eq!(tickets(&shards), (0..17).collect::<Vec<_>>());
    assert!(tickets(&shards).is_empty());
}

#[test]
fn a_thread_puts_its_events_where_it_put_the_last() {
    let shards = Shards::default();
    (0..10).for_each(|ticket| put(&mut shards.run(), ticket));
    assert_eq!(shards.take(|_| false).filter(|run| run.ticket().is_some()).count(), 1);
}

#[test]
fn a_thread_that_found_its_shard_in_use_stays_where_it_found_room() {
    let shards = Shards::default();
    let in_use = shards.run();
    put(&mut shards.run(), 0);
    drop(in_use);
    put(&mut shards.run(), 1);
    let both = shards.take(|_| false).filter(|run| run.len() == 2).count();
    assert_eq!(both, 1);
}

#[test]
fn a_run_that_a_caller_is_in_is_waited_for_as_long_as_it_is_worth_it_and_then_left() {
    let shards = Shards::default();
    put(&mut shards.run(), 0);
    let in_use = shards.run();
    put(&mut shards.run(), 1);
    let asked = Cell::new(0);
    let worth_it = |tries| {
        asked.set(tries);
        tries < 3
    };
    let taken: Vec<_> = shards.take(worth_it).filter_map(|run| run.ticket()).collect();
    assert_eq!((taken, asked.get()), (vec![1], 3));
    drop(in_use);
    assert_eq!(tickets(&shards), [0]);
}

#[test]
fn where_all_are_in_use_a_thread_gets_the_first_that_is_free() {
    let shards = Shards::default();
    let (got, has_got) = mpsc::channel();
    thread::scope(|scope| {
        let shards = &shards;
        // In here, so that they are free again before a test that fails waits for the thread.
        let mut in_use: Vec<_> = (0..SHARDS).map(|_| (shards.run(), HOME.get())).collect();
        scope.spawn(move || {
            got.send(None).unwrap();
            drop(shards.run());
            got.send(Some(HOME.get())).unwrap();
        });
        assert_eq!(has_got.recv_timeout(LIMIT), Ok(None), "it is about to look for one");
        let (run, free) = in_use.swap_remove(SHARDS / 2);
        drop(run);
        assert_eq!(has_got.recv_timeout(LIMIT), Ok(Some(free)));
    });
}

#[test]
fn a_shard_that_a_thread_died_with_is_as_good_as_any() {
    let shards = Shards::default();
    thread::scope(|scope| {
        let dies = || {
            let mut all: Vec<_> = (0..SHARDS).map(|_| shards.run()).collect();
            put(&mut all[0], 3);
            panic!("with all shards, as the test wants it");
        };
        scope.spawn(dies).join().unwrap_err();
    });
    put(&mut shards.run(), 4);
    assert_eq!(tickets(&shards), [3, 4]);
}
