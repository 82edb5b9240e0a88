use super::*;
use crate::wire::batch::Batcher;

fn batch(events: usize) -> Batch {
    let mut batcher = Batcher::new(usize::MAX, usize::MAX);
    for _ in 0..events {
        assert!(batcher.push(b"{}", 1).is_none());
    }
    batcher.take().unwrap()
}

fn batch_with_key(events: usize, key: &str) -> Batch {
    let mut batch = batch(events);
    batch.set_key(Some(key.to_owned()));
    batch
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn the_first_to_decide_about_a_batch_is_the_only_one() {
    let outstanding = Outstanding::default();
    let (by_sender, by_worker) = (outstanding.add(batch(2), false), outstanding.add(batch(2), false));
    assert!(outstanding.settle(by_sender, Fate::Delivered));
    let taken = outstanding.take_over(Due::All);
    assert_eq!(taken.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [by_worker]);
    for (id, batch) in taken {
        outstanding.put_back(id, batch);
    }
    assert!(!outstanding.attempt_begins(by_worker, "key"), "no attempt after the keep");
    assert!(outstanding.split(by_worker).is_none(), "nor of its halves");
    assert!(!outstanding.settle(by_worker, Fate::Dropped(DropReason::Rejected)));
    assert!(outstanding.take_notes().is_empty());
}

#[test]
fn an_entry_knows_its_key_and_whether_the_file_does() {
    let outstanding = Outstanding::default();
    let written = outstanding.add(batch_with_key(1, "written"), true);
    let unwritten = outstanding.add(batch_with_key(2, "unwritten"), false);
    let without_key = outstanding.add(batch(3), true);
    let no_sender = outstanding.add(batch(4), true);
    outstanding.remove(no_sender);
    assert!(!outstanding.is_on_its_way(no_sender));
    for id in [written, unwritten, without_key] {
        assert!(outstanding.settle(id, Fate::Delivered));
    }
    let notes = outstanding.take_notes();
    let known = notes.iter().map(|note| match note {
        Note::Over(entry) => (entry.batch.len(), entry.batch.key(), entry.is_key_written),
        Note::DeliveredAfterAll(..) => panic!("it was not kept"),
    });
    assert_eq!(known.collect::<Vec<_>>(), [(1, Some("written"), true), (3, None, false)]);
}

#[test]
fn a_batch_that_the_worker_has_kept_cannot_be_given_up() {
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch(3), false);
    let (_, taken) = outstanding.take_over(Due::All).remove(0);
    outstanding.put_back(id, taken);
    assert!(!outstanding.offer(id, Instant::now(), || ()), "nor offered");
    outstanding.give_up(id, DropReason::RetriesExhausted);
    assert!(outstanding.take_given_up().is_empty());
}

#[test]
fn what_was_kept_and_then_delivered_is_noted_with_the_key_and_the_batch() {
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch(3), false);
    assert!(outstanding.attempt_begins(id, "key"));
    let (taken, batch) = outstanding.take_over(Due::UnansweredSince(Instant::now())).remove(0);
    assert_eq!((taken, batch.key()), (id, Some("key")));
    outstanding.put_back(taken, batch);
    assert!(outstanding.has_any_kept(), "its sender waits for an answer");
    assert!(!outstanding.settle(id, Fate::Delivered));
    assert!(outstanding.has_any_kept(), "the file does not know the answer");
    let [Note::DeliveredAfterAll(entry, Fate::Delivered)] = &outstanding.take_notes()[..] else {
        panic!("no such note")
    };
    assert_eq!((entry.batch.len(), entry.batch.key()), (3, Some("key")));
    assert!(!outstanding.has_any_kept());
}

#[test]
fn a_batch_that_could_not_be_kept_is_its_senders_again_unless_the_time_is_over() {
    let outstanding = Outstanding::default();
    let take = |id| {
        assert!(outstanding.attempt_begins(id, "key"));
        let (taken, batch) = outstanding.take_over(Due::UnansweredSince(Instant::now())).remove(0);
        assert_eq!(taken, id);
        batch
    };
    let id = outstanding.add(batch(3), false);
    let taken = take(id);
    assert_eq!(outstanding.keep_failed(id, taken, false), Decision::Sender);
    assert!(outstanding.settle(id, Fate::Delivered));

    let id = outstanding.add(batch(3), false);
    let taken = take(id);
    assert_eq!(outstanding.keep_failed(id, taken, true), Decision::Worker);
    assert!(!outstanding.settle(id, Fate::Delivered));
    assert!(outstanding.take_notes().is_empty());
}

#[test]
fn a_batch_that_is_delivered_while_it_cannot_be_kept_counts_as_delivered() {
    for is_written in [false, true] {
        let outstanding = Outstanding::default();
        let id = outstanding.add(batch(3), is_written);
        assert!(outstanding.attempt_begins(id, "key"));
        let (_, taken) = outstanding.take_over(Due::All).remove(0);
        assert!(!outstanding.settle(id, Fate::Delivered));
        assert_eq!(outstanding.keep_failed(id, taken, true), Decision::Fate(Fate::Delivered));
        // Of its events, those that the file has are not to be sent again.
        let notes = outstanding.take_notes();
        assert_eq!(matches!(&notes[..], [Note::Over(entry)] if entry.batch.len() == 3), is_written);
    }
}

#[test]
fn what_the_server_answers_while_a_batch_cannot_be_kept_is_its_fate() {
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch(3), false);
    let (_, taken) = outstanding.take_over(Due::All).remove(0);
    let rejected = Fate::Dropped(DropReason::Rejected);
    assert!(!outstanding.settle(id, rejected));
    assert_eq!(outstanding.keep_failed(id, taken, true), Decision::Fate(rejected));
    assert!(outstanding.take_notes().is_empty());
}

#[test]
fn a_sender_goes_on_with_what_it_offered_if_the_worker_cannot_keep_it() {
    for is_kept in [true, false] {
        let outstanding = Outstanding::default();
        let id = outstanding.add(batch(3), false);
        let ask = || {
            let (taken, batch) = outstanding.take_over(Due::Offered).remove(0);
            assert_eq!(taken, id);
            if is_kept {
                outstanding.put_back(id, batch);
            } else {
                assert_eq!(outstanding.keep_failed(id, batch, false), Decision::Sender);
            }
        };
        assert_eq!(outstanding.offer(id, far(), ask), !is_kept);
        assert_eq!(outstanding.attempt_begins(id, "key"), !is_kept);
    }
}

#[test]
fn an_offer_that_the_worker_has_no_time_for_is_over_at_its_time() {
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch(3), false);
    assert!(outstanding.take_over(Due::Offered).is_empty());
    assert!(outstanding.offer(id, Instant::now(), || ()));
    assert!(outstanding.take_over(Due::Offered).is_empty());
    assert!(outstanding.is_on_its_way(id));
}

#[test]
fn what_was_offered_is_kept_at_the_end() {
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch(3), false);
    let ask = || {
        assert!(outstanding.has_any_without_fate());
        let (taken, batch) = outstanding.take_over(Due::All).remove(0);
        assert_eq!(outstanding.keep_failed(taken, batch, true), Decision::Worker);
    };
    assert!(!outstanding.offer(id, far(), ask));
}

#[test]
fn while_a_batch_is_written_its_sender_neither_sends_nor_splits_it() {
    let outstanding = &Outstanding::default();
    let sender = |decide: fn(&Outstanding, EntryId) -> bool| {
        let id = outstanding.add(batch(2), false);
        let (_, taken) = outstanding.take_over(Due::All).remove(0);
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || decide(outstanding, id));
            std::thread::yield_now();
            assert_eq!(outstanding.keep_failed(id, taken, false), Decision::Sender);
            sender.join().unwrap()
        })
    };
    assert!(sender(|outstanding, id| outstanding.attempt_begins(id, "key")));
    assert!(sender(|outstanding, id| outstanding.split(id).is_some()));
    assert!(sender(|outstanding, id| outstanding.offer(id, Instant::now(), || ())));
}

#[test]
fn only_an_attempt_on_the_wire_waits_for_an_answer() {
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch(1), false);
    assert_eq!(outstanding.waits_since(), None);
    assert!(outstanding.attempt_begins(id, "key"));
    assert!(outstanding.waits_since().is_some());
    outstanding.attempt_ends(id);
    assert!(outstanding.take_over(Due::UnansweredSince(Instant::now())).is_empty());
}

#[test]
fn a_half_that_waits_behind_an_attempt_without_an_answer_is_kept_with_it() {
    let outstanding = Outstanding::default();
    let whole = outstanding.add(batch(4), false);
    let [first, _second] = outstanding.split(whole).unwrap();
    assert!(outstanding.attempt_begins(first, "key"));
    assert_eq!(outstanding.take_over(Due::UnansweredSince(Instant::now())).len(), 2);
}

#[test]
fn halves_that_are_given_up_are_the_workers_and_know_whether_they_are_written() {
    let outstanding = Outstanding::default();
    let whole = outstanding.add(batch_with_key(4, "key"), true);
    let [first, second] = outstanding.split(whole).unwrap();
    assert!(outstanding.settle(first, Fate::Delivered));
    outstanding.give_up(second, DropReason::RetriesExhausted);
    let [Note::Over(over)] = &outstanding.take_notes()[..] else { panic!("no such note") };
    assert_eq!((over.batch.len(), over.is_written, over.is_key_written), (2, true, false));
    assert!(outstanding.take_over(Due::All).is_empty(), "the sender has decided");
    assert!(outstanding.has_any_without_fate(), "but the worker has not kept it yet");
    let (given_up, reason) = outstanding.take_given_up().remove(0);
    assert_eq!((given_up.batch.len(), reason), (2, DropReason::RetriesExhausted));
    assert!(!outstanding.has_any_without_fate());
}
