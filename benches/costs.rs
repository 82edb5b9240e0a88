//! The median cost of a call for its thread while the worker sleeps, and what the call allocates; the cost of making a
//! request; and the cost of ending: a drain, beside the bare round trip of the same bytes, and a stop.
//!
//! The whole distribution, with the worker awake and on several threads, is in `caller.rs`.

mod support;

use std::io;
use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use support::{
    Bare, LIMIT, body_of, builder, drain, full, log_json, log_saved, log_tree, offered, quiet, sampled,
    saved, step,
};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity, internals};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    println!("{}", support::machine::description());
    divan::main();
}

/// Measures a call that puts an event into a queue with room.
fn queued(bencher: Bencher, call: impl Fn(&Reporter) -> bool + Sync) {
    let collector = Collector::start().unwrap();
    let reporter = quiet(&collector.url(), 50_000);
    let make_room = || {
        if reporter.stats().pending > 10_000 {
            drain(&reporter, &collector);
        }
    };
    // The queue is drained before a sample begins, never during one.
    bencher.with_inputs(make_room).bench_values(|()| call(&reporter));
    assert_eq!(reporter.stats().refused.total(), 0);
}

#[divan::bench_group(sample_count = 1_000, sample_size = 100)]
mod log {
    use super::{
        Bencher, Duration, Reporter, Severity, full, log_json, log_saved, log_tree, queued, sampled, saved,
        step,
    };

    #[divan::bench]
    fn borrowed_struct(bencher: Bencher) {
        queued(bencher, |reporter| reporter.log("checkpoint.saved", saved(1200), Severity::Info));
    }

    #[divan::bench]
    fn owned_name(bencher: Bencher) {
        queued(bencher, |reporter| {
            reporter.log(String::from("checkpoint.saved"), saved(1200), Severity::Info)
        });
    }

    #[divan::bench]
    fn json_macro(bencher: Bencher) {
        queued(bencher, |reporter| log_json(reporter, 1200));
    }

    #[divan::bench]
    fn serde_json_macro(bencher: Bencher) {
        queued(bencher, |reporter| log_tree(reporter, 1200));
    }

    #[divan::bench]
    fn strings(bencher: Bencher) {
        queued(bencher, |reporter| reporter.log("sampled", sampled(), Severity::Info));
    }

    #[divan::bench]
    fn nested(bencher: Bencher) {
        let step = step();
        queued(bencher, |reporter| reporter.log("step", &step, Severity::Info));
    }

    #[divan::bench]
    fn refused(bencher: Bencher) {
        let reporter = full();
        bencher.bench(|| log_saved(&reporter, 1200));
        reporter.stop(Duration::ZERO);
    }

    #[divan::bench]
    fn disabled(bencher: Bencher) {
        let reporter = Reporter::disabled();
        bencher.bench(|| log_saved(divan::black_box(&reporter), 1200));
    }
}

/// Each call wakes the worker, because it asks for a flush.
#[divan::bench(sample_count = 1_000, sample_size = 1)]
fn log_exception(bencher: Bencher) {
    let error = io::Error::new(io::ErrorKind::NotFound, "no checkpoint at runs/a");
    queued(bencher, |reporter| reporter.log_exception(&error, Severity::Error));
}

/// The worker's part: from encoded records to the body of a request.
#[divan::bench(args = [1, 100], sample_count = 1_000, sample_size = 1)]
fn encode_of(bencher: Bencher, events: u64) {
    bencher
        .with_inputs(|| (0..events).map(offered).collect())
        .bench_values(|events| internals::request("session-0001", events, Uuid::nil()).unwrap());
}

/// The same for an OpenTelemetry collector.
#[cfg(feature = "otlp")]
#[divan::bench(args = [1, 100], sample_count = 1_000, sample_size = 1)]
fn encode_otlp_of(bencher: Bencher, events: u64) {
    let resource = internals::OtlpResource::new(Vec::new(), Uuid::nil());
    bencher
        .with_inputs(|| (0..events).map(offered).collect())
        .bench_values(|events| internals::otlp_request("session-0001", events, &resource).unwrap());
}

/// Allocates the queue, parses the endpoint, starts the thread.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn start(bencher: Bencher) {
    let collector = Collector::start().unwrap();
    bencher.with_inputs(|| builder(&collector.url())).bench_values(|builder| builder.start().unwrap());
}

#[divan::bench_group(sample_count = 500, sample_size = 1)]
mod end {
    use super::{Bare, Bencher, Collector, LIMIT, body_of, drain, log_saved, quiet};

    /// 50 events are pending when the program ends; 100 are a full batch.
    const EVENTS: [u64; 2] = [50, 100];

    #[divan::bench(args = EVENTS)]
    fn bare_round_trip(bencher: Bencher, events: u64) {
        let collector = Collector::start().unwrap();
        let mut bare = Bare::new(collector.port(), &body_of(events));
        bencher.bench_local(|| bare.round_trip());
    }

    /// May take a bare round trip and 1 ms.
    #[divan::bench(args = EVENTS)]
    fn drain_of(bencher: Bencher, events: u64) {
        let collector = Collector::start().unwrap();
        let reporter = quiet(&collector.url(), 1_000);
        let log = || (0..events).for_each(|step| assert!(log_saved(&reporter, step)));
        bencher.with_inputs(log).bench_values(|()| assert!(reporter.wait_until_drained(LIMIT)));
    }

    /// May take 2 ms.
    #[divan::bench]
    fn stop_with_nothing_pending(bencher: Bencher) {
        let collector = Collector::start().unwrap();
        bencher
            .with_inputs(|| {
                let reporter = quiet(&collector.url(), 1_000);
                assert!(log_saved(&reporter, 0));
                drain(&reporter, &collector);
                reporter
            })
            .bench_refs(|reporter| assert!(reporter.stop(LIMIT)));
    }

    // One call is too short for the clock.
    #[divan::bench(sample_size = 1_000)]
    fn drain_with_nothing_pending(bencher: Bencher) {
        let collector = Collector::start().unwrap();
        let reporter = quiet(&collector.url(), 1_000);
        bencher.bench(|| reporter.wait_until_drained(LIMIT));
    }
}
