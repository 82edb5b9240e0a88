//! Keeps the rules of a replay: where events are sent, by which process, and when it ends.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Builder, DropReason, Severity};

use crate::support::{LIMIT, assert_adds_up, names, sessionless_to};
use crate::{Scene, until};

/// How often the collector accepted each event, by its name.
fn counts(collector: &Collector) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in collector.events() {
        *counts.entry(event.name().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn another_key_s_and_another_endpoint_s_events_are_never_sent() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let collector = scene.collector();
    let other = sessionless_to(scene.config("tml-another")).spool(scene.spool()).start().unwrap();
    let elsewhere = Collector::start().unwrap();
    let third = sessionless_to(crate::support::config(&elsewhere)).spool(scene.spool()).start().unwrap();
    for reporter in [&other, &third] {
        assert!(reporter.log("own", (), Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().replayed.taken, 0);
    }
    assert_eq!((names(&collector.events()), names(&elsewhere.events())), (vec!["own"], vec!["own"]));
    drop((other, third));
    let _owner = scene.run().start().unwrap();
    until("the key's own run sends it", || counts(&collector).contains_key("one"));
    assert_eq!(counts(&elsewhere).len(), 1);
}

#[test]
fn a_planted_file_chooses_nothing_and_is_left_alone() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let file = scene.files().remove(0);
    let planted = file.with_file_name("00000000000000ff.tlm");
    // A whole file, as the account at another endpoint would have it.
    let other = Scene::new();
    other.leave(&["planted"]);
    fs::copy(&other.files()[0], &planted).unwrap();
    let garbage = file.with_file_name("0000000000000001.tlm");
    fs::write(&garbage, "not a spool's file\n").unwrap();

    let collector = scene.collector();
    let _next = scene.run().start().unwrap();
    until("the file is sent", || !file.exists());
    assert_eq!(names(&collector.events()), ["one"]);
    assert!(planted.exists() && garbage.exists());
}

#[test]
fn of_processes_that_share_a_folder_each_event_is_sent_by_one() {
    let scene = Scene::new();
    let leave = |name| {
        let reporter = scene.run().start().unwrap();
        assert!(reporter.log(name, (), Severity::Info));
        assert!(reporter.stop(LIMIT));
        assert_eq!(reporter.stats().spooled, 1);
        reporter
    };
    let ended = ["one", "two", "three", "four", "five"].map(leave);
    let collector = scene.collector();
    let runs: Vec<_> = (0..4).map(|_| scene.run().start().unwrap()).collect();
    until("all are sent", || scene.files().is_empty());
    let counts = counts(&collector);
    assert_eq!((counts.len(), counts.values().sum::<usize>()), (5, 5), "{counts:?}");
    // One that has ended may have begun a last attempt before.
    let all = || runs.iter().chain(&ended);
    until("all are counted", || all().map(|run| run.stats().replayed.delivered).sum::<u64>() == 5);
}

#[test]
fn events_that_were_in_no_batch_are_sent_in_batches_as_large_as_the_settings_allow() {
    let sizes = |set: &dyn Fn(Builder, &[usize]) -> Builder| {
        let scene = Scene::new();
        let spool = scene.spool().write_ahead(Duration::from_millis(1));
        let reporter = scene.run().spool(spool).start().unwrap();
        for _ in 0..5 {
            assert!(reporter.log("one", (), Severity::Info));
        }
        until("all are written ahead", || scene.events().len() == 5);
        reporter.stop(Duration::ZERO);
        drop(reporter);
        let text = fs::read_to_string(&scene.files()[0]).unwrap();
        // An event takes its bytes and a comma's.
        let bytes: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("e ")).map(|line| line.len() - 9 + 1).collect();
        let collector = scene.collector();
        let _next = set(scene.run(), &bytes).start().unwrap();
        until("all are sent", || scene.files().is_empty());
        collector.requests().iter().map(|request| request.events().len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&|run, _| run.max_batch_size(2)), [2, 2, 1]);
    let first_two = |bytes: &[usize]| bytes[0] + bytes[1];
    assert_eq!(sizes(&|run, bytes| run.max_batch_bytes(first_two(bytes)))[0], 2);
    assert_eq!(sizes(&|run, bytes| run.max_batch_bytes(first_two(bytes) - 1))[0], 1);
}

#[test]
fn a_file_that_another_process_had_locked_is_sent_when_that_has_ended() {
    let scene = Scene::new();
    let owner = scene.run().start().unwrap();
    assert!(owner.log("locked", (), Severity::Info));
    assert!(owner.wait_until_drained(LIMIT));
    let file = scene.files().remove(0);
    fs::File::options().write(true).open(file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    scene.leave(&["free"]);
    let collector = scene.collector();
    let _next = scene.run().flush_interval(Duration::from_millis(20)).start().unwrap();
    until("the replay has passed the older file", || counts(&collector).contains_key("free"));
    assert!(!counts(&collector).contains_key("locked"));
    drop(owner);
    until("the file is sent", || counts(&collector).contains_key("locked") && scene.files().is_empty());
}

#[test]
fn a_replay_that_ended_at_an_outage_goes_on_after_it() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let collector = scene.collector();
    for status in [503, 503] {
        collector.answer(Answer::status(status));
    }
    let next = scene.run().retry_base_delay(Duration::from_millis(1)).start().unwrap();
    assert_eq!(collector.next_request(LIMIT).unwrap().events()[0].name(), "one");
    until("the replay is over", || fs::read_to_string(&scene.files()[0]).unwrap().contains("\nt "));
    assert!(next.log("own", (), Severity::Info));
    next.flush();
    until("both are sent", || counts(&collector).len() == 2 && scene.files().is_empty());
    let stats = next.stats();
    assert_eq!((stats.delivered, stats.spooled, stats.replayed.delivered), (1, 0, 1), "{stats}");
}

#[test]
fn a_key_that_is_refused_ends_the_replay_of_the_process() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    scene.leave(&["two"]);
    let collector = scene.collector();
    collector.answer_by_default(Answer::status(401));
    let next = scene.run().start().unwrap();
    assert!(collector.next_request(LIMIT).is_some());
    assert!(next.stop(LIMIT));
    assert_eq!(collector.requests().len(), 1);
    assert_eq!(scene.events().len(), 2);
}

#[test]
fn an_event_that_the_server_refuses_costs_itself_alone() {
    for status in [400, 422, 413] {
        let scene = Scene::new();
        scene.leave(&["one", "two", "three", "four"]);
        let collector = scene.collector();
        // All; the first half; the second half; of that, each.
        for answer in [status, 200, status, status, 200] {
            collector.answer(Answer::status(answer));
        }
        let next = scene.run().start().unwrap();
        until("the file is gone", || scene.files().is_empty());
        let replayed = next.stats().replayed;
        let reason = if status == 413 { DropReason::TooLarge } else { DropReason::Rejected };
        assert_eq!((replayed.taken, replayed.delivered, replayed.dropped.by(reason)), (4, 3, 1), "{status}");
        assert_eq!(names(&collector.events()), ["one", "two", "four"]);
    }
}

#[test]
fn a_batch_that_is_refused_in_both_halves_costs_three_requests() {
    let scene = Scene::new();
    scene.leave(&["one", "two", "three", "four"]);
    let collector = scene.collector();
    collector.answer_by_default(Answer::status(400));
    let next = scene.run().start().unwrap();
    until("the file is gone", || scene.files().is_empty());
    let replayed = next.stats().replayed;
    assert_eq!((replayed.taken, replayed.dropped.rejected, collector.requests().len()), (4, 4, 3));
}

#[test]
fn a_server_that_refuses_longer_than_seven_days_gets_it_no_more() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let file = scene.files().remove(0);
    let text = fs::read_to_string(&file).unwrap();
    // The header of a file that is old, with the sum that it must have.
    let (header, rest) = text.split_once('\n').unwrap();
    let (_, born) = header.split_once(r#""born":""#).unwrap();
    let old = header[11..].replace(&born[..4], "2016");
    let sum = crc32fast::hash(format!("h{old}").as_bytes());
    fs::write(&file, format!("h {sum:08x} {old}\n{rest}")).unwrap();
    let collector = scene.collector();
    collector.answer(Answer::status(503));
    let next = scene.run().start().unwrap();
    until("the file is gone", || scene.files().is_empty());
    assert_eq!(next.stats().replayed.dropped.retries_exhausted, 1);
}

#[test]
fn a_clock_that_jumps_ten_years_costs_nothing_that_can_be_delivered() {
    for year in ["2016", "2046"] {
        let scene = Scene::new();
        scene.leave(&["one"]);
        let file = scene.files().remove(0);
        let text = fs::read_to_string(&file).unwrap();
        let (header, rest) = text.split_once('\n').unwrap();
        let (_, born) = header.split_once(r#""born":""#).unwrap();
        let header = header[11..].replace(&born[..4], year);
        let sum = crc32fast::hash(format!("h{header}").as_bytes());
        fs::write(&file, format!("h {sum:08x} {header}\n{rest}")).unwrap();
        let collector = scene.collector();
        let _next = scene.run().start().unwrap();
        until("it is delivered", || collector.events().len() == 1);
    }
}

#[test]
fn a_replay_that_waits_for_a_mute_server_delays_neither_own_events_nor_the_end() {
    let scene = Scene::new();
    scene.leave(&["left"]);
    let collector = scene.collector();
    let hold = collector.hold_answers();
    let next = scene.run().http_timeout(LIMIT).start().unwrap();
    assert!(collector.next_request(LIMIT).is_some(), "the replay has begun");
    let began = Instant::now();
    assert!(next.stop(Duration::from_secs(20)), "there is nothing of its own");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_adds_up(next.stats());
    drop(hold);
}
