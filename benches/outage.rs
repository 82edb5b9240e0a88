//! What an outage costs callers: the server is gone and the queue full, and as many threads as there are cores call
//! `log` a million times each. Beside it the same loop without us, for as long: the longer a loop runs, the more often the
//! machine takes a core away from it, and that is the worst call of either.

mod support;

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use support::{NEVER, is_bench, log_saved, saved};
use tinker_telemetry::{Config, Reporter};

const ROUNDS: usize = 10;

/// Until the scheduler has given every thread a core of its own: two that share one wait for each other for a tick.
const SETTLED: Duration = Duration::from_millis(30);

fn main() {
    let calls = if is_bench() { 1_000_000 } else { 1_000 };
    println!("{}", support::machine::description());
    // Nobody listens on port 9, and a retry waits long enough for the queue to stay full.
    let reporter = Reporter::sessionless(Config::new("tml-example").base_url("http://127.0.0.1:9"))
        .enabled(true)
        .flush_interval(NEVER)
        .retry_base_delay(Duration::from_secs(60))
        .start()
        .expect("the settings are valid");
    while log_saved(&reporter, 0) {}

    let (mut alone, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        ours.push(Calls::of_all_threads(calls, Duration::ZERO, |step| {
            _ = black_box(log_saved(&reporter, step));
        }));
        alone.push(Calls::of_all_threads(calls, began.elapsed(), |step| _ = black_box(saved(step))));
    }
    println!("Medians of {ROUNDS} rounds, least and most of their worst calls.\n");
    println!("| ns a call                 | p50 |  p99 | p99.9 |   worst |   least |     most |");
    println!("|---------------------------|----:|-----:|------:|--------:|--------:|---------:|");
    print("the loop alone", &alone);
    print("`log` into the full queue", &ours);
    println!("\n{}", reporter.stats());
    reporter.stop(Duration::ZERO);
}

/// How long calls took: how many took so many nanoseconds, the last for all that took longer.
struct Calls {
    by_nanos: Vec<u64>,
    worst: u64,
}

impl Calls {
    const LONGEST: usize = 100_000;

    fn none() -> Self {
        Self { by_nanos: vec![0; Self::LONGEST + 1], worst: 0 }
    }

    /// As many calls as said or more, for as long as said or longer, on each of as many threads as there are cores.
    fn of_all_threads(calls: u64, lasting: Duration, call: impl Fn(u64) + Sync) -> Self {
        let threads = thread::available_parallelism().map_or(2, usize::from);
        // Whoever is done waits for the rest: a thread that ends wakes the one that collects, which may be given the
        // core of one that still measures.
        let gate = Barrier::new(threads);
        let one_thread = || {
            let mut made = Self::none();
            gate.wait();
            let awake = Instant::now();
            while awake.elapsed() < SETTLED {
                call(0);
            }
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
            gate.wait();
            made
        };
        thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
            let all = running.into_iter().map(|thread| thread.join().expect("a call panicked"));
            all.fold(Self::none(), Self::and)
        })
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

    /// What so many of a thousand calls did not exceed.
    fn at(&self, permille: u64) -> u64 {
        let rank = self.by_nanos.iter().sum::<u64>() * permille / 1_000;
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen > rank
        };
        self.by_nanos.iter().position(reaches).unwrap_or(Self::LONGEST) as u64
    }
}

fn print(what: &str, rounds: &[Calls]) {
    let median = |figure: &dyn Fn(&Calls) -> u64| {
        let mut figures: Vec<u64> = rounds.iter().map(figure).collect();
        figures.sort_unstable();
        (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
    };
    let [p50, p99, p999] = [500, 990, 999].map(|permille| median(&|calls| calls.at(permille)).1);
    let (least, worst, most) = median(&|calls| calls.worst);
    println!("| {what:<25} | {p50:>3} | {p99:>4} | {p999:>5} | {worst:>7} | {least:>7} | {most:>8} |");
}
