//! What becomes of senders and of their transports when their batches have their fate.

use super::*;

/// Batches go to senders by hand, without a worker.
pub(super) fn in_flight(limit: usize) -> (Arc<Server>, Arc<Ledger>, InFlight<ToServer>) {
    let server = Arc::<Server>::default();
    let limits = Load { events: 10, bytes: 1000 };
    let ledger = Arc::new(Ledger::new(Admission::new(limits, limits)));
    let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
    let delivery = Delivery::new(Arc::clone(&ledger), ToServer::new(&server), envelope, retries(0), LIMIT);
    let log = OutageLog::new("host".to_owned());
    (server, Arc::clone(&ledger), InFlight::new(ledger, delivery, log, limit))
}

pub(super) fn batch(ledger: &Ledger) -> Batch {
    ledger.admit(1, Lane::Ordinary).unwrap();
    let event = br#"{"event":"SESSION_START","event_id":"00000000-0000-0000-0000-000000000000",
        "event_session_index":0,"severity":"INFO","timestamp":"2026-01-01T00:00:00.000000Z"}"#;
    Batcher::new(1, 100).push(event, 1).unwrap()
}

#[test]
fn senders_are_gone_when_they_have_ended_and_their_transport_is_used_again() {
    let (server, ledger, mut in_flight) = in_flight(2);
    for _ in 0..2 {
        assert!(in_flight.hand_over(batch(&ledger)).is_ok());
        server.answer_first(OK);
        while in_flight.is_busy() {
            in_flight.wait();
        }
        in_flight.end_senders();
        assert!(in_flight.senders.is_none());
        assert_eq!(in_flight.idle.len(), 1);
    }
    assert_eq!(server.with(|state| state.transports), 2, "the worker's and one more");
    assert_eq!(ledger.stats().delivered, 2);
}

#[test]
fn senders_of_kept_batches_stay_until_their_last_report_and_no_longer() {
    let (server, ledger, mut in_flight) = in_flight(2);
    assert!(in_flight.hand_over(batch(&ledger)).is_ok());
    server.wait_for_held(1);
    in_flight.abandoned.extend(in_flight.senders.take());
    in_flight.do_what_is_left();
    assert_eq!(in_flight.abandoned.len(), 1, "it waits for an answer");
    server.answer_first(OK);
    let began = Instant::now();
    while !in_flight.abandoned.is_empty() {
        assert!(began.elapsed() < LIMIT, "the sender has no batch any more");
        in_flight.do_what_is_left();
        thread::yield_now();
    }
    assert_eq!((in_flight.idle.len(), ledger.stats().delivered), (1, 1));
}

#[test]
fn no_more_transports_are_kept_than_may_send_at_the_same_time() {
    let (server, _, mut in_flight) = in_flight(2);
    for _ in 0..3 {
        let delivery = in_flight.own.another().unwrap();
        assert!(in_flight.note(Report::Done { delivery, too_large: None }).is_some());
    }
    assert_eq!((in_flight.idle.len(), server.with(|state| state.transports)), (2, 4));
}
