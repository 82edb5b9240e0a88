//! Both ends of the queue together.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::model::event::Severity;
use crate::payload::record::{EventHeader, QueuedEvent, Record, unpack};
use crate::queue::admission::{Admission, Lane, Load};

const LIMIT: Duration = Duration::from_secs(30);

/// An event named by its number.
fn record(nth: usize) -> Record {
    record_with(nth, "")
}

fn record_with(nth: usize, text: &str) -> Record {
    Record::generic(EventHeader::now(0, Severity::Info), &nth.to_string(), &text, 2_000).unwrap()
}

fn queue_of(events: usize, threshold: u64) -> (Arc<Ledger>, Producer, Consumer) {
    let limits = Load { events: events as u64, bytes: 1_000_000_000 };
    let ledger = Arc::new(Ledger::new(Admission::new(limits, Load { events: threshold, ..limits })));
    let (producer, consumer) = queue(Arc::clone(&ledger), events);
    (ledger, producer, consumer)
}

/// The number of the next event.
fn next(consumer: &mut Consumer) -> Option<usize> {
    let QueuedEvent::Generic(packed) = consumer.next()? else { panic!("generic events only") };
    let (_, name, _) = unpack(packed).unwrap();
    Some(name.parse().unwrap())
}

fn wait_until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "it did not happen in time");
        thread::yield_now();
    }
}

#[test]
fn the_channel_holds_every_event_that_the_limits_allow_and_has_no_slots_for_more() {
    let longest_inline = "x".repeat(950);
    for (max, text) in [1, 10, 1_000].into_iter().flat_map(|max| [(max, ""), (max, &longest_inline)]) {
        let (ledger, producer, mut consumer) = queue_of(max, 1_000);
        let is_accepted = |nth, lane| producer.offer(record_with(nth, text), lane).is_ok();
        let accepted = [Lane::Ordinary, Lane::Fatal, Lane::Session]
            .map(|lane| (0..2_000).take_while(|nth| is_accepted(*nth, lane)).count());
        assert_eq!(accepted, [max, 512, 2]);
        assert_eq!(consumer.chunks.capacity(), Some((max + 512 + 2) / 15), "slots");
        assert_eq!(ledger.stats().accepted, max as u64 + 512 + 2);
        let in_a_chunk = if text.is_empty() { 100 } else { 17 };
        assert_eq!(consumer.chunks.len(), (max + 512 + 2) / in_a_chunk);
        let out = std::iter::from_fn(|| next(&mut consumer)).count();
        assert_eq!(out, max + 512 + 2);
    }
}

#[test]
fn no_event_is_collected_before_the_first_is_taken_nor_after_the_last() {
    let (_, producer, mut consumer) = queue_of(10, 10);
    (0..2).for_each(|nth| producer.offer(record(nth), Lane::Ordinary).unwrap());
    assert!(consumer.is_empty());
    assert_eq!((next(&mut consumer), consumer.is_empty()), (Some(0), false));
    assert_eq!((next(&mut consumer), consumer.is_empty()), (Some(1), true));
}

#[test]
fn the_event_that_reaches_the_threshold_wakes_the_worker_and_two_signals_are_one() {
    let (_, producer, consumer) = queue_of(10, 2);
    let woken = [0, 1, 2].map(|nth| {
        producer.offer(record(nth), Lane::Ordinary).unwrap();
        consumer.wakeup.try_recv().is_ok()
    });
    assert_eq!(woken, [false, true, false]);
    producer.wake();
    producer.wake();
    assert_eq!(consumer.wakeup.try_iter().count(), 1, "the first signal has not been received yet");
}

#[test]
fn events_of_threads_that_take_turns_come_out_in_the_order_of_the_calls() {
    const EVENTS: usize = 1_000;
    let (_, producer, consumer) = queue_of(10_000, 100_000);
    let mut consumer = consumer.with_caller_limit(LIMIT);
    let turn = AtomicUsize::new(0);
    let log_in_turn = |thread| {
        for nth in (thread..EVENTS).step_by(4) {
            wait_until(|| turn.load(Ordering::Acquire) == nth);
            producer.offer(record(nth), Lane::Ordinary).unwrap();
            turn.store(nth + 1, Ordering::Release);
        }
    };
    thread::scope(|scope| {
        (0..4).for_each(|thread| _ = scope.spawn(move || log_in_turn(thread)));
        for nth in 0..EVENTS {
            wait_until(|| turn.load(Ordering::Acquire) > nth);
            assert_eq!(next(&mut consumer), Some(nth), "its call has returned, so it is there");
        }
    });
    assert_eq!(next(&mut consumer), None);
}

#[test]
fn events_of_threads_that_log_at_once_come_out_once_each_and_in_the_order_of_their_thread() {
    const THREADS: usize = 24;
    const EVENTS: usize = 1_000;
    let (ledger, producer, consumer) = queue_of(100_000, 100_000);
    let mut consumer = consumer.with_caller_limit(LIMIT);
    let mut next_of = [0; THREADS];
    let mut taken = 0;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let producer = &producer;
            scope.spawn(move || {
                for nth in 0..EVENTS {
                    producer.offer(record(thread * EVENTS + nth), Lane::Ordinary).unwrap();
                }
            });
        }
        let started = Instant::now();
        while taken < THREADS * EVENTS {
            assert!(started.elapsed() < LIMIT, "{taken} came out");
            let admitted = ledger.admitted();
            while consumer.has_below(admitted) {
                let event = next(&mut consumer).expect("an admitted event is there");
                let (thread, nth) = (event / EVENTS, event % EVENTS);
                assert_eq!(nth, mem::replace(&mut next_of[thread], nth + 1));
                taken += 1;
            }
            thread::yield_now();
        }
    });
    assert_eq!(next(&mut consumer), None);
}

/// The numbers of all events that come out.
fn out(consumer: &mut Consumer) -> Vec<usize> {
    std::iter::from_fn(|| next(consumer)).collect()
}

#[test]
fn events_of_callers_that_were_held_up_come_out_as_soon_as_they_are_there() {
    let (ledger, producer, mut consumer) = queue_of(1_000, 1_000);
    let log = |nth| producer.offer(record(nth), Lane::Ordinary).unwrap();
    log(0);
    let first = producer.offer_half(record(1));
    log(2);
    let second = producer.offer_half(record(3));
    log(4);
    assert_eq!(out(&mut consumer), [4], "the others are in shards that are held up");
    assert!(consumer.next_look().is_some() && !consumer.is_through(ledger.admitted()));
    log(5);
    second();
    assert_eq!(out(&mut consumer), [2, 3, 5]);
    assert!(!consumer.is_through(ledger.admitted()), "the first event's call has returned");
    first();
    log(6);
    assert_eq!(out(&mut consumer), [0, 1, 6]);
    assert!(consumer.is_through(ledger.admitted()) && consumer.next_look().is_none());
}

#[test]
fn an_event_whose_call_has_not_returned_is_not_waited_for() {
    let (ledger, producer, mut consumer) = queue_of(1_000, 1_000);
    let release = producer.offer_half(record(0));
    let end = ledger.admitted();
    assert!(!consumer.is_through(end) || consumer.has_below(end));
    assert_eq!(out(&mut consumer), [0; 0]);
    assert!(consumer.is_through(end));
    release();
    assert!(consumer.has_below(end));
    assert_eq!(out(&mut consumer), [0]);
    assert!(consumer.is_through(end) && !consumer.has_below(end));
}

#[test]
fn a_full_chunk_of_a_caller_that_was_held_up_is_found_in_the_channel() {
    let (ledger, producer, mut consumer) = queue_of(1_000, 1_000);
    (0..99).for_each(|nth| producer.offer(record(nth), Lane::Ordinary).unwrap());
    let release = producer.offer_half(record(99));
    producer.offer(record(100), Lane::Ordinary).unwrap();
    assert_eq!(out(&mut consumer), [100]);
    release();
    producer.offer(record(101), Lane::Ordinary).unwrap();
    assert!(consumer.has_below(ledger.admitted()));
    assert_eq!(out(&mut consumer), (0..100).chain([101]).collect::<Vec<_>>());
    assert!(consumer.is_through(ledger.admitted()));
}

#[test]
fn after_the_close_a_queue_that_was_not_emptied_is_not_through() {
    let (ledger, producer, mut consumer) = queue_of(1_000, 1_000);
    let _held_up = producer.offer_half(record(0));
    producer.offer(record(1), Lane::Ordinary).unwrap();
    ledger.close(Instant::now() + LIMIT);
    assert_eq!(out(&mut consumer), [1]);
    assert!(!consumer.is_through(ledger.admitted()));
}
