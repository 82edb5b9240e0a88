//! What an outage costs callers: the server is gone and the queue full, and as many threads as there are cores call
//! `log` a million times each. Beside it the same loop without us, since a loaded machine takes its own time out of
//! both.

mod support;

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use support::{NEVER, is_bench, log_saved, saved};
use tinker_telemetry::{Config, Reporter};

fn main() {
    let calls = if is_bench() { 1_000_000 } else { 1_000 };
    support::print_circumstances();
    // Nobody listens on port 9, and a retry waits long enough for the queue to stay full.
    let reporter = Reporter::sessionless(Config::new("tml-example").base_url("http://127.0.0.1:9"))
        .enabled(true)
        .flush_interval(NEVER)
        .retry_base_delay(Duration::from_secs(60))
        .start()
        .expect("the settings are valid");
    while log_saved(&reporter, 0) {}

    println!("| ns a call                     | p50 |  p99 | p99.9 |   worst |");
    println!("|-------------------------------|----:|-----:|------:|--------:|");
    for _ in 0..3 {
        print("the loop alone", &distribution(calls, |step| _ = black_box(saved(step))));
        print(
            "`log` into the full queue",
            &distribution(calls, |step| _ = black_box(log_saved(&reporter, step))),
        );
    }
    println!("\n{}", reporter.stats());
    reporter.stop(Duration::ZERO);
}

/// How long each call took, of all threads together, in order.
fn distribution(calls: u64, call: impl Fn(u64) + Sync) -> Vec<u64> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let timed = |step| {
        let began = Instant::now();
        call(step);
        u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    };
    let mut all: Vec<u64> = thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| (0..calls).map(timed).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a call panicked")).collect()
    });
    all.sort_unstable();
    all
}

fn print(what: &str, sorted: &[u64]) {
    let at = |permille: usize| sorted[(sorted.len() - 1) * permille / 1_000];
    let worst = sorted.last().copied().unwrap_or_default();
    println!("| {what:<29} | {:>3} | {:>4} | {:>5} | {worst:>7} |", at(500), at(990), at(999));
}
