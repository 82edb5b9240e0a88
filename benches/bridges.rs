//! What a bridge adds to the cost of the logger or the subscriber alone: at most 100 ns for a record that it does not
//! forward, at most 2 µs for one that it forwards. Both are measured in turns. A case that costs more is marked.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use log::{Log, Metadata, Record};
use support::quantile::Spread;
use support::{NEVER, is_bench};
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge, TracingBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter};
use tracing::Dispatch;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

const SESSION: &str = "session-0001";

/// Each case is measured in this many turns of this many records. The queue has room for the records of a turn, and the
/// worker sleeps during it.
const ROUNDS: usize = 200;
const RECORDS: u32 = 1_000;
const QUEUE: usize = 10_000;

fn main() {
    println!("{}\n", support::machine::description());
    compare("log", &Case::LOG, &log_alone(), log_bridged);
    compare("tracing", &Case::TRACING, &tracing_alone(), tracing_bridged);
}

/// Prints for each case what a record takes without and with the bridge, measured in turns. The figures are those of
/// the fastest turn, which other work of the machine disturbed least. The median is printed beside them.
fn compare(what: &str, cases: &[Case], alone: &Call, bridged: fn(&Session) -> Call) {
    println!(
        "{what:<24} {:>9} {:>9} {:>9} {:>7} {:>15} {:>9}",
        "alone", "bridged", "more", "ratio", "more (median)", "at most"
    );
    let rounds = if is_bench() { ROUNDS } else { 1 };
    for &case in cases {
        let session = Session::new(case);
        let bridged = bridged(&session);
        let turn = |_| {
            let turn = (per_record(alone, case), per_record(&bridged, case));
            // Events left over from one turn would make the heap grow in the next.
            support::drain(&session.reporter, &session.collector);
            turn
        };
        let (alone, bridged): (Vec<_>, Vec<_>) = (0..rounds).map(turn).unzip();
        session.check(case);
        let spread = |turns| Spread::of(turns).expect("one turn or more");
        let (alone, bridged): (Spread, Spread) = (spread(alone), spread(bridged));
        let more = bridged.least - alone.least;
        println!(
            "{:<24} {:>6.1} ns {:>6.1} ns {more:>6.1} ns {:>7.1} {:>12.1} ns {:>6} ns{}",
            format!("{case:?}"),
            alone.least,
            bridged.least,
            bridged.least / alone.least,
            bridged.median - alone.median,
            case.limit(),
            if is_bench() && more > f64::from(case.limit()) { " over" } else { "" }
        );
    }
    println!();
}

/// The time of one record, in nanoseconds.
fn per_record(call: &Call, case: Case) -> f64 {
    let started = Instant::now();
    call(case);
    started.elapsed().as_secs_f64() * 1e9 / f64::from(RECORDS)
}

#[derive(Clone, Copy, Debug)]
enum Case {
    /// The usual record of a program: it has no session, and the filter does not match its name.
    NotAskedFor,
    /// It is in the session, but the filter does not match its name.
    InSessionNotAskedFor,
    /// The filter matches every name; the record has no session.
    NoSession,
    /// The filter matches every name; the record is of another session.
    OtherSession,
    /// A record of the HTTP client, which is never forwarded.
    Never,
    /// Four fields and a message that has to be formatted.
    Forwarded,
    /// A span without a session, opened and closed.
    OtherSpan,
    /// A span of the session, reported when it opens and when it closes, with a field recorded in between.
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

    /// How much more it may cost with the bridge, in nanoseconds.
    fn limit(self) -> u32 {
        match self {
            Self::Forwarded => 2_000,
            Self::OtherSpan => 200,      // opened and closed
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

/// A logger and a layer that cost next to nothing.
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

/// A session, and the attachments that a bridge to it uses.
struct Session {
    attachments: Attachments,
    reporter: Reporter,
    collector: Collector,
}

impl Session {
    fn new(case: Case) -> Self {
        let collector = Collector::start().expect("a port on loopback");
        let reporter = Reporter::builder(Config::new("tml-example").base_url(collector.url()), SESSION)
            .enabled(true)
            .flush_interval(NEVER)
            .max_queue_size(QUEUE)
            .max_queue_bytes(1 << 30)
            .flush_threshold(QUEUE)
            .max_batch_bytes(1 << 30)
            .shutdown_timeout(Duration::ZERO)
            .start()
            .expect("a reporter");
        let attachments = Attachments::new();
        attachments.attach("bench", &reporter, case.filter()).expect("the first");
        Self { attachments, reporter, collector }
    }

    /// A refused record is fast, so a turn with refusals would have measured something else.
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

/// Logs the case's record a thousand times.
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

/// Inside a few spans, as most events of a program are.
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
