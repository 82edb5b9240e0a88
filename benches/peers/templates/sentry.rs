mod rss;

use std::time::{Duration, Instant};

fn main() {
    let (sink, full) = rss::task();
    let began = Instant::now();
    let guard = sentry::init(
        sentry::ClientOptions::new().dsn(&format!("http://key@{sink}/1")).transport_channel_capacity(10_000),
    );
    println!("start_us {}", began.elapsed().as_micros());
    if full {
        (0..10_000).for_each(log);
        rss::print("full_rss");
    } else {
        log(0);
        assert!(guard.flush(Some(Duration::from_secs(10))));
        rss::print("idle_rss");
    }
    std::process::exit(0);
}

fn log(n: i64) {
    sentry::logger_info!(step = n, loss = 0.4213, shard = "shard-eu-west-3", "checkpoint.saved");
}
