//! Keeps the equations over queue, outage, spool and replay, in random sequences of runs.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Severity, Stats};

use crate::support::{LIMIT, assert_adds_up, drain};
use crate::{Scene, until};

/// A replay takes about as long. One that ends sooner has failed, and another run tries again.
const A_REPLAY: Duration = Duration::from_millis(50);

/// What happens in one run.
#[derive(Clone, Debug)]
enum Happening {
    Log(usize),
    /// The next answers.
    Answers(Vec<u16>),
    /// The server goes, or comes back.
    Server(bool),
    Flush,
    Drain,
}

/// A run of the program.
#[derive(Clone, Debug)]
struct Run {
    happenings: Vec<Happening>,
    is_write_ahead: bool,
    /// The spool's folder cannot be used.
    is_disk_broken: bool,
    is_refused_at_the_end: bool,
}

fn happening() -> impl Strategy<Value = Happening> {
    let status = prop_oneof![4 => Just(200), 2 => Just(503), 1 => Just(400), 1 => Just(413), 1 => Just(0)];
    prop_oneof![
        3 => (1_usize..30).prop_map(Happening::Log),
        2 => prop::collection::vec(status, 1..4).prop_map(Happening::Answers),
        1 => any::<bool>().prop_map(Happening::Server),
        1 => Just(Happening::Flush),
        2 => Just(Happening::Drain),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let happenings = prop::collection::vec(happening(), 1..8);
    let fields = (happenings, any::<bool>(), prop::bool::weighted(0.25), any::<bool>());
    fields.prop_map(|(happenings, is_write_ahead, is_disk_broken, is_refused_at_the_end)| Run {
        happenings,
        is_write_ahead,
        is_disk_broken,
        is_refused_at_the_end,
    })
}

/// A server that comes and goes, and the ids of the events that it has accepted.
struct Server<'a> {
    scene: &'a Scene,
    running: Option<Collector>,
    accepted: BTreeSet<String>,
}

impl<'a> Server<'a> {
    fn start(scene: &'a Scene) -> Self {
        Self { scene, running: Some(scene.collector()), accepted: BTreeSet::new() }
    }

    fn running(&mut self) -> &Collector {
        self.running.get_or_insert_with(|| self.scene.collector())
    }

    fn end(&mut self) {
        let events = self.running.take().map_or_else(Vec::new, |collector| collector.events());
        self.accepted.extend(events.iter().map(|event| event.id().to_string()));
    }
}

fn answer(status: u16) -> Answer {
    if status == 0 { Answer::hang_up() } else { Answer::status(status) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]
    #[test]
    fn every_event_of_every_run_is_delivered_dropped_or_in_a_file(runs in prop::collection::vec(run(), 1..4)) {
        let scene = Scene::new();
        let mut server = Server::start(&scene);
        let (mut accepted, mut dropped) = (0, 0);
        let mut count = |stats: Stats| {
            assert_adds_up(stats);
            accepted += stats.accepted;
            dropped += stats.dropped.total() + stats.replayed.dropped.total();
        };
        // A server that goes may have accepted what it has not answered. Without a spool the sender may then drop it.
        let mut may_count_twice = false;
        for run in runs {
            let spool = if run.is_disk_broken { scene.broken_spool() } else { scene.spool() };
            let spool =
                if run.is_write_ahead { spool.write_ahead(Duration::from_millis(1)) } else { spool };
            let builder = scene.run().spool(spool).max_batch_size(7).max_queue_size(50).max_retries(1);
            let reporter = builder.retry_base_delay(Duration::from_millis(1)).start().unwrap();
            for happening in run.happenings {
                match happening {
                    Happening::Log(events) => for _ in 0..events {
                        reporter.log("event", (), Severity::Info);
                    },
                    Happening::Answers(answers) => {
                        for status in answers {
                            server.running().answer(answer(status));
                        }
                    }
                    Happening::Server(true) => _ = server.running(),
                    Happening::Server(false) => {
                        server.end();
                        may_count_twice |= run.is_disk_broken;
                    }
                    Happening::Flush => reporter.flush(),
                    Happening::Drain => drain(&reporter),
                }
                assert_adds_up(reporter.stats());
            }
            if run.is_refused_at_the_end {
                server.running().answer_by_default(Answer::status(503));
            }
            reporter.stop(LIMIT);
            assert_eq!(reporter.stats().pending, 0);
            until("the replay is over", || reporter.stats().replayed.pending == 0);
            count(reporter.stats());
            server.running().answer_by_default(Answer::ok());
        }
        // What later answers are left must not end the last run's replay.
        let last = scene.run().start().unwrap();
        let began = Instant::now();
        while !scene.files().is_empty() {
            assert!(began.elapsed() < LIMIT, "all files are sent");
            let again = scene.run().start().unwrap();
            let started = Instant::now();
            while !scene.files().is_empty() && started.elapsed() < A_REPLAY {
                thread::park_timeout(Duration::from_millis(1));
            }
            let _ = again.stop(LIMIT);
            until("its replay is over", || again.stats().replayed.pending == 0);
            count(again.stats());
        }
        let _ = last.stop(LIMIT);
        count(last.stats());
        server.end();
        let with_fate = server.accepted.len() as u64 + dropped;
        prop_assert!(with_fate == accepted || may_count_twice && with_fate > accepted, "{with_fate} of {accepted}");
    }
}
