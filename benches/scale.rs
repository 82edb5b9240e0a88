//! How the cost grows: with reporters in one process, with threads that log, with the size of the data, with the round
//! trip to the server, and with the size of the batches. A cost that grows faster than the work is a defect.
//!
//! In each table one thing varies. The figures are medians of three runs over connections that are already open. The
//! time of a call is time of one core: if more threads log than there are cores, they share the cores. The worker's
//! processor time comes from the kernel (Linux only). What a reporter adds to a process's memory is measured in
//! `peers`, because that takes a process of its own.

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

mod support;

use std::fs;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use support::quantile::Spread;
use support::threads::on_threads;
use support::{LIMIT, builder, is_bench};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Reporter, Severity};

/// The first calls of a thread allocate its buffers.
const WARM: usize = 50;

fn main() {
    println!("{}", support::machine::description());
    if !is_bench() {
        run(&Load { calls: 200, ..Load::default() });
        return;
    }
    let default = Load::default;
    run(&default()); // makes the heap grow, so that no later run has to
    table("reporters, 10 000 events in all");
    for reporters in [1, 10, 100] {
        print(&reporters.to_string(), &Load { reporters, ..default() });
    }
    table("threads, 2 000 events of each, and a queue with room for all");
    for threads in [1, 2, 4, 8, 16, 32, 64] {
        print(&threads.to_string(), &Load { threads, calls: 2_000, ..default() });
    }
    table("bytes of data in an event");
    for (bytes, calls) in [(10, 10_000), (100, 10_000), (1_000, 10_000), (10_000, 1_000), (200_000, 50)] {
        print(&bytes.to_string(), &Load { calls, bytes, ..default() });
    }
    table("round trip, in ms");
    for (millis, calls) in [(0, 10_000), (1, 10_000), (5, 10_000), (20, 10_000), (50, 5_000), (200, 2_000)] {
        let round_trip = Duration::from_millis(millis);
        print(&millis.to_string(), &Load { calls, round_trip, ..default() });
    }
    table("events in a batch, with a round trip of 20 ms");
    for batch in [100, 200, 500, 1_000, 5_000] {
        print(&batch.to_string(), &Load { batch, round_trip: Duration::from_millis(20), ..default() });
    }
}

fn table(varies: &str) {
    println!("\n{varies}:\n");
    println!("|        | {} |", FIGURES.join(" | "));
    println!("|-------:|{}", FIGURES.map(|name| "-".repeat(name.len() + 1) + ":|").concat());
}

/// The figures of one run, in the order of the columns.
const FIGURES: [&str; 5] =
    ["ns a call", "events/s drained", "worker µs an event", "µs to start one", "ms to stop all"];

/// Prints a row of the table: the median of each figure.
fn print(what: &str, load: &Load) {
    let runs: [_; 3] = std::array::from_fn(|_| run(load));
    print!("| {what:>6} |");
    for (figure, name) in FIGURES.iter().enumerate() {
        let median = Spread::of(runs.map(|run| run[figure])).map_or(f64::NAN, |it| it.median);
        let digits = if median < 10.0 { 2 } else { 0 };
        print!(" {median:>width$.digits$} |", width = name.chars().count());
    }
    println!();
}

/// What one run does.
struct Load {
    reporters: usize,
    threads: usize,
    /// The calls of each thread, to the reporters in turn.
    calls: usize,
    bytes: usize,
    round_trip: Duration,
    batch: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self { reporters: 1, threads: 1, calls: 10_000, bytes: 100, round_trip: Duration::ZERO, batch: 100 }
    }
}

fn run(load: &Load) -> [f64; FIGURES.len()] {
    let collector = Collector::start().expect("loopback has a free port");
    collector.answer_by_default(Answer::ok().delay(load.round_trip));
    let data = "x".repeat(load.bytes);

    let calls = load.threads * load.calls;
    let builder = || {
        let builder = builder(&collector.url()).max_batch_size(load.batch);
        builder.max_queue_size(calls).max_queue_bytes(1 << 30)
    };
    let start = || builder().start().expect("the settings are valid");
    let started = Instant::now();
    let reporters: Vec<Reporter> = (0..load.reporters).map(|_| start()).collect();
    let start = started.elapsed().as_secs_f64() / load.reporters as f64;

    let log = |calls| {
        for call in 0..calls {
            let reporter = &reporters[call % load.reporters];
            assert!(reporter.log("event", &data, Severity::Info), "{}", reporter.stats());
        }
    };
    let drain = || reporters.iter().for_each(|reporter| assert!(reporter.wait_until_drained(LIMIT)));
    let warm = || {
        log(WARM.max(load.reporters));
        drain();
    };
    let spans = on_threads(load.threads, warm, || {
        let began = Instant::now();
        log(load.calls);
        (began, Instant::now())
    });
    drain();
    let drained = Instant::now();
    let worker = worker_time().as_secs_f64();
    let began = spans.iter().map(|(began, _)| *began).min().expect("one thread or more");
    let logged = spans.iter().map(|(_, logged)| *logged).max().expect("one thread or more");
    let cores = load.threads.min(available_parallelism().map_or(1, usize::from));
    let events: u64 = reporters.iter().map(|reporter| reporter.stats().accepted).sum();

    let started = Instant::now();
    for reporter in &reporters {
        assert!(reporter.stop(LIMIT));
    }
    let stop = started.elapsed().as_secs_f64();
    [
        (logged - began).as_secs_f64() * cores as f64 / calls as f64 * 1e9,
        calls as f64 / (drained - began).as_secs_f64(),
        worker / events as f64 * 1e6,
        start * 1e6,
        stop * 1e3,
    ]
}

/// The processor time of the workers of all reporters so far.
fn worker_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let workers = tasks.filter(|task| read(task.join("comm")).trim() == "tinker-reporter");
    let nanos =
        workers.filter_map(|task| read(task.join("schedstat")).split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(nanos.sum())
}
