//! What an outage costs callers. The server is gone, the queue is full, and as many threads as there are cores call
//! `log` a million times each. Beside it the same loop without `log`, for as long: the longer a loop runs, the more
//! often the machine takes its core away, and that makes the worst call of both loops.

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

mod support;

use std::hint::black_box;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use support::quantile::{Spread, quantile_by_rank};
use support::threads::on_threads;
use support::{LIMIT, builder, is_bench, log_saved, saved};

const ROUNDS: usize = 10;

/// The first calls of a thread allocate its buffers.
const WARM: u64 = 1_000;

fn main() {
    let calls = if is_bench() { 1_000_000 } else { 1_000 };
    println!("{}", support::machine::description());
    // No server listens on port 9, and a retry waits so long that the queue stays full.
    let reporter = builder("http://127.0.0.1:9").retry_base_delay(LIMIT).start();
    let reporter = reporter.expect("the settings are valid");
    while log_saved(&reporter, 0) {}
    let filled = reporter.stats().accepted;

    let (mut alone, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        ours.push(Calls::of_all_threads(calls, Duration::ZERO, |step| {
            _ = black_box(log_saved(&reporter, step));
        }));
        alone.push(Calls::of_all_threads(calls, began.elapsed(), |step| _ = black_box(saved(step))));
    }
    assert_eq!(reporter.stats().accepted, filled, "the queue stayed full");
    println!("Medians of {ROUNDS} rounds, least and most of their worst calls.\n");
    println!("| ns a call                 | p50 |  p99 | p99.9 |   worst |   least |     most |");
    println!("|---------------------------|----:|-----:|------:|--------:|--------:|---------:|");
    print("the loop alone", &alone);
    print("`log` into the full queue", &ours);
    println!("\n{}", reporter.stats());
    reporter.stop(Duration::ZERO);
}

/// How many calls took how many nanoseconds. The last entry counts all calls that took longer.
struct Calls {
    by_nanos: Vec<usize>,
    worst: u64,
}

impl Calls {
    const LONGEST: usize = 100_000;

    fn none() -> Self {
        Self { by_nanos: vec![0; Self::LONGEST + 1], worst: 0 }
    }

    /// Makes at least this many calls for at least this long, on as many threads as there are cores.
    fn of_all_threads(calls: u64, lasting: Duration, call: impl Fn(u64) + Sync) -> Self {
        let threads = available_parallelism().map_or(2, usize::from);
        let warm = || (0..WARM).for_each(&call);
        let one_thread = || {
            let mut made = Self::none();
            let began = Instant::now();
            for chunk in 0.. {
                for step in chunk * 1_000..(chunk + 1) * 1_000 {
                    let began = Instant::now();
                    call(step);
                    made.count(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
                }
                if (chunk + 1) * 1_000 >= calls && began.elapsed() >= lasting {
                    break;
                }
            }
            made
        };
        on_threads(threads, warm, one_thread).into_iter().fold(Self::none(), Self::and)
    }

    fn count(&mut self, nanos: u64) {
        self.worst = self.worst.max(nanos);
        self.by_nanos[usize::try_from(nanos).unwrap_or(usize::MAX).min(Self::LONGEST)] += 1;
    }

    fn and(mut self, other: Self) -> Self {
        self.worst = self.worst.max(other.worst);
        self.by_nanos.iter_mut().zip(other.by_nanos).for_each(|(mine, others)| *mine += others);
        self
    }

    /// The time that this many of a thousand calls did not exceed.
    fn at(&self, per_mille: usize) -> f64 {
        let made = self.by_nanos.iter().sum();
        quantile_by_rank(made, per_mille, |rank| {
            let mut seen = 0;
            let reaches = |count: &usize| {
                seen += count;
                seen > rank
            };
            self.by_nanos.iter().position(reaches).unwrap_or(Self::LONGEST) as f64
        })
    }
}

fn print(what: &str, rounds: &[Calls]) {
    let spread = |figure: &dyn Fn(&Calls) -> f64| Spread::of(rounds.iter().map(figure)).expect("rounds");
    let [p50, p99, p999] = [500, 990, 999].map(|per_mille| spread(&|calls| calls.at(per_mille)).median);
    let Spread { least, median, most } = spread(&|calls| calls.worst as f64);
    println!(
        "| {what:<25} | {p50:>3.0} | {p99:>4.0} | {p999:>5.0} | {median:>7.0} | {least:>7.0} | {most:>8.0} |"
    );
}
