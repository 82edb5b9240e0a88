//! How the cost grows: with reporters in one process, with threads that log, with the size of the data, with the round
//! trip to the server, and with the size of the batches. Anything that grows faster than the work is a defect.
//!
//! Each table has one thing vary, and its figures are medians of three runs. A call's time is that of a core: where more
//! threads log than there are cores, they share them. The worker's processor time is the kernel's word (Linux only).

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

mod support;

use std::fs;
use std::sync::Barrier;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use support::{LIMIT, builder, is_bench};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Reporter, Severity};

fn main() {
    println!("{}", support::machine::description());
    if !is_bench() {
        run(&Load { calls: 200, ..Load::default() });
        return;
    }
    let default = Load::default;
    table("reporters, 10 000 events in all");
    for reporters in [1, 10, 100] {
        print(&reporters.to_string(), &Load { reporters, ..default() });
    }
    table("threads, 10 000 events in all");
    for threads in [1, 2, 4, 8, 16, 32, 64] {
        print(&threads.to_string(), &Load { threads, ..default() });
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

/// What a run gives, in the order of the table.
const FIGURES: [&str; 6] = [
    "ns a call",
    "events/s drained",
    "worker µs an event",
    "µs to start one",
    "ms to stop all",
    "MB added by one",
];

/// A line of the table: each figure's median.
fn print(what: &str, load: &Load) {
    let runs: [_; 3] = std::array::from_fn(|_| run(load));
    print!("| {what:>6} |");
    for (figure, name) in FIGURES.iter().enumerate() {
        let mut values = runs.map(|run| run[figure]);
        values.sort_by(f64::total_cmp);
        let digits = if values[1] < 10.0 { 2 } else { 0 };
        print!(" {:>width$.digits$} |", values[1], width = name.chars().count());
    }
    println!();
}

/// What is done in one run: by each of the threads to each of the reporters its share of the calls.
struct Load {
    reporters: usize,
    threads: usize,
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

    let (started, before) = (Instant::now(), resident());
    let builder = || builder(&collector.url()).max_queue_bytes(1 << 30).max_batch_size(load.batch);
    let start = || builder().start().expect("the settings are valid");
    let reporters: Vec<Reporter> = (0..load.reporters).map(|_| start()).collect();
    let start = started.elapsed().as_secs_f64() / load.reporters as f64;
    let added = (resident() - before) / load.reporters as f64;

    let started = Instant::now();
    let calls = load.calls / load.threads;
    let log = || {
        for call in 0..calls {
            let reporter = &reporters[call % load.reporters];
            assert!(reporter.log("event", &data, Severity::Info), "{}", reporter.stats());
        }
    };
    let logged = on_threads(load.threads, log).as_secs_f64();
    let cores = load.threads.min(available_parallelism().map_or(1, usize::from));
    let calls = (calls * load.threads) as f64;
    for reporter in &reporters {
        assert!(reporter.wait_until_drained(LIMIT));
    }
    let drained = started.elapsed().as_secs_f64();
    let worker = worker_time().as_secs_f64();

    let started = Instant::now();
    for reporter in &reporters {
        assert!(reporter.stop(LIMIT));
    }
    let stop = started.elapsed().as_secs_f64();
    [
        logged * cores as f64 / calls * 1e9,
        calls / drained,
        worker / calls * 1e6,
        start * 1e6,
        stop * 1e3,
        added,
    ]
}

/// Runs it on so many threads; how long, from when the first begins to when the last is done.
fn on_threads(threads: usize, run: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    let begin = || {
        barrier.wait();
        let started = Instant::now();
        run();
        (started, Instant::now())
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no call panics")).collect()
    });
    let first = spans.iter().map(|(started, _)| *started).min();
    let last = spans.iter().map(|(_, done)| *done).max();
    last.zip(first).map(|(last, first)| last - first).unwrap_or_default()
}

/// The processor time of all reporters' workers so far.
fn worker_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let workers = tasks.filter(|task| read(task.join("comm")).trim() == "tinker-reporter");
    let nanos =
        workers.filter_map(|task| read(task.join("schedstat")).split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(nanos.sum())
}

/// What the process holds of the machine's memory, in MB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
