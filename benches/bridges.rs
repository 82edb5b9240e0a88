//! What a bridge costs the program, over the logger or the subscriber alone: at most 100 ns where a record is not for
//! us, at most 2 µs where it is forwarded. After divan's tables the two are taken in turns, and their difference printed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::ItemsCount;
use log::{Log, Metadata, Record};
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge, TracingBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter};
use tracing::Dispatch;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

const SESSION: &str = "session-0001";

/// Each is measured so many times, with so many records at once. The queue has room for all of them, and the worker
/// sleeps meanwhile.
const ROUNDS: usize = 200;
const RECORDS: u32 = 1_000;

fn main() {
    divan::main();
    if !std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        println!();
        compare("log", &Case::LOG, &log_alone(), log_bridged);
        compare("tracing", &Case::TRACING, &tracing_alone(), tracing_bridged);
    }
}

/// Prints for each case what a record takes alone and with the bridge, measured in turns: by the quickest turn, which
/// the machine's other work disturbed least, and beside it by the median.
fn compare(what: &str, cases: &[Case], alone: &Call, bridged: fn(&Session) -> Call) {
    println!(
        "{what:<24} {:>9} {:>9} {:>9} {:>7} {:>15} {:>9}",
        "alone", "bridged", "more", "ratio", "more (median)", "at most"
    );
    for &case in cases {
        let session = Session::new(case);
        let bridged = bridged(&session);
        let turns = (0..ROUNDS).map(|_| (per_record(alone, case), per_record(&bridged, case)));
        let (alone, bridged): (Vec<_>, Vec<_>) = turns.unzip();
        session.check(case);
        let ([alone, alone_median], [bridged, bridged_median]) = (summary(alone), summary(bridged));
        println!(
            "{:<24} {alone:>6.1} ns {bridged:>6.1} ns {:>6.1} ns {:>7.1} {:>12.1} ns {:>6} ns",
            format!("{case:?}"),
            bridged - alone,
            bridged / alone,
            bridged_median - alone_median,
            case.limit()
        );
    }
    println!();
}

/// In nanoseconds.
fn per_record(call: &Call, case: Case) -> f64 {
    let started = Instant::now();
    call(case);
    started.elapsed().as_secs_f64() * 1e9 / f64::from(RECORDS)
}

/// The least, and the median.
fn summary(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2]]
}

#[derive(Clone, Copy, Debug)]
enum Case {
    /// The usual record of a program: of no session, by a name that is not asked for.
    NotAskedFor,
    /// In the session, by a name that is not asked for.
    InSessionNotAskedFor,
    /// Every name is asked for, and the record is of no session.
    NoSession,
    /// Every name is asked for, and the record is of another session.
    OtherSession,
    /// What the HTTP client says.
    Never,
    /// Four fields and a message that has to be made.
    Forwarded,
    /// A span of no session, made and closed.
    OtherSpan,
    /// A span of the session, reported at both ends, and a field recorded in between.
    ReportedSpan,
}

impl Case {
    const LOG: [Self; 6] = [
        Self::NotAskedFor,
        Self::InSessionNotAskedFor,
        Self::NoSession,
        Self::OtherSession,
        Self::Never,
        Self::Forwarded,
    ];

    const TRACING: [Self; 8] = [
        Self::NotAskedFor,
        Self::InSessionNotAskedFor,
        Self::NoSession,
        Self::OtherSession,
        Self::Never,
        Self::OtherSpan,
        Self::Forwarded,
        Self::ReportedSpan,
    ];

    fn filter(self) -> EventFilter {
        match self {
            Self::NotAskedFor | Self::InSessionNotAskedFor => EventFilter::default(),
            _ => EventFilter::all(),
        }
    }

    /// What it may cost more, in nanoseconds.
    fn limit(self) -> u32 {
        match self {
            Self::Forwarded => 2_000,
            Self::OtherSpan => 200,      // made and closed
            Self::ReportedSpan => 4_000, // two events
            _ => 100,
        }
    }

    fn log(self, logger: &dyn Log) {
        let step = black_box(7);
        match self {
            Self::NotAskedFor | Self::NoSession => {
                log::info!(logger: logger, step, loss = 0.5; "step {step} done");
            }
            Self::OtherSession => {
                log::info!(logger: logger, session_id = "session-0002", step, loss = 0.5; "step {step} done");
            }
            Self::Never => {
                log::info!(logger: logger, target: "ureq::run", session_id = SESSION, step; "step {step} done");
            }
            _ => log::info!(
                logger: logger, target: "step.done", session_id = SESSION, step, loss = 0.5, path = "runs/a";
                "step {step} done"
            ),
        }
    }

    fn trace(self) {
        let step = black_box(7);
        match self {
            Self::NotAskedFor | Self::NoSession => tracing::info!(step, loss = 0.5, "step {step} done"),
            Self::OtherSession => {
                tracing::info!(session_id = "session-0002", step, loss = 0.5, "step {step} done");
            }
            Self::Never => {
                tracing::info!(target: "ureq::run", session_id = SESSION, step, "step {step} done");
            }
            Self::OtherSpan => drop(tracing::info_span!("request", step, path = "runs/a")),
            Self::ReportedSpan => {
                let span = tracing::info_span!(
                    "request",
                    session_id = SESSION,
                    path = "runs/a",
                    step = tracing::field::Empty
                );
                span.record("step", step);
            }
            _ => tracing::info!(
                name: "step.done", session_id = SESSION, step, loss = 0.5, path = "runs/a", "step {step} done"
            ),
        }
    }
}

/// A logger, and a layer, that cost next to nothing.
struct Silent;

impl Log for Silent {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        black_box(record);
    }

    fn flush(&self) {}
}

impl<S: tracing::Subscriber> Layer<S> for Silent {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        black_box(event);
    }
}

/// A session with a bridge to it.
struct Session {
    attachments: Attachments,
    reporter: Reporter,
    _collector: Collector,
}

impl Session {
    fn new(case: Case) -> Self {
        let collector = Collector::start().expect("a port on loopback");
        let reporter = Reporter::builder(Config::new("tml-example").base_url(collector.url()), SESSION)
            .enabled(true)
            .flush_interval(Duration::from_secs(3600))
            .max_queue_size(1_000_000)
            .max_queue_bytes(1 << 30)
            .flush_threshold(1_000_000)
            .max_batch_bytes(1 << 30)
            .shutdown_timeout(Duration::ZERO)
            .start()
            .expect("a reporter");
        let attachments = Attachments::new();
        attachments.attach("bench", &reporter, case.filter()).expect("the first");
        Self { attachments, reporter, _collector: collector }
    }

    /// A refusal is quick, so a run with one has measured something else.
    fn check(&self, case: Case) {
        let stats = self.reporter.stats();
        assert_eq!(stats.refused.total(), 0, "{stats}");
        assert_eq!(
            stats.accepted > 1,
            matches!(case, Case::Forwarded | Case::ReportedSpan),
            "{case:?}: {stats}"
        );
    }
}

/// Says the case's record a thousand times.
type Call = Box<dyn Fn(Case)>;

fn log_alone() -> Call {
    log_to(Silent)
}

fn log_bridged(session: &Session) -> Call {
    log_to(LogBridge::new(Silent, &session.attachments))
}

fn log_to(logger: impl Log + 'static) -> Call {
    log::set_max_level(log::LevelFilter::Trace);
    let logger: Box<dyn Log> = Box::new(logger);
    Box::new(move |case| (0..RECORDS).for_each(|_| case.log(&*logger)))
}

fn tracing_alone() -> Call {
    trace_to(Dispatch::new(Registry::default().with(Silent)))
}

fn tracing_bridged(session: &Session) -> Call {
    trace_to(Dispatch::new(Registry::default().with(Silent).with(TracingBridge::new(&session.attachments))))
}

/// Within a few spans, as most is said.
fn trace_to(dispatch: Dispatch) -> Call {
    Box::new(move |case| {
        tracing::dispatcher::with_default(&dispatch, || {
            let outermost = match case {
                Case::InSessionNotAskedFor | Case::Forwarded => {
                    tracing::info_span!("run", session_id = SESSION)
                }
                _ => tracing::info_span!("run"),
            };
            let _run = outermost.entered();
            let _epoch = tracing::info_span!("epoch", number = 1).entered();
            let _step = tracing::info_span!("step", number = 1).entered();
            (0..RECORDS).for_each(|_| case.trace());
        });
    })
}

#[divan::bench(sample_count = 100, sample_size = 1, args = Case::LOG)]
fn a_thousand_log_records_alone(bencher: Bencher, case: Case) {
    let call = log_alone();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| call(case));
}

#[divan::bench(sample_count = 100, sample_size = 1, args = Case::LOG)]
fn a_thousand_log_records_bridged(bencher: Bencher, case: Case) {
    let session = Session::new(case);
    let call = log_bridged(&session);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| call(case));
    session.check(case);
}

#[divan::bench(sample_count = 100, sample_size = 1, args = Case::TRACING)]
fn a_thousand_tracing_records_alone(bencher: Bencher, case: Case) {
    let call = tracing_alone();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| call(case));
}

#[divan::bench(sample_count = 100, sample_size = 1, args = Case::TRACING)]
fn a_thousand_tracing_records_bridged(bencher: Bencher, case: Case) {
    let session = Session::new(case);
    let call = tracing_bridged(&session);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| call(case));
    session.check(case);
}
