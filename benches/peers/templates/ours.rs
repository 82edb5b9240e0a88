mod rss;

use std::time::{Duration, Instant};

use serde::Serialize;
use tinker_telemetry::{Config, Reporter, Severity};

#[derive(Serialize)]
struct Fields<'a> {
    step: i64,
    loss: f64,
    shard: &'a str,
}

fn main() {
    let (sink, full) = rss::task();
    let began = Instant::now();
    let config = Config::new("tml-peers").base_url(format!("http://{sink}"));
    // Room for the session's start and 10 000 events.
    let builder = Reporter::builder(config, "session-0001").enabled(true).max_queue_size(10_001);
    let reporter = builder.start().unwrap();
    println!("start_us {}", began.elapsed().as_micros());
    if full {
        (0..10_000).for_each(|n| log(&reporter, n));
        rss::print("full_rss");
    } else {
        log(&reporter, 0);
        assert!(reporter.wait_until_drained(Duration::from_secs(10)));
        rss::print("idle_rss");
    }
    std::process::exit(0);
}

fn log(reporter: &Reporter, step: i64) {
    let fields = Fields { step, loss: 0.4213, shard: "shard-eu-west-3" };
    assert!(reporter.log("checkpoint.saved", fields, Severity::Info));
}
