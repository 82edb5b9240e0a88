//! What the worker keeps of the batches that senders have, without a worker.

use std::fs;

use tempfile::TempDir;

use super::senders::{batch, in_flight};
use super::*;
use crate::spool::replay::Seen;
use crate::spool::replay::replays::Replays;
use crate::spool::settings::Spool;
use crate::spool::store::Store;

/// With a spool that cannot be used.
fn with_broken_spool() -> (TempDir, Arc<Server>, Arc<Ledger>, InFlight<ToServer>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let store = Store::new(Spool::at(file.join("spool")), "https://host".to_owned(), b"key");
    let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
    let keeper = Keeper::new(store, &envelope, false, Replays::new(|| Ok(Seen::default())));
    let (server, ledger, in_flight) = in_flight(2);
    (folder, server, ledger, in_flight.with_keeper(Some(keeper), None))
}

fn wait_until_idle(in_flight: &mut InFlight<ToServer>) {
    let began = Instant::now();
    while in_flight.is_busy() {
        assert!(began.elapsed() < LIMIT, "a sender has not ended");
        in_flight.wait();
        thread::yield_now();
    }
    in_flight.end_senders();
}

#[test]
fn what_could_not_be_kept_is_not_tried_again_at_each_look() {
    let (_folder, server, ledger, mut in_flight) = with_broken_spool();
    assert!(in_flight.hand_over(batch(&ledger)).is_ok());
    server.wait_for_held(1);
    assert!(in_flight.waits_since().is_some());
    in_flight.keep_unanswered(Instant::now());
    assert_eq!(in_flight.waits_since(), None, "the worker would not sleep");
    server.answer_first(OK);
    wait_until_idle(&mut in_flight);
    assert_eq!(ledger.stats().delivered, 1);
}

#[test]
fn what_a_sender_gives_up_and_the_disk_does_not_take_is_dropped_for_the_senders_reason() {
    let (_folder, server, ledger, mut in_flight) = with_broken_spool();
    assert!(in_flight.hand_over(batch(&ledger)).is_ok());
    server.answer_first(Reply::NoAnswer);
    wait_until_idle(&mut in_flight);
    let stats = ledger.stats();
    assert_eq!((stats.dropped.retries_exhausted, stats.dropped.total(), stats.pending), (1, 1, 0), "{stats}");
}
