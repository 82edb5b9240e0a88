//! How long a backlog takes with one request at a time and with several: 10 000 queued events are drained to a collector
//! that answers after a delay. The figures are medians; each reporter is fresh, so the time includes its connections.
//!
//! Where the delay is zero, more requests at a time must not be slower than one.

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

mod support;

use std::time::{Duration, Instant};

use support::quantile::Spread;
use support::{LIMIT, is_bench, log_saved, quiet_builder};
use tinker_telemetry::collector::{Answer, Collector};

const EVENTS: u64 = 10_000;

fn main() {
    println!("{}", support::machine::description());
    if !is_bench() {
        drain(200, 10, Duration::ZERO, 4);
        return;
    }
    drain(EVENTS, 100, Duration::ZERO, 4); // makes the heap grow, so that no later run has to
    for batch in [100, 512] {
        println!("\n{EVENTS} events in batches of {batch}:\n");
        println!("| delay, in ms | in flight | seconds | events/s |\n|-----:|-----:|-----:|-----:|");
        for (millis, runs) in [(0, 15), (1, 5), (20, 3), (100, 3)] {
            let mut figures = [1, 2, 4, 8].map(|limit| (limit, Vec::new()));
            // Every limit has its turn in each round, so that a busy moment of the machine meets all of them.
            for _ in 0..runs {
                for (limit, seconds) in &mut figures {
                    seconds.push(drain(EVENTS, batch, Duration::from_millis(millis), *limit));
                }
            }
            for (limit, seconds) in figures {
                let median = Spread::of(seconds).map_or(f64::NAN, |it| it.median);
                println!("| {millis} | {limit} | {median:.4} | {:.0} |", EVENTS as f64 / median);
            }
        }
    }
}

/// The seconds in which a reporter with this limit delivers so many queued events.
fn drain(events: u64, batch: usize, delay: Duration, limit: usize) -> f64 {
    let collector = Collector::start().expect("loopback has a free port");
    collector.answer_by_default(Answer::ok().delay(delay));
    let builder = quiet_builder(&collector.url(), 20_000).max_batch_size(batch).max_in_flight(limit);
    let reporter = builder.start().expect("the settings are valid");
    (0..events).for_each(|step| assert!(log_saved(&reporter, step)));
    let started = Instant::now();
    assert!(reporter.wait_until_drained(LIMIT));
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(reporter.stats().delivered, events);
    seconds
}
