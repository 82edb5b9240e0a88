//! Keeps the equations over queue, outage, spool and replay, in random sequences of runs.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tinker_telemetry::collector::Answer;
use tinker_telemetry::{Severity, Stats};

use crate::support::{LIMIT, assert_adds_up};
use crate::{Scene, until};

/// A replay takes about as long. One that ends sooner has failed, and another run tries again.
const A_REPLAY: Duration = Duration::from_millis(50);

/// What happens in one run.
#[derive(Clone, Debug)]
enum Happening {
    Log(usize),
    /// The next answers.
    Answers(Vec<u16>),
    Flush,
    Drain,
}

fn happening() -> impl Strategy<Value = Happening> {
    let status = prop_oneof![4 => Just(200), 2 => Just(503), 1 => Just(400), 1 => Just(413), 1 => Just(0)];
    prop_oneof![
        3 => (1_usize..30).prop_map(Happening::Log),
        2 => prop::collection::vec(status, 1..4).prop_map(Happening::Answers),
        1 => Just(Happening::Flush),
        2 => Just(Happening::Drain),
    ]
}

fn answer(status: u16) -> Answer {
    if status == 0 { Answer::hang_up() } else { Answer::status(status) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn every_event_of_every_run_is_delivered_dropped_or_in_a_file(
        runs in prop::collection::vec(
            (prop::collection::vec(happening(), 1..8), any::<bool>(), any::<bool>()), 1..4,
        ),
    ) {
        let scene = Scene::new();
        let collector = scene.collector();
        let (mut accepted, mut dropped) = (0, 0);
        let mut count = |stats: Stats| {
            assert_adds_up(stats);
            accepted += stats.accepted;
            dropped += stats.dropped.total() + stats.replayed.dropped.total();
        };
        for (happenings, is_write_ahead, is_offline_at_the_end) in runs {
            let spool = scene.spool();
            let spool = if is_write_ahead {
                spool.write_ahead(Duration::from_millis(1))
            } else {
                spool
            };
            let builder = scene.run().spool(spool).max_batch_size(7).max_queue_size(50).max_retries(1);
            let reporter = builder.retry_base_delay(Duration::from_millis(1)).start().unwrap();
            for happening in happenings {
                match happening {
                    Happening::Log(events) => for _ in 0..events {
                        reporter.log("event", (), Severity::Info);
                    },
                    Happening::Answers(answers) => {
                        for status in answers {
                            collector.answer(answer(status));
                        }
                    }
                    Happening::Flush => reporter.flush(),
                    Happening::Drain => assert!(reporter.wait_until_drained(LIMIT)),
                }
                assert_adds_up(reporter.stats());
            }
            if is_offline_at_the_end {
                collector.answer_by_default(Answer::status(503));
            }
            assert!(reporter.stop(LIMIT));
            assert_eq!(reporter.stats().pending, 0);
            until("the replay is over", || reporter.stats().replayed.pending == 0);
            count(reporter.stats());
            collector.answer_by_default(Answer::ok());
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
        let id = |event: &tinker_telemetry::event::Event| serde_json::to_value(event).unwrap()["event_id"].to_string();
        let delivered: BTreeSet<_> = collector.events().iter().map(id).collect();
        prop_assert_eq!(delivered.len() as u64 + dropped, accepted);
    }
}
