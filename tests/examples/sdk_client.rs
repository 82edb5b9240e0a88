//! Keeps the small SDK's events those of the official SDK.

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Severity, event};

use super::{SDK_CLIENT, example, run};

#[test]
fn the_sdk_client_logs_each_event_of_the_official_sdk_with_its_severity() {
    use Severity::{Error, Warning};
    let collector = Collector::start().unwrap();
    let mut command = example(SDK_CLIENT);
    command.env("TINKER_API_KEY", "tml-test").env("TINKER_BASE_URL", collector.url());
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    let events = collector.events();
    let logged: Vec<_> = events.iter().map(|event| (event.name(), event.severity())).collect();
    let of_calls = &logged[1..logged.len() - 1];
    let expected = [
        (event::names::REQUEST_EXCEPTION, Warning),
        (event::names::RESULT_STATUS_ERROR, Warning),
        (event::names::RESULT_CONNECTION_ERROR, Warning),
        (event::names::RETRY_EXCEPTION, Warning),
        (event::names::RESULT_APPLICATION_ERROR, Warning),
        (event::names::RETRY_EXCEPTION, Warning),
        (event::names::USER_ERROR, Warning),
        (event::names::RESULT_DECODING_ERROR, Error),
        (event::names::RETRY_EXCEPTION, Error),
        ("UNHANDLED_EXCEPTION", Error),
        (event::names::RESULT_VALIDATION_ERROR, Error),
        (event::names::RETRY_EXCEPTION, Error),
        ("UNHANDLED_EXCEPTION", Error),
        (event::names::RESULT_TIMEOUT, Error),
        (event::names::RETRY_EXCEPTION, Error),
        ("UNHANDLED_EXCEPTION", Error),
    ];
    assert_eq!(of_calls, expected);
    let requests = collector.requests();
    assert_eq!(requests[0].header("user-agent"), Some("tinker-rust-sdk/0.3.0"));
    assert_eq!(requests[0].request.as_ref().unwrap().sdk_version, "0.3.0");
    let releases = events.iter().filter_map(|event| event.data()).map(|data| &data["release"]);
    assert!(
        releases.clone().count() == 13
            && releases.clone().all(|release| release == env!("CARGO_PKG_VERSION"))
    );
}
