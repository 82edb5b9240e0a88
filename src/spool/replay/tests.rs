//! One file at a time and one attempt a batch: what is sent together, what is counted, and what is in the file afterwards.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::model::stats::Replayed;
use crate::queue::admission::{Admission, Load};
use crate::spool::keeper::Keeper;
use crate::spool::replay::replays::Replays;
use crate::spool::settings::Spool;
use crate::transport::retry::Response;
use crate::wire::envelope::Request;

const NO_LIMITS: BatchLimits = BatchLimits { events: usize::MAX, bytes: usize::MAX };

/// A server that answers as the test says, and after that always 200.
#[derive(Default)]
struct Server {
    answers: VecDeque<Verdict>,
    requests: Vec<Sent>,
}

/// What arrived: the key, the number of the retry and the events.
type Sent = (String, u32, Vec<serde_json::Value>);

struct ToServer(Arc<Mutex<Server>>);

impl Transport for ToServer {
    fn post(&mut self, request: &Request, retry: u32, _: Duration) -> Verdict {
        let mut body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let serde_json::Value::Array(events) = body["events"].take() else { panic!("no events") };
        let mut server = self.0.lock().unwrap();
        server.requests.push((request.idempotency_key.clone(), retry, events));
        server.answers.pop_front().unwrap_or_else(|| status(200))
    }

    fn another(&self) -> Option<Self> {
        None
    }
}

fn status(status: u16) -> Verdict {
    Verdict::Response(Response { status, ..Response::default() })
}

/// A folder, a server, and the counts of all replays.
struct Scene {
    outer: TempDir,
    server: Arc<Mutex<Server>>,
    ledger: Arc<Ledger>,
}

impl Scene {
    fn new() -> Self {
        let limits = Load { events: 1000, bytes: 1_000_000 };
        let ledger = Arc::new(Ledger::new(Admission::new(limits, limits)));
        Self { outer: tempfile::tempdir().unwrap(), server: Arc::default(), ledger }
    }

    fn store(&self) -> Store {
        Store::new(Spool::at(self.outer.path().join("spool")), "https://host".to_owned(), b"key")
    }

    /// A run that leaves these batches in one file, each with its key if it has one.
    fn leave(&self, batches: &[(Option<&str>, &[&str])]) {
        let envelope = Envelope::new(&Protocol::default(), "session", Uuid::nil());
        let mut keeper = Keeper::new(self.store(), &envelope, false, Replays::new(|| Ok(Seen::default())));
        for (key, events) in batches {
            let mut batch = Batch::of(events.iter().map(|event| event.as_bytes()));
            batch.set_key(key.map(str::to_owned));
            keeper.write(&mut batch).unwrap();
        }
    }

    fn answer(&self, answers: impl IntoIterator<Item = Verdict>) {
        self.server.lock().unwrap().answers.extend(answers);
    }

    fn replay(&self, limits: BatchLimits) -> Result<Seen, ReplayEnd> {
        let replay = Replay {
            store: self.store(),
            ledger: Arc::clone(&self.ledger),
            transport: ToServer(Arc::clone(&self.server)),
            http_timeout: Duration::from_secs(5),
            limits,
            protocol: Protocol::default(),
        };
        replay.run()
    }

    /// How many events were in each request.
    fn sizes(&self) -> Vec<usize> {
        self.server.lock().unwrap().requests.iter().map(|(_, _, events)| events.len()).collect()
    }

    /// What is counted; the reasons of drops by themselves.
    fn counts(&self) -> (u64, u64, u64) {
        let Replayed { taken, delivered, dropped, pending } = self.ledger.stats().replayed;
        assert_eq!((taken, pending), (delivered + dropped.total(), 0));
        (taken, delivered, dropped.total())
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.ledger.stats().replayed.dropped.by(reason)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries(self.outer.path().join("spool")).flat_map(entries).collect()
    }

    /// What the only file holds: how many tries failed, and the batches that are left.
    fn left(&self) -> (u32, Vec<(Option<String>, usize)>) {
        let bytes = fs::read(&self.files()[0]).unwrap();
        let contents = line::read(&bytes).unwrap();
        assert_eq!(contents.end, bytes.len() as Place, "a line that is not whole");
        let left = contents.left.into_iter().map(|left| (left.key, left.events.len()));
        (contents.tries, left.collect())
    }
}

#[test]
fn events_of_no_batch_are_sent_together_up_to_the_limits() {
    let five: &[&str] = &["\"12345678\""; 5]; // 10 bytes each, and a comma
    let limits = |events, bytes| BatchLimits { events, bytes };
    for (limits, expected) in [
        (NO_LIMITS, &[5][..]),
        (limits(2, usize::MAX), &[2, 2, 1]),
        (limits(5, 33), &[3, 2]),
        (limits(5, 32), &[2, 2, 1]),
        (limits(5, 11), &[1; 5]),
        (limits(5, 1), &[1; 5]), // each is larger than the limit
    ] {
        let scene = Scene::new();
        scene.leave(&[(None, five)]);
        scene.replay(limits).unwrap();
        assert_eq!(scene.sizes(), expected, "{limits:?}");
        assert_eq!((scene.counts(), scene.files().len()), ((5, 5, 0), 0));
    }
}

#[test]
fn a_batch_with_a_key_is_sent_as_it_was_whatever_the_limits_are() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1", "2", "3"]), (Some("second"), &["4"])]);
    scene.replay(BatchLimits { events: 1, bytes: 1 }).unwrap();
    let requests = std::mem::take(&mut scene.server.lock().unwrap().requests);
    let expected = [("first".to_owned(), 1, 3), ("second".to_owned(), 1, 1)];
    assert!(requests.into_iter().map(|(key, retry, events)| (key, retry, events.len())).eq(expected));
}

#[test]
fn each_try_of_a_batch_says_how_many_came_before_it() {
    let scene = Scene::new();
    scene.leave(&[(None, &["1", "2"])]);
    scene.answer([status(503), status(503)]);
    for _ in 0..3 {
        let _ = scene.replay(NO_LIMITS);
    }
    let requests = std::mem::take(&mut scene.server.lock().unwrap().requests);
    assert_eq!(requests.iter().map(|(_, retry, _)| *retry).collect::<Vec<_>>(), [0, 2, 3]);
    assert!(requests.iter().all(|(key, _, events)| (key, events.len()) == (&requests[0].0, 2)));
    assert_eq!(scene.counts(), (2, 2, 0));
}

#[test]
fn what_is_left_after_a_failure_is_in_the_file_and_is_not_counted() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1"]), (Some("second"), &["2", "3"]), (Some("third"), &["4"])]);
    scene.answer([status(200), status(503)]);
    assert!(matches!(scene.replay(NO_LIMITS), Err(ReplayEnd::Later)));
    assert_eq!(scene.sizes(), [1, 2]);
    assert_eq!(scene.counts(), (1, 1, 0));
    assert_eq!(scene.left(), (1, vec![(Some("second".to_owned()), 2), (Some("third".to_owned()), 1)]));
}

#[test]
fn without_an_answer_the_file_counts_no_try() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1"])]);
    scene.answer([Verdict::NoAnswer("timed out".to_owned())]);
    assert!(matches!(scene.replay(NO_LIMITS), Err(ReplayEnd::Later)));
    assert_eq!((scene.counts(), scene.left()), ((0, 0, 0), (0, vec![(Some("first".to_owned()), 1)])));
}

#[test]
fn a_refused_key_ends_the_replay_and_costs_nothing() {
    for refusal in [401, 403] {
        let scene = Scene::new();
        scene.leave(&[(Some("first"), &["1"])]);
        scene.answer([status(refusal)]);
        assert!(matches!(scene.replay(NO_LIMITS), Err(ReplayEnd::Unauthorized)));
        assert_eq!((scene.counts(), scene.left()), ((0, 0, 0), (0, vec![(Some("first".to_owned()), 1)])));
    }
}

#[test]
fn a_batch_that_will_never_be_accepted_is_dropped_and_the_next_one_is_sent() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1", "2"]), (Some("second"), &["3"])]);
    scene.answer([status(404)]);
    scene.replay(NO_LIMITS).unwrap();
    assert_eq!((scene.counts(), scene.dropped(DropReason::Rejected)), ((3, 1, 2), 2));
    assert_eq!((scene.sizes(), scene.files().len()), (vec![2, 1], 0));
}

#[cfg(feature = "otlp")] // no answer of Tinker's backend says so
#[test]
fn of_a_batch_that_was_accepted_in_part_both_parts_are_counted() {
    for (rejected, delivered, dropped) in [(1, 2, 1), (3, 0, 3), (9, 0, 3)] {
        let scene = Scene::new();
        scene.leave(&[(Some("first"), &["1", "2", "3"])]);
        scene.answer([Verdict::PartialSuccess { rejected, message: String::new() }]);
        scene.replay(NO_LIMITS).unwrap();
        assert_eq!((scene.counts(), scene.files().len()), ((3, delivered, dropped), 0));
    }
}

#[test]
fn of_a_rejected_batch_only_the_events_that_are_rejected_alone_are_lost() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1", "2", "3", "4"])]);
    // All, each half, and then, because a half has passed, each event of the other.
    scene.answer([400, 200, 400, 200, 400].map(status));
    scene.replay(NO_LIMITS).unwrap();
    assert_eq!(scene.sizes(), [4, 2, 2, 1, 1]);
    assert_eq!((scene.counts(), scene.dropped(DropReason::Rejected)), ((4, 3, 1), 1));
}

#[test]
fn a_batch_of_which_both_halves_are_rejected_is_not_cut_up_further() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1", "2", "3", "4"])]);
    scene.answer([400, 400, 400].map(status));
    scene.replay(NO_LIMITS).unwrap();
    assert_eq!(scene.sizes(), [4, 2, 2]);
    assert_eq!((scene.counts(), scene.dropped(DropReason::Rejected)), ((4, 0, 4), 4));
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_halves_to_the_last_event() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1", "2", "3"])]);
    scene.answer([413, 413, 413, 200, 200].map(status));
    scene.replay(NO_LIMITS).unwrap();
    assert_eq!(scene.sizes(), [3, 1, 2, 1, 1]);
    assert_eq!((scene.counts(), scene.dropped(DropReason::TooLarge)), ((3, 2, 1), 1));
}

#[test]
fn a_reporter_that_is_stopped_sends_no_more_of_the_file() {
    let scene = Scene::new();
    scene.leave(&[(Some("first"), &["1"])]);
    scene.ledger.close(std::time::Instant::now());
    assert!(matches!(scene.replay(NO_LIMITS), Err(ReplayEnd::Later)));
    assert_eq!((scene.counts(), scene.sizes()), ((0, 0, 0), vec![]));
}

#[test]
fn a_reporter_that_has_ended_locks_no_file() {
    let scene = Scene::new();
    scene.leave(&[(None, &["1"])]);
    fs::File::create(&scene.files()[0]).unwrap(); // it is empty now: a replay that locks it removes it
    scene.ledger.close(std::time::Instant::now());
    assert!(matches!(scene.replay(NO_LIMITS), Err(ReplayEnd::Later)));
    assert_eq!(scene.files().len(), 1);
}

#[test]
fn only_a_disk_that_is_full_does_not_end_the_replay_of_a_file() {
    let has_no_room = |kind: io::ErrorKind| has_no_room(&kind.into());
    assert!(has_no_room(io::ErrorKind::StorageFull) && has_no_room(io::ErrorKind::QuotaExceeded));
    assert!(!has_no_room(io::ErrorKind::PermissionDenied) && !has_no_room(io::ErrorKind::Other));
}
