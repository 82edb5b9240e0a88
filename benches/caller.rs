//! What `log` costs its caller, as a distribution: in bursts with the worker awake and sending, and paced, one call
//! every 250 µs with the worker asleep between; on 1, 4 and 8 threads; with five kinds of data, into a queue that is full,
//! and switched off.
//!
//! A harness shows a median; telemetry hurts in the tail. So each call is timed, and what reading the clock takes is
//! measured too, shown, and taken off. The mean of bursts is of more of them, without a clock inside. All is measured in
//! rounds, each with every row in turn; the median's lowest and highest over the rounds show how much the machine moved
//! under it.

mod support;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use support::{builder, drain, full, is_bench, log_json, log_saved, log_tree, sampled, step};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

const THREADS: [usize; 3] = [1, 4, 8];

/// A burst of 8 threads fits the queue, so that nothing is refused.
const BURST_CALLS: usize = 2_000;
const QUEUE: usize = 20_000;

/// The first calls of a thread make its buffers.
const WARM: u64 = 50;

const MEDIAN: usize = 500;

/// Half a second for each row and round.
const PACED_CALLS: usize = 1_000;
const PACE: Duration = Duration::from_micros(250);

type Call = fn(&Reporter, u64) -> bool;

/// What a reporter does with a call.
#[derive(Clone, Copy, Debug)]
enum Reports {
    Yes,
    /// Its queue is full.
    Refuses,
    /// It is switched off.
    No,
}

const CALLS: [(&str, Reports, Call); 7] = [
    ("borrowed struct", Reports::Yes, log_saved),
    ("json!", Reports::Yes, log_json),
    ("serde_json", Reports::Yes, log_tree),
    ("strings", Reports::Yes, |reporter, _| reporter.log("sampled", sampled(), Severity::Info)),
    ("nested", Reports::Yes, |reporter, _| reporter.log("step", step(), Severity::Info)),
    ("refused", Reports::Refuses, log_saved),
    ("switched off", Reports::No, log_saved),
];

fn main() {
    let rounds = if is_bench() { 5 } else { 1 };
    let mut rows: Vec<Row> = [Mode::Burst, Mode::Paced]
        .into_iter()
        .flat_map(|mode| THREADS.map(|threads| (mode, threads)))
        .flat_map(|(mode, threads)| CALLS.map(|call| Row::new(mode, threads, call)))
        .collect();
    if !is_bench() {
        rows.truncate(1);
    }
    println!("{}", support::machine::description());
    let clock = what_the_clock_takes();
    for _ in 0..rounds {
        for row in &mut rows {
            row.measure(clock);
        }
    }
    println!("ns for each call, in {rounds} rounds; the clock's own {clock} ns are taken off\n");
    println!("| mode  | threads | call            |   p50 |    p99 |  p99.9 |   mean | p50 by round |");
    println!("|-------|--------:|-----------------|------:|-------:|-------:|-------:|-------------:|");
    rows.iter_mut().for_each(Row::print);
}

/// What two readings of the clock are apart with nothing between them.
fn what_the_clock_takes() -> u64 {
    let mut readings: Vec<_> = (0..100_000).map(|_| nanos(Instant::now().elapsed())).collect();
    percentile(&mut readings, MEDIAN)
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Burst,
    Paced,
}

/// One line of the table.
struct Row {
    mode: Mode,
    threads: usize,
    what: &'static str,
    reports: Reports,
    call: Call,
    /// Of each call, over all rounds.
    times: Vec<u64>,
    /// By round.
    medians: Vec<u64>,
    means: Vec<u64>,
}

impl Row {
    fn new(mode: Mode, threads: usize, (what, reports, call): (&'static str, Reports, Call)) -> Self {
        Self { mode, threads, what, reports, call, times: Vec::new(), medians: Vec::new(), means: Vec::new() }
    }

    /// One round.
    fn measure(&mut self, clock: u64) {
        let collector = Collector::start().expect("loopback has a free port");
        let reporter = match (self.reports, self.mode) {
            (Reports::Yes, mode) => reporter(&collector, mode),
            (Reports::Refuses, _) => full(),
            (Reports::No, _) => Reporter::disabled(),
        };
        let is_taken = matches!(self.reports, Reports::Yes);
        let call = |step| assert_eq!((self.call)(&reporter, step), is_taken, "{}", reporter.stats());

        let (mut times, mean) = match self.mode {
            Mode::Burst => {
                let times = self.on_threads(|| timed(call, BURST_CALLS, || {}));
                settle(&reporter, &collector);
                let means = self.on_threads(|| vec![untimed(call, BURST_CALLS)]);
                (times, mean(&means))
            }
            Mode::Paced => {
                let times = self.on_threads(|| timed(call, PACED_CALLS, || thread::sleep(PACE)));
                let mean = mean(&times).saturating_sub(clock);
                (times, mean)
            }
        };
        settle(&reporter, &collector);
        for time in &mut times {
            *time = time.saturating_sub(clock);
        }
        self.medians.push(percentile(&mut times, MEDIAN));
        self.means.push(mean);
        self.times.append(&mut times);
    }

    /// Runs it on each thread, all from the same moment on.
    fn on_threads(&self, run: impl Fn() -> Vec<u64> + Sync) -> Vec<u64> {
        let barrier = Barrier::new(self.threads);
        let begin = || {
            barrier.wait();
            run()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no call panics")).collect()
        })
    }

    fn print(&mut self) {
        let Self { mode, threads, what, times, medians, means, .. } = self;
        let [p50, p99, p999] = [MEDIAN, 990, 999].map(|per_mille| percentile(times, per_mille));
        let mean = percentile(means, MEDIAN);
        let [lowest, highest] = [0, 1_000].map(|per_mille| percentile(medians, per_mille));
        let mode = format!("{mode:?}").to_lowercase();
        let by_round = format!("{lowest}–{highest}");
        println!(
            "| {mode:<5} | {threads:>7} | {what:<15} | {p50:>5} | {p99:>6} | {p999:>6} | {mean:>6} | {by_round:>12} |"
        );
    }
}

fn reporter(collector: &Collector, mode: Mode) -> Reporter {
    let builder = builder(&collector.url()).max_queue_size(QUEUE);
    let builder = match mode {
        Mode::Burst => builder,
        Mode::Paced => builder.flush_threshold(QUEUE),
    };
    builder.start().expect("the settings are valid")
}

/// Waits for what was taken; what fills a queue for good is not waited for.
fn settle(reporter: &Reporter, collector: &Collector) {
    if reporter.stats().refused.total() == 0 {
        drain(reporter, collector);
    }
}

/// What each call took, the first of the thread left out: they make its buffers.
fn timed(call: impl Fn(u64), calls: usize, pause: impl Fn()) -> Vec<u64> {
    (0..WARM).for_each(&call);
    let one = |step| {
        pause();
        let started = Instant::now();
        call(step);
        nanos(started.elapsed())
    };
    (0..calls as u64).map(one).collect()
}

/// What a call took on average, with no clock inside.
fn untimed(call: impl Fn(u64), calls: usize) -> u64 {
    (0..WARM).for_each(&call);
    let started = Instant::now();
    (0..calls as u64).for_each(call);
    nanos(started.elapsed()) / calls as u64
}

fn mean(times: &[u64]) -> u64 {
    times.iter().sum::<u64>() / times.len() as u64
}

fn percentile(times: &mut [u64], per_mille: usize) -> u64 {
    *times.select_nth_unstable((times.len() - 1) * per_mille / 1_000).1
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
