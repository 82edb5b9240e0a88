//! Keeps the rules of what is written to the spool, and when.

use std::io;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Answer;
use tinker_telemetry::event::Event;
use tinker_telemetry::{DropReason, Durability, Reporter, Severity, Spool};

use crate::support::{KEY, LIMIT, NEVER, SESSION, assert_adds_up, checked_requests, names};
use crate::{Scene, until};

#[test]
fn an_offline_program_ends_in_milliseconds_and_the_next_run_delivers_with_the_original_ids_and_numbers() {
    let scene = Scene::new();
    let began = Instant::now();
    let reporter =
        Reporter::builder(scene.config(KEY), SESSION).enabled(true).spool(scene.spool()).start().unwrap();
    for name in ["one", "two", "three"] {
        assert!(reporter.log(name, (), Severity::Info));
    }
    assert!(reporter.wait_until_drained(Duration::from_secs(5)));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.spooled, stats.dropped.total(), stats.pending), (4, 0, 0), "{stats}");
    drop(reporter);
    // Without a spool the first retry alone would come a second later.
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    let kept = scene.events();
    assert_eq!(scene.spool().status().unwrap().events, 5);

    let collector = scene.collector();
    let next = scene.run().start().unwrap();
    let events = collector.wait_for_events(5, LIMIT);
    assert_eq!(names(&events), ["SESSION_START", "one", "two", "three", "SESSION_END"]);
    let sent: Vec<_> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(sent, kept);
    let numbers: Vec<_> = sent.iter().map(|event| event["event_session_index"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    for request in checked_requests(&collector) {
        assert_eq!(request.request.as_ref().unwrap().session_id, SESSION);
    }
    until("the files are gone", || scene.files().is_empty());
    let stats = next.stats();
    assert_eq!((stats.replayed.delivered, stats.delivered, stats.accepted), (5, 0, 0), "{stats:?}");
    assert_eq!(scene.spool().status().unwrap().files, 0);
}

#[test]
fn a_batch_is_replayed_under_the_key_of_its_first_attempt() {
    let scene = Scene::new();
    let collector = scene.collector();
    collector.answer(Answer::status(503));
    let reporter = scene.run().max_retries(0).start().unwrap();
    assert!(reporter.log("one", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().spooled, 1);
    drop(reporter);
    let _next = scene.run().start().unwrap();
    until("the second attempt", || collector.requests().len() == 2);
    let requests = checked_requests(&collector);
    let key = |at: usize| requests[at].header("x-idempotency-key").map(str::to_owned);
    assert_eq!(key(0), key(1));
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[1].header("x-stainless-retry-count"), Some("1"));
}

#[test]
fn a_healthy_program_makes_no_file() {
    let scene = Scene::new();
    let collector = scene.collector();
    let reporter = scene.run().start().unwrap();
    assert!(reporter.log("one", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!((reporter.stats().delivered, collector.events().len()), (1, 1));
    drop(reporter);
    assert!(!scene.folder().exists());
}

#[test]
fn what_a_mute_server_held_at_the_deadline_is_kept() {
    let scene = Scene::new();
    let collector = scene.collector();
    let _hold = collector.hold_answers();
    let reporter = scene.run().start().unwrap();
    for _ in 0..1000 {
        assert!(reporter.log("one", (), Severity::Info));
    }
    let began = Instant::now();
    assert!(reporter.stop(Duration::from_millis(300)), "{}", reporter.stats());
    assert!(began.elapsed() < Duration::from_secs(2));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.spooled, scene.spool().status().unwrap().events), (1000, 1000), "{stats}");
}

#[test]
fn a_program_without_time_keeps_all_it_has() {
    let scene = Scene::new();
    let reporter = scene.run().start().unwrap();
    for _ in 0..10 {
        assert!(reporter.log("one", (), Severity::Info));
    }
    reporter.stop(Duration::ZERO);
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!(stats.spooled + stats.dropped.deadline, 10, "{stats}");
    // The counts promise less than the disk has, never more.
    until("what was counted is there", || scene.events().len() as u64 >= stats.spooled);
}

#[test]
fn what_a_server_refuses_is_not_kept() {
    let scene = Scene::new();
    let collector = scene.collector();
    for (status, reason) in [
        (400, DropReason::Rejected),
        (404, DropReason::Rejected),
        (401, DropReason::Unauthorized),
        (413, DropReason::TooLarge),
    ] {
        collector.answer_by_default(Answer::status(status));
        let reporter = scene.run().start().unwrap();
        assert!(reporter.log("one", (), Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().dropped.by(reason), 1, "{status}");
    }
    assert!(scene.files().is_empty());
}

#[test]
fn a_fatal_exception_is_in_a_file_before_it_is_sent_and_in_none_after() {
    let scene = Scene::new();
    let collector = scene.collector();
    let hold = collector.hold_answers();
    let reporter = scene.run().start().unwrap();
    std::thread::scope(|scope| {
        let failing =
            scope.spawn(|| reporter.log_fatal_exception(&io::Error::other("lost"), Severity::Critical));
        assert!(collector.next_request(LIMIT).is_some());
        let kept = scene.events();
        assert_eq!((kept.len(), &kept[0]["event"]), (1, &"UNHANDLED_EXCEPTION".into()));
        drop(hold);
        assert!(failing.join().unwrap());
    });
    assert_eq!(reporter.stats().delivered, 1);
    assert!(scene.files().is_empty());
}

#[test]
fn with_write_ahead_an_event_is_in_a_file_without_a_flush() {
    let scene = Scene::new();
    let collector = scene.collector();
    let spool = scene.spool().write_ahead(Duration::from_millis(1)).durability(Durability::Power);
    let reporter = scene.run().spool(spool).flush_interval(NEVER).start().unwrap();
    for name in ["one", "two"] {
        assert!(reporter.log(name, (), Severity::Info));
    }
    until("both are in the file", || scene.events().len() == 2);
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.pending, stats.spooled), (2, 0));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 2);
    let events = collector.events();
    assert_eq!(events.len(), 2);
    assert!(matches!(&events[0], Event::Generic(event) if event.event_name == "one"));
    assert!(scene.files().is_empty());
}

#[test]
fn with_write_ahead_a_batch_that_is_cut_in_two_leaves_what_could_not_be_sent() {
    let scene = Scene::new();
    let collector = scene.collector();
    for status in [413, 200, 503] {
        collector.answer(Answer::status(status));
    }
    let spool = scene.spool().write_ahead(Duration::from_millis(1));
    let reporter = scene.run().spool(spool).flush_interval(NEVER).max_retries(0).start().unwrap();
    for name in ["one", "two", "three", "four"] {
        assert!(reporter.log(name, (), Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.delivered, stats.spooled), (2, 2));
    assert_eq!(scene.spool().status().unwrap().events, 2);
    drop(reporter);
    let _next = scene.run().start().unwrap();
    until("the rest is there", || collector.events().len() == 4);
    assert_eq!(names(&collector.events()), ["one", "two", "three", "four"]);
}

#[test]
fn after_an_outage_the_same_process_sends_what_it_kept() {
    let scene = Scene::new();
    let reporter = scene.run().retry_base_delay(Duration::from_millis(1)).start().unwrap();
    assert!(reporter.log("in the outage", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().spooled, 1);
    let collector = scene.collector();
    assert!(reporter.log("after it", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    until("both are there", || collector.events().len() == 2);
    until("it is counted", || reporter.stats().replayed.delivered == 1);
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.delivered, stats.spooled), (1, 1));
}

#[test]
fn no_secret_is_in_the_folder() {
    let scene = Scene::new();
    let config = scene
        .config("tml-c4n4ry-of-the-key")
        .header("x-team", "c4n4ry-of-a-header")
        .cloudflare_access("c4n4ry-of-the-id", "c4n4ry-of-the-secret")
        .proxy("http://me:c4n4ry-of-the-proxy@127.0.0.1:9");
    let reporter = Reporter::builder(config, SESSION).enabled(true).spool(scene.spool()).start().unwrap();
    assert!(reporter.log("one", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().spooled, 2);
    let files = scene.files();
    assert!(!files.is_empty());
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(text.contains(SESSION) && !text.contains("c4n4ry"), "{text}");
        assert!(!file.display().to_string().contains("c4n4ry"));
    }
}

#[test]
fn a_program_that_opted_out_neither_reads_nor_sends_nor_writes() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let before = scene.events();
    let collector = scene.collector();
    let reporter = scene.run().enabled(false).start().unwrap();
    assert!(!reporter.log("two", (), Severity::Info));
    assert!(reporter.stop(LIMIT));
    assert!(collector.requests().is_empty());
    assert_eq!(scene.events(), before);
}

#[test]
fn settings_that_cannot_be_used_are_an_error_at_the_start() {
    let scene = Scene::new();
    for spool in [
        Spool::for_program(""),
        Spool::for_program("../other"),
        Spool::for_program("a/b"),
        scene.spool().write_ahead(Duration::ZERO),
    ] {
        let started = scene.run().spool(spool).start();
        assert!(started.unwrap_err().to_string().starts_with("spool needs "));
    }
}

#[test]
fn purge_removes_what_no_process_has_open_and_says_what_it_was() {
    let scene = Scene::new();
    scene.leave(&["one", "two"]);
    std::fs::write(scene.folder().join("notes.txt"), "mine").unwrap();
    let other = scene.run().start().unwrap();
    assert!(other.log("three", (), Severity::Info));
    assert!(other.wait_until_drained(LIMIT));
    let before = scene.spool().status().unwrap();
    assert_eq!((before.files, before.events), (2, 3));
    let removed = scene.spool().purge().unwrap();
    assert_eq!((removed.files, removed.events), (1, 2));
    assert_eq!(scene.spool().status().unwrap().events, 1);
    assert!(scene.folder().join("notes.txt").exists());
}
