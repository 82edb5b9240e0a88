//! Keeps the attachments of the bridge from `log`: which session gets which records, from `attach` to `detach` and to
//! the session's end.

use std::fmt::{self, Display};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use log::{Level, Log, Metadata};
use tinker_telemetry::Reporter;
use tinker_telemetry::bridge::{AttachError, Attachments, EventFilter, LogBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;

use super::{Listener, Printer, enable_all_levels};
use crate::support::{LIMIT, SESSION, config, drained, session};

#[test]
fn an_attachment_gets_only_the_names_of_its_filter() {
    let listener = Listener::with_filter(EventFilter::default());
    listener.attachments.attach("sampler", &listener.reporter, EventFilter::new(["sampler::*"])).unwrap();
    let logger = &listener.bridge;
    for target in [
        "http.request.start",
        "http.request.stop",
        "http.request.exception",
        "queue.state_change",
        "http.request",
        "tinkex.http.request.start",
        "tinkex.http.request.stop",
        "tinkex.http.request.exception",
        "tinkex.queue.state_change",
        "tinkex.http.request",
        "tinkex.retry.start",
        "sampler::fast",
        "sampler",
    ] {
        log::info!(logger: logger, target: target, session_id = SESSION; "");
        let metadata = Metadata::builder().target(target).level(Level::Trace).build();
        let is_wanted =
            !["http.request", "tinkex.http.request", "tinkex.retry.start", "sampler"].contains(&target);
        assert_eq!(logger.enabled(&metadata), is_wanted, "{target}");
    }
    let expected = [
        "http.request.start",
        "http.request.stop",
        "http.request.exception",
        "queue.state_change",
        "tinkex.http.request.start",
        "tinkex.http.request.stop",
        "tinkex.http.request.exception",
        "tinkex.queue.state_change",
        "sampler::fast",
    ];
    assert_eq!(listener.received_names(), expected);
}

#[test]
fn a_handler_id_names_one_attachment_until_it_is_detached() {
    let listener = Listener::with_filter(EventFilter::new(["first"]));
    let logger = &listener.bridge;
    let again = listener.attachments.attach("listener", &listener.reporter, EventFilter::all());
    assert_eq!(again, Err(AttachError::AlreadyExists));
    log::info!(logger: logger, target: "first", session_id = SESSION; "");
    log::info!(logger: logger, target: "second", session_id = SESSION; "the first attachment is unchanged");

    assert_eq!(listener.attachments.detach("other"), Err(AttachError::NotFound));
    assert_eq!(listener.attachments.detach("listener"), Ok(()));
    assert_eq!(listener.attachments.detach("listener"), Err(AttachError::NotFound));
    log::info!(logger: logger, target: "first", session_id = SESSION; "no attachment");

    assert_eq!(
        listener.attachments.attach("listener", &listener.reporter, EventFilter::new(["third"])),
        Ok(())
    );
    assert_eq!(listener.attachments.attach("more", &listener.reporter, EventFilter::all()), Ok(()));
    log::info!(logger: logger, target: "third", session_id = SESSION; "two attachments");
    assert_eq!(listener.received_names(), ["first", "third", "third"]);
}

#[test]
fn an_attachment_without_a_handler_id_gets_a_new_one() {
    let listener = Listener::with_filter(EventFilter::new(["first"]));
    let logger = &listener.bridge;
    let second = listener.attachments.add(&listener.reporter, EventFilter::new(["second"]));
    let third = listener.attachments.add(&listener.reporter, EventFilter::new(["third"]));
    assert_ne!(second, third);
    for target in ["first", "second", "third"] {
        log::info!(logger: logger, target: target, session_id = SESSION; "");
    }
    assert_eq!(listener.attachments.detach(&second), Ok(()));
    log::info!(logger: logger, target: "second", session_id = SESSION; "detached");
    assert_eq!(listener.received_names(), ["first", "second", "third"]);
}

#[test]
fn a_new_handler_id_is_never_one_that_the_program_uses() {
    let attachments = Attachments::new();
    let disabled = Reporter::disabled();
    let made = attachments.add(&disabled, EventFilter::all());
    let (stem, number) = made.rsplit_once('-').unwrap();
    let next: u64 = number.parse::<u64>().unwrap() + 1;
    // Other tests use up numbers at the same time, so this takes a hundred of the next ones.
    for number in next..next + 100 {
        attachments.attach(format!("{stem}-{number}"), &disabled, EventFilter::all()).unwrap();
    }
    let made = attachments.add(&disabled, EventFilter::all());
    assert_eq!(attachments.detach(&made), Ok(()));
}

#[test]
fn each_session_gets_its_own_records() {
    let listener = Listener::new();
    let others = Collector::start().unwrap();
    let other = Reporter::builder(config(&others), "session-0002").enabled(true).start().unwrap();
    listener.attachments.attach("other", &other, EventFilter::all()).unwrap();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "first", session_id = SESSION; "");
    log::info!(logger: logger, target: "second", session_id = "session-0002"; "");
    assert_eq!(listener.received_names(), ["first"]);
    assert_eq!(drained(&others, &other)[0].event_name, "second");
}

#[test]
fn a_bridge_does_not_keep_a_session_alive() {
    let Listener { collector, reporter, attachments, printer, bridge } = Listener::new();
    drop(reporter);
    assert_eq!(collector.events().last().map(Event::name), Some("SESSION_END"));
    log::info!(logger: bridge, target: "late", session_id = SESSION; "");
    assert_eq!(collector.events().len(), 2);
    assert_eq!(printer.printed(), ["late"]);
    assert_eq!(
        attachments.detach("listener"),
        Err(AttachError::NotFound),
        "the attachment ended with its reporter"
    );

    let next = session(&collector).start().unwrap();
    assert_eq!(attachments.attach("listener", &next, EventFilter::all()), Ok(()));
    log::info!(logger: bridge, target: "next", session_id = SESSION; "");
    assert_eq!(drained(&collector, &next)[0].event_name, "next");
}

#[test]
fn a_disabled_reporter_can_be_attached() {
    enable_all_levels();
    let attachments = Attachments::of(&Reporter::disabled());
    let bridge = LogBridge::new(Printer::default(), &attachments);
    log::info!(logger: bridge, target: "tinkex.queue.state_change", session_id = SESSION; "");
    let again = attachments.attach("tinker-telemetry", &Reporter::disabled(), EventFilter::all());
    assert_eq!(again, Err(AttachError::AlreadyExists));
    assert_eq!(attachments.detach("tinker-telemetry"), Ok(()));
}

/// A value that blocks when it is formatted. It sends on one channel, then waits for a message on the other.
struct Blocks(Sender<()>, Mutex<Receiver<()>>);

impl Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv_timeout(LIMIT).unwrap();
        f.write_str("released")
    }
}

#[test]
fn the_drop_of_the_last_clone_waits_while_a_record_is_being_forwarded() {
    let Listener { collector, reporter, bridge, .. } = Listener::new();
    let (formatting, is_formatting) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let slow = Blocks(formatting, Mutex::new(released));
    thread::scope(|scope| {
        let logging = scope.spawn(|| {
            log::info!(logger: bridge, target: "slow", session_id = SESSION, slow:%; "");
        });
        is_formatting.recv_timeout(LIMIT).unwrap();
        drop(reporter);
        assert_eq!(
            collector.events().last().map(Event::name),
            Some("SESSION_END"),
            "the drop waits for the end of the session"
        );
        release.send(()).unwrap();
        logging.join().unwrap();
    });
    assert_eq!(collector.events().len(), 2, "the start and the end: the record is late");
}

#[test]
fn an_attachment_that_comes_and_goes_gets_each_record_once_or_not() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    let (threads, records) = (4, 200);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                for step in 0..records {
                    log::info!(logger: logger, target: "always", session_id = SESSION, step; "");
                }
            });
        }
        for _ in 0..records {
            listener.attachments.attach("second", &listener.reporter, EventFilter::new(["always"])).unwrap();
            listener.attachments.detach("second").unwrap();
        }
    });
    let received = listener.received();
    let all = threads * records;
    assert!(
        (all..=2 * all).contains(&received.len()),
        "{}: one event of each record by the first attachment, at most one by the second",
        received.len()
    );
    assert_eq!(listener.printer.printed().len(), all);
}
