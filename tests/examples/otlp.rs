//! Keeps the OTLP example: it sends a session to the endpoint of its argument or of the environment.

use tinker_telemetry::collector::Collector;

use super::{example, run};

#[test]
fn the_otlp_example_sends_a_session_to_its_endpoint() {
    let collector = Collector::start().unwrap();
    let url = collector.url();
    let mut by_environment = example(&["otlp"]);
    by_environment.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    for command in [example(&["otlp", &url]), by_environment] {
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("telemetry: 6 offered, 6 delivered\n", ""));
    }
    let requests = collector.requests();
    assert!(requests.len() >= 2 && requests.iter().all(|request| request.path == "/v1/logs"));
    let ended = run(example(&["otlp", "http://localhost/?query"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.err.contains("otlp: the OTLP endpoint"), "{}", ended.err);
}
