//! A program in which another crate enables features of ureq: the requests of the reporter are the same as without them.

use std::time::Duration;

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Reporter, Severity};

const LIMIT: Duration = Duration::from_secs(30);
const BATCHES: usize = 3;

fn main() {
    // Without the features, what follows would show nothing.
    let collector = Collector::start().unwrap();
    let cookie = || Answer::ok().header("set-cookie", "session=1; Path=/");
    collector.answer(cookie());
    let agent = ureq::Agent::new_with_defaults();
    for _ in 0..2 {
        agent.post(collector.url()).send_empty().unwrap();
    }
    let foreign = collector.requests();
    assert!(foreign[0].header("accept-encoding").is_some_and(|value| value.contains("gzip")));
    assert_eq!(foreign[1].header("cookie"), Some("session=1"));

    let collector = Collector::start().unwrap();
    (0..BATCHES).for_each(|_| collector.answer(cookie()));
    let config = Config::new("tml-example").base_url(collector.url());
    let reporter = Reporter::sessionless_builder(config).enabled(true).start().unwrap();
    for batch in 0..BATCHES {
        reporter.log("batch", batch, Severity::Info);
        assert!(reporter.wait_until_drained(LIMIT));
    }
    assert_eq!(reporter.stats().delivered, BATCHES as u64);
    let requests = collector.requests();
    assert_eq!(requests.len(), BATCHES);
    for request in requests {
        for name in ["cookie", "accept-encoding"] {
            assert_eq!(request.header(name), None, "{name}");
        }
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"x-api-key"), "{names:?}");
    }
    println!("{BATCHES} requests without a cookie and without accept-encoding");
}
