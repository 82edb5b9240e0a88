//! What `log` costs its caller, as a distribution. In bursts, the worker is awake and sends; paced, each thread makes
//! one call every 250 µs and the worker sleeps in between. On 1, 4 and 8 threads; with five kinds of data, into a full
//! queue, and with a reporter that is switched off.
//!
//! A harness shows a median, but telemetry hurts a program in the tail. So each call is timed. The time that reading
//! the clock takes is measured too, shown, and subtracted. The mean of bursts comes from further bursts without a clock
//! inside. Everything is measured in rounds, and each round measures every row. The lowest and the highest median of
//! the rounds show how steady the machine was.

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

mod support;

use std::hint;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use support::quantile::{Spread, quantile};
use support::threads::on_threads;
use support::{Step, builder, drain, full, is_bench, log_json, log_saved, log_tree, sampled, step};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

const THREADS: [usize; 3] = [1, 4, 8];

/// The queue has room for a burst of 8 threads, so nothing is refused.
const BURST_CALLS: u64 = 2_000;
const QUEUE: usize = 20_000;

/// The first calls of a thread allocate its buffers.
const WARM: u64 = 50;

/// A quarter of a second for each row in each round.
const PACED_CALLS: u64 = 1_000;
const PACE: Duration = Duration::from_micros(250);

type Call = fn(&Reporter, u64) -> bool;

/// What the reporter does with the calls.
#[derive(Clone, Copy, Debug)]
enum Reports {
    Yes,
    /// Its queue is full.
    Refuses,
    /// It is switched off.
    No,
}

/// Made before the calls that log it, so that they do not pay for its lists.
static STEP: LazyLock<Step> = LazyLock::new(step);

const CALLS: [(&str, Reports, Call); 7] = [
    ("borrowed struct", Reports::Yes, log_saved),
    ("json!", Reports::Yes, log_json),
    ("serde_json", Reports::Yes, log_tree),
    ("strings", Reports::Yes, |reporter, _| reporter.log("sampled", sampled(), Severity::Info)),
    ("nested", Reports::Yes, |reporter, _| reporter.log("step", &*STEP, Severity::Info)),
    ("refused", Reports::Refuses, log_saved),
    ("switched off", Reports::No, log_saved),
];

fn main() {
    let rounds = if is_bench() { 5 } else { 1 };
    let cores = available_parallelism().map_or(1, usize::from);
    let mut rows: Vec<Row> = [Mode::Burst, Mode::Paced]
        .into_iter()
        .flat_map(|mode| THREADS.map(|threads| (mode, threads)))
        .filter(|(mode, threads)| matches!(mode, Mode::Burst) || *threads <= cores)
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
    println!(
        "ns for each call, in {rounds} rounds; the clock's own {clock} ns are taken off.\n\
         Burst: where threads are more than the {cores} cores they take turns, and the mean has the wait for one.\n\
         Paced: a call of each thread every 250 µs by a schedule; it spins until the next is due. Not on more\n\
         threads than there are cores: those that share one keep no schedule.\n"
    );
    println!("| mode  | threads | call            |   p50 |    p99 |  p99.9 |   mean | p50 by round |");
    println!("|-------|--------:|-----------------|------:|-------:|-------:|-------:|-------------:|");
    for row in &mut rows {
        row.print(clock);
    }
}

/// The time between two readings of the clock with nothing in between.
fn what_the_clock_takes() -> f64 {
    let mut readings: Vec<_> = (0..100_000).map(|_| nanos(Instant::now().elapsed())).collect();
    readings.sort_unstable();
    quantile(&readings, 500)
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
    /// The time of each call in all rounds, clock included.
    times: Vec<u32>,
    /// One for each round, without the clock.
    medians: Vec<f64>,
    means: Vec<f64>,
}

impl Row {
    fn new(mode: Mode, threads: usize, (what, reports, call): (&'static str, Reports, Call)) -> Self {
        Self { mode, threads, what, reports, call, times: Vec::new(), medians: Vec::new(), means: Vec::new() }
    }

    /// Measures one round.
    fn measure(&mut self, clock: f64) {
        let collector = Collector::start().expect("loopback has a free port");
        let reporter = match (self.reports, self.mode) {
            (Reports::Yes, mode) => reporter(&collector, mode),
            (Reports::Refuses, _) => full(),
            (Reports::No, _) => Reporter::disabled(),
        };
        let is_taken = matches!(self.reports, Reports::Yes);
        let call = |step| assert_eq!((self.call)(&reporter, step), is_taken, "{}", reporter.stats());
        let warm = || (0..WARM).for_each(call);

        let (mut times, mean) = match self.mode {
            Mode::Burst => {
                let times = on_threads(self.threads, warm, || timed(call, BURST_CALLS, || {})).concat();
                settle(&reporter, &collector);
                let means = on_threads(self.threads, warm, || untimed(call, BURST_CALLS));
                (times, mean(&means))
            }
            Mode::Paced => {
                let thread = AtomicU32::new(0);
                let paced = || {
                    // Each thread begins a little later: otherwise all of them would call at the same moment every
                    // time.
                    let mut due = Instant::now() + PACE / 8 * thread.fetch_add(1, Ordering::Relaxed);
                    timed(call, PACED_CALLS, || {
                        while Instant::now() < due {
                            hint::spin_loop();
                        }
                        due += PACE;
                    })
                };
                let times = on_threads(self.threads, warm, paced).concat();
                let mean = mean(&times) - clock;
                (times, mean)
            }
        };
        settle(&reporter, &collector);
        times.sort_unstable();
        self.medians.push(quantile(&times, 500) - clock);
        self.means.push(mean);
        self.times.append(&mut times);
    }

    fn print(&mut self, clock: f64) {
        let Self { mode, threads, what, times, medians, means, .. } = self;
        times.sort_unstable();
        let [p50, p99, p999] = [500, 990, 999].map(|per_mille| quantile(times, per_mille) - clock);
        let spread = |by_round: &[f64]| Spread::of(by_round.iter().copied()).expect("one round or more");
        let (medians, means) = (spread(medians), spread(means));
        let mode = format!("{mode:?}").to_lowercase();
        let by_round = format!("{:.0}–{:.0}", medians.least, medians.most);
        println!(
            "| {mode:<5} | {threads:>7} | {what:<15} | {p50:>5.0} | {p99:>6.0} | {p999:>6.0} | {:>6.0} | {by_round:>12} |",
            means.median
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

/// Waits until the accepted events are sent. A queue that stays full is not waited for.
fn settle(reporter: &Reporter, collector: &Collector) {
    if reporter.stats().refused.total() == 0 {
        drain(reporter, collector);
    }
}

/// The time of each call.
fn timed(call: impl Fn(u64), calls: u64, mut wait: impl FnMut()) -> Vec<u32> {
    let one = |step| {
        wait();
        let started = Instant::now();
        call(step);
        nanos(started.elapsed())
    };
    (0..calls).map(one).collect()
}

/// The average time of a call, without a clock inside.
fn untimed(call: impl Fn(u64), calls: u64) -> f64 {
    let started = Instant::now();
    (0..calls).for_each(call);
    started.elapsed().as_secs_f64() * 1e9 / calls as f64
}

fn mean<T: Copy + Into<f64>>(times: &[T]) -> f64 {
    times.iter().map(|&time| time.into()).sum::<f64>() / times.len() as f64
}

fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}
