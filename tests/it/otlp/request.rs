//! Keeps what a request to an OTLP endpoint is: its path, its headers, and what it says of the program.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter, Severity, json};

use crate::otlp::{assert_is_otlp, plain_body, records_of, to};
use crate::support::{LIMIT, SESSION, assert_adds_up};

/// The texts among the attributes of the resource.
fn resource_of(body: &[u8]) -> BTreeMap<String, String> {
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    assert_eq!(request.resource_logs.len(), 1);
    let attributes = request.resource_logs[0].resource.clone().unwrap().attributes.into_iter();
    let text = |attribute: opentelemetry_proto::tonic::common::v1::KeyValue| match attribute.value?.value? {
        Value::StringValue(text) => Some((attribute.key, text)),
        _ => None,
    };
    attributes.filter_map(text).collect()
}

#[test]
fn a_session_is_delivered_from_its_start_to_its_end() {
    let collector = Collector::start().unwrap();
    let config = Config::otlp(format!("{}/tenant/", collector.url()))
        .header("authorization", "Bearer hush")
        .header("x-api-key", "of the server's own")
        .resource("service.name", "trainer")
        .resource("team", "a");
    let reporter = Reporter::builder(config, SESSION).enabled(true).start().unwrap();
    reporter.log("checkpoint.saved", json!({"step": 1200}), Severity::Info);
    reporter.log_exception(&std::fmt::Error, Severity::Error);
    assert!(reporter.stop(LIMIT));
    assert_adds_up(reporter.stats());
    assert_eq!(reporter.stats().delivered, 4);
    let requests = collector.requests();
    let names: Vec<_> = requests.iter().flat_map(|request| records_of(request)).collect();
    assert_eq!((names[0].as_str(), names[1].as_str()), ("session.start", "checkpoint.saved"));
    assert_eq!((names.len(), names[3].as_str()), (4, "session.end"));
    for request in &requests {
        assert_eq!(request.path, "/tenant/v1/logs");
        assert_eq!(request.header("authorization"), Some("Bearer hush"));
        assert_eq!(request.header("x-api-key"), Some("of the server's own"));
        let resource = resource_of(&plain_body(request));
        assert_eq!((resource["service.name"].as_str(), resource["team"].as_str()), ("trainer", "a"));
    }
}

#[test]
fn two_reporters_send_the_same_work_to_two_destinations() {
    let (tinkers, other) = (Collector::start().unwrap(), Collector::start().unwrap());
    for config in [Config::new("tml-1").base_url(tinkers.url()), Config::otlp(other.url())] {
        let reporter = Reporter::builder(config, SESSION).enabled(true).start().unwrap();
        reporter.log("step", 1, Severity::Info);
        assert!(reporter.stop(LIMIT));
        assert_eq!(reporter.stats().delivered, 3);
    }
    assert_eq!(tinkers.events().len(), 3);
    other.requests().iter().for_each(|request| assert_is_otlp(request));
}

/// The value of the attribute `loss` of each record.
fn losses(body: &[u8]) -> Vec<Option<Value>> {
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let records = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    let records = records.flat_map(|scope| scope.log_records);
    let loss = |attribute: opentelemetry_proto::tonic::common::v1::KeyValue| {
        (attribute.key == "loss").then(|| attribute.value.and_then(|value| value.value))
    };
    records.filter_map(|record| record.attributes.into_iter().find_map(loss)).collect()
}

#[test]
fn floats_that_json_cannot_write_arrive_unless_a_hook_reads_events_as_json() {
    let collector = Collector::start().unwrap();
    let log = |reporter: &Reporter| {
        for loss in [f64::INFINITY, f64::NAN, 0.5] {
            reporter.log("step", json!({"loss": loss}), Severity::Info);
        }
        assert!(reporter.wait_until_drained(LIMIT));
        losses(&plain_body(collector.requests().last().unwrap()))
    };
    let values = log(&to(&collector).start().unwrap());
    let [Some(Value::DoubleValue(infinity)), Some(Value::DoubleValue(nan)), half] = &values[..] else {
        panic!("{values:?}")
    };
    assert!(infinity.is_infinite() && nan.is_nan());
    assert_eq!(half, &Some(Value::DoubleValue(0.5)));
    let values = log(&to(&collector).before_send(Some).start().unwrap());
    assert_eq!(values, [None, None, Some(Value::DoubleValue(0.5))]);
}
