//! Keeps the counts true for any sequence of answers of an OTLP server: they say of each event what the server said.

use std::iter;
use std::time::Duration;

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Severity};

use crate::otlp::{assert_is_otlp, partial_success, records_of};
use crate::support::{LIMIT, assert_adds_up, sessionless_to};

const SCRIPTS: u64 = 200;
const ANSWERS: usize = 12;

/// What the server says to one request.
#[derive(Clone, Copy, Debug)]
enum Word {
    Status(u16),
    Partial(u8),
    HangUp,
}

impl Word {
    fn answer(self) -> Answer {
        match self {
            Self::Status(status) => Answer::status(status),
            Self::Partial(rejected) => partial_success(rejected.into(), "as the script has it"),
            Self::HangUp => Answer::hang_up(),
        }
    }
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn word(&mut self) -> Word {
        let statuses = [200, 204, 400, 401, 403, 404, 413, 413, 429, 500, 502, 503];
        match self.below(4) {
            0 => Word::Partial(u8::try_from(self.below(7)).unwrap()),
            1 if self.below(3) == 0 => Word::HangUp,
            _ => Word::Status(statuses[self.below(statuses.len())]),
        }
    }
}

#[test]
fn the_counts_are_what_the_server_said() {
    for seed in 0..SCRIPTS {
        let mut random = Random(seed);
        let script: Vec<_> = iter::repeat_with(|| random.word()).take(ANSWERS).collect();
        let collector = Collector::start().unwrap();
        for word in &script {
            collector.answer(word.answer());
        }
        let config = Config::otlp(collector.url());
        #[cfg(feature = "gzip")]
        let config = config.gzip(false); // or a 400 is answered by a plain body
        let builder = sessionless_to(config).max_retries(2).max_batch_size(1 + random.below(6));
        let reporter = builder.retry_base_delay(Duration::from_micros(100)).start().unwrap();
        let events = random.below(16);
        for step in 0..events {
            assert!(reporter.log("step", step, Severity::Info));
        }
        assert!(reporter.wait_until_drained(LIMIT));

        let (mut delivered, mut rejected, mut unauthorized, mut too_large) = (0, 0, 0, 0);
        let words = script.iter().copied().chain(iter::repeat(Word::Status(200)));
        for (request, word) in collector.requests().iter().zip(words) {
            assert_is_otlp(request);
            let records = records_of(request).len() as u64;
            match word {
                Word::Partial(part) => {
                    rejected += records.min(part.into());
                    delivered += records.saturating_sub(part.into());
                }
                Word::Status(200..=299) => delivered += records,
                Word::Status(400 | 404 | 500) => rejected += records,
                Word::Status(401 | 403) => unauthorized += records,
                Word::Status(413) if records == 1 => too_large += 1,
                Word::Status(_) | Word::HangUp => {}
            }
        }
        let stats = reporter.stats();
        assert_adds_up(stats);
        let dropped = stats.dropped;
        assert_eq!((stats.accepted, stats.pending), (events as u64, 0), "{seed}: {script:?}");
        assert_eq!((stats.delivered, dropped.rejected), (delivered, rejected), "{seed}: {script:?}: {stats}");
        assert_eq!(
            (dropped.unauthorized, dropped.too_large),
            (unauthorized, too_large),
            "{seed}: {script:?}"
        );
        let rest = events as u64 - delivered - rejected - unauthorized - too_large;
        assert_eq!(dropped.retries_exhausted, rest, "{seed}: {script:?}: {stats}");
    }
}
