//! Keeps the spool's promises beside a mute server, one that never answers: the worker writes all the same, and no wait
//! lasts long.

use std::io::BufRead;
use std::time::{Duration, Instant};

use tinker_telemetry::Severity;

use crate::killed::{builder_of_child, start};
use crate::support::{LIMIT, NEVER, assert_adds_up};
use crate::{Scene, until};

/// What a promise of `T + 50 ms` allows on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_millis(250);

#[test]
fn with_write_ahead_an_event_is_in_the_file_although_a_request_hangs_and_the_process_is_killed() {
    if let Some((builder, spool)) = builder_of_child() {
        let spool = spool.write_ahead(Duration::from_millis(200));
        let reporter = builder.spool(spool).flush_interval(NEVER).start().unwrap();
        assert!(reporter.log("on the wire", (), Severity::Info));
        reporter.flush();
        println!("flushed");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).unwrap(); // the test has seen the request
        assert!(reporter.log("behind it", (), Severity::Info));
        loop {
            std::thread::park();
        }
    }
    let scene = Scene::new();
    let collector = scene.collector();
    let hold = collector.hold_answers();
    let test =
        "mute::with_write_ahead_an_event_is_in_the_file_although_a_request_hangs_and_the_process_is_killed";
    let (mut child, _output) = start(test, &scene);
    assert!(collector.next_request(LIMIT).is_some(), "the request hangs");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n").unwrap();
    let is_written = |name| scene.events().iter().any(|event| event["event_name"] == name);
    until("what came meanwhile is in the file", || is_written("behind it"));
    assert!(is_written("on the wire"));
    assert_eq!(collector.requests().len(), 1, "the first request still hangs");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(hold);
    let _next = scene.run().start().unwrap();
    until("the next run delivers both", || {
        let requests = collector.requests();
        let later = requests.iter().skip(1).flat_map(|request| request.events());
        let has = |name| later.clone().any(|event| event.name() == name);
        has("on the wire") && has("behind it")
    });
    until("the file is gone", || scene.files().is_empty());
}

#[test]
fn a_stop_beside_a_mute_server_keeps_all_of_10_000_events_within_its_time() {
    for timeout in [300, 1000].map(Duration::from_millis) {
        let scene = Scene::new();
        let collector = scene.collector();
        let _hold = collector.hold_answers();
        let reporter = scene.run().flush_interval(NEVER).flush_threshold(usize::MAX).start().unwrap();
        for _ in 0..10_000 {
            assert!(reporter.log("one", "of a size that is usual for an event", Severity::Info));
        }
        let began = Instant::now();
        let is_clean = reporter.stop(timeout);
        let took = began.elapsed();
        let stats = reporter.stats();
        assert_adds_up(stats);
        assert_eq!((stats.spooled, stats.dropped.total()), (10_000, 0), "{stats} in {took:?}");
        assert!(is_clean && took < timeout + SLACK, "{took:?}");
        assert_eq!(scene.spool().status().unwrap().events, 10_000);
    }
}

#[test]
fn a_program_that_waits_for_a_mute_server_has_its_batch_kept_after_a_second() {
    let scene = Scene::new();
    let collector = scene.collector();
    let _hold = collector.hold_answers();
    let reporter = scene.run().http_timeout(LIMIT).start().unwrap();
    assert!(reporter.log("one", (), Severity::Info));
    let began = Instant::now();
    assert!(reporter.wait_until_drained(LIMIT));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!((reporter.stats().spooled, scene.events().len()), (1, 1));
    let began = Instant::now();
    drop(reporter);
    assert!(began.elapsed() < Duration::from_millis(300) + SLACK, "{:?}", began.elapsed());
}

#[test]
fn each_of_several_threads_that_wait_one_after_another_has_its_batch_kept() {
    let scene = Scene::new();
    let collector = scene.collector();
    let _hold = collector.hold_answers();
    let reporter = scene.run().flush_interval(NEVER).http_timeout(LIMIT).start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            assert!(reporter.log("one", (), Severity::Info));
            scope.spawn(|| assert!(reporter.wait_until_drained(LIMIT)));
            // The next thread begins to wait while this one's request hangs.
            assert!(collector.next_request(LIMIT).is_some());
        }
    });
    assert_eq!((reporter.stats().spooled, reporter.stats().pending), (3, 0));
}

#[test]
fn an_answer_that_comes_after_the_keep_counts_as_delivered_and_empties_the_file() {
    let scene = Scene::new();
    let collector = scene.collector();
    let hold = collector.hold_answers();
    let reporter = scene.run().flush_interval(Duration::from_millis(10)).http_timeout(LIMIT).start().unwrap();
    assert!(reporter.log("one", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!((reporter.stats().spooled, reporter.stats().delivered), (1, 0));
    drop(hold);
    until("the count has moved", || reporter.stats().delivered == 1);
    assert_adds_up(reporter.stats());
    assert_eq!(reporter.stats().spooled, 0);
    until("the file is gone", || scene.files().is_empty());
    assert_eq!(collector.requests().len(), 1);
}

#[test]
fn several_requests_that_hang_are_all_kept() {
    let scene = Scene::new();
    let collector = scene.collector();
    let _hold = collector.hold_answers();
    let reporter = scene.run().max_batch_size(10).flush_threshold(10).http_timeout(LIMIT).start().unwrap();
    for _ in 0..100 {
        assert!(reporter.log("one", (), Severity::Info));
    }
    assert!(reporter.stop(Duration::from_millis(500)));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.spooled, scene.spool().status().unwrap().events), (100, 100), "{stats}");
}
