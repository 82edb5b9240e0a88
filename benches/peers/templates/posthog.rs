mod rss;

use std::time::Instant;

use posthog_rs::{Client, ClientOptionsBuilder, Event};

fn main() {
    let (sink, full) = rss::task();
    let began = Instant::now();
    let options = ClientOptionsBuilder::default()
        .api_key("phc_peers".to_owned())
        .host(format!("http://{sink}"))
        .max_queue_size(10_000)
        .build()
        .unwrap();
    let client = posthog_rs::client(options);
    println!("start_us {}", began.elapsed().as_micros());
    if full {
        (0..10_000).for_each(|n| log(&client, n));
        rss::print("full_rss");
    } else {
        log(&client, 0);
        client.flush();
        rss::print("idle_rss");
    }
    std::process::exit(0);
}

fn log(client: &Client, n: i64) {
    let mut event = Event::new("checkpoint.saved", "session-0001");
    event.insert_prop("step", n).unwrap();
    event.insert_prop("loss", 0.4213).unwrap();
    event.insert_prop("shard", "shard-eu-west-3").unwrap();
    client.capture(event);
}
