use uuid::Uuid;

use super::*;
use crate::model::config::Protocol;
use crate::model::stats::Stats;
use crate::queue::admission::{Admission, Lane, Load};
use crate::transport::retry::{AnswerTable, Response};
use crate::wire::batch::Batcher;
use crate::wire::envelope::Request;
use crate::worker::delivery::outstanding::Due;

#[test]
fn fractions_are_spread_from_0_to_1() {
    let fractions: Vec<_> = std::iter::repeat_with(random_fraction).take(1_000).collect();
    assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
    // Fails by chance once in 10^45 runs.
    let has = |range: std::ops::Range<f64>| fractions.iter().any(|fraction| range.contains(fraction));
    assert!(has(0.0..0.1) && has(0.9..1.0));
}

#[test]
fn an_attempt_that_the_systems_timers_prolong_is_no_pause() {
    let limit = Duration::from_secs(5);
    let is_pause = |took| is_of_a_pause(&Verdict::NoAnswer("timed out".to_owned()), took, limit);
    assert!(!is_pause(limit + limit / 8 + PAUSE));
    assert!(is_pause(limit + limit / 4));
    assert!(!is_of_a_pause(&Verdict::Response(Response::default()), 2 * limit, limit));
}

/// A batch of one event, which the ledger has admitted.
fn one_event() -> (Arc<Ledger>, Batch) {
    let limits = Load { events: 1, bytes: 10 };
    let ledger = Arc::new(Ledger::new(Admission::new(limits, limits)));
    ledger.admit(1, Lane::Ordinary).unwrap();
    (ledger, Batcher::new(1, usize::MAX).push(b"1", 1).unwrap())
}

/// Claims a batch of one event for its sender. If `is_kept`, the worker has kept it since. Returns what `decide` makes of it, and
/// the counts.
fn claimed<T>(is_kept: bool, decide: impl FnOnce(ClaimedBatch<'_>) -> T) -> (T, Stats) {
    let (ledger, batch) = one_event();
    let outstanding = Outstanding::default();
    let id = outstanding.add(batch.clone(), false);
    let claimed = ClaimedBatch::new(batch, &ledger, Some((&outstanding, id)));
    if is_kept {
        let (id, kept) = outstanding.take_over(Due::All).remove(0);
        ledger.claim(kept.load()).settle(Fate::Spooled);
        outstanding.put_back(id, kept);
    }
    let decided = decide(claimed);
    let stats = ledger.stats();
    assert!(!outstanding.has_any_without_fate());
    assert_eq!((stats.spooled, stats.pending), (u64::from(is_kept), 0));
    (decided, stats)
}

/// Has no answer, as after a pause of the process: much later than the attempt's limit. Counts the attempts, of which it
/// answers the last.
struct Paused {
    attempts: u32,
    last: u32,
}

impl Transport for Paused {
    fn post(&mut self, _: &Request, _: u32, limit: Duration) -> Verdict {
        self.attempts += 1;
        if self.attempts == self.last {
            return Verdict::Response(Response { status: 200, ..Response::default() });
        }
        let (_open, nothing) = std::sync::mpsc::channel::<()>();
        assert!(nothing.recv_timeout(limit + limit / TIMER_SLACK + 2 * PAUSE).is_err());
        Verdict::NoAnswer("timed out".to_owned())
    }

    fn another(&self) -> Option<Self> {
        None
    }
}

#[test]
fn so_many_attempts_may_be_left_out_of_the_count_and_no_more() {
    let (ledger, batch) = one_event();
    let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
    let policy = RetryPolicy { max_retries: 0, base_delay: Duration::ZERO, table: AnswerTable::default() };
    let transport = Paused { attempts: 0, last: 2 * MAX_PAUSES };
    let mut delivery =
        Delivery::new(Arc::clone(&ledger), transport, envelope, policy, Duration::from_millis(1));
    delivery.deliver(batch, None, &mut |_| ());
    assert_eq!(delivery.transport.attempts, MAX_PAUSES + 1);
    assert_eq!(ledger.stats().dropped.retries_exhausted, 1);
}

/// Answers a status if one of these events is in the request, else 200. Counts the requests.
struct Picky {
    disliked: Vec<u64>,
    status: u16,
    requests: u64,
}

impl Transport for Picky {
    fn post(&mut self, request: &Request, _: u32, _: Duration) -> Verdict {
        self.requests += 1;
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let mut events = body["events"].as_array().unwrap().iter();
        let is_disliked = events.any(|event| self.disliked.contains(&event.as_u64().unwrap()));
        let status = if is_disliked { self.status } else { 200 };
        Verdict::Response(Response { status, ..Response::default() })
    }

    fn another(&self) -> Option<Self> {
        None
    }
}

/// Delivers one batch of `events`, and gives the counts and the number of requests.
fn deliver(events: u64, disliked: impl IntoIterator<Item = u64>, status: u16) -> (Stats, u64) {
    const WEIGHT: u64 = 10;
    let limits = Load { events: 1_000, bytes: 1_000_000 };
    let ledger = Arc::new(Ledger::new(Admission::new(limits, limits)));
    let mut batcher = Batcher::new(usize::MAX, usize::MAX);
    for event in 0..events {
        ledger.admit(WEIGHT, Lane::Ordinary).unwrap();
        assert!(batcher.push(event.to_string().as_bytes(), WEIGHT).is_none());
    }
    let transport = Picky { disliked: disliked.into_iter().collect(), status, requests: 0 };
    let envelope = Envelope::new(&Protocol::default(), "session", Uuid::nil());
    let policy = RetryPolicy { max_retries: 3, base_delay: Duration::ZERO, table: AnswerTable::default() };
    let mut delivery =
        Delivery::new(Arc::clone(&ledger), transport, envelope, policy, Duration::from_secs(1));
    assert_eq!(delivery.deliver(batcher.take().unwrap(), None, &mut |_| {}), None);
    (ledger.stats(), delivery.transport.requests)
}

#[test]
fn one_event_that_the_server_dislikes_costs_itself_alone() {
    for status in [400, 422] {
        for disliked in 0..100 {
            let (stats, requests) = deliver(100, [disliked], status);
            assert_eq!((stats.delivered, stats.dropped.rejected, stats.pending), (99, 1, 0), "{disliked}");
            assert!(requests <= 15, "{requests} requests");
        }
    }
}

#[test]
fn two_neighbours_that_the_server_dislikes_cost_no_more_than_their_half() {
    let (stats, requests) = deliver(100, [40, 41], 400);
    assert_eq!((stats.delivered + stats.dropped.rejected, stats.pending), (100, 0));
    assert!(stats.delivered >= 97 && requests <= 15, "{stats} in {requests} requests");
}

#[test]
fn a_program_whose_requests_are_all_wrong_costs_three_requests_a_batch() {
    let (stats, requests) = deliver(100, 0..100, 422);
    assert_eq!((stats.delivered, stats.dropped.rejected, requests), (0, 100, 3));
    let (stats, requests) = deliver(1, 0..1, 400);
    assert_eq!((stats.dropped.rejected, requests), (1, 1));
}

#[test]
fn other_statuses_that_reject_isolate_nothing() {
    let (stats, requests) = deliver(100, [7], 404);
    assert_eq!((stats.dropped.rejected, requests), (100, 1));
}

#[test]
fn a_batch_that_is_delivered_is_not_reported_as_dropped() {
    let (ledger, batch) = one_event();
    let mut reports = Vec::new();
    end(ClaimedBatch::new(batch, &ledger, None), Fate::Delivered, &mut |progress| reports.push(progress));
    assert!(reports.is_empty(), "{reports:?}");
    assert_eq!(ledger.stats().delivered, 1);
}

#[test]
fn a_panic_costs_a_batch_unless_the_worker_has_kept_it() {
    let lost_if = |is_kept| claimed(is_kept, |claimed| drop(claimed)).1.dropped.internal;
    assert_eq!((lost_if(true), lost_if(false)), (0, 1));
}

#[test]
fn what_the_worker_has_kept_is_not_reported_as_dropped_when_the_server_refuses_it_late() {
    let dropped_if = |is_kept| {
        let mut reported = 0;
        let refuse = |claimed: ClaimedBatch<'_>| {
            give_up(claimed, DropReason::Rejected, 400, &mut |progress| {
                if let Progress::EventsDropped(events) = progress {
                    reported += events;
                }
            });
        };
        let ((), stats) = claimed(is_kept, refuse);
        (reported, stats.dropped.total())
    };
    assert_eq!(dropped_if(true), (0, 0));
    assert_eq!(dropped_if(false), (1, 1));
}
