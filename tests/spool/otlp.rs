//! Keeps events for an OTLP endpoint: they are in the file as JSON, and the next run sends them as protobuf, with what the
//! first run said of itself.

use std::io::Read;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tinker_telemetry::collector::Received;
use tinker_telemetry::{Builder, Config, Reporter, Severity};

use crate::support::{LIMIT, SESSION, assert_adds_up};
use crate::{Scene, until};

fn run(scene: &Scene) -> Builder {
    let config = Config::otlp(format!("http://127.0.0.1:{}", scene.port)).resource("service.name", "trainer");
    Reporter::builder(config, SESSION).enabled(true).spool(scene.spool())
}

/// The names of the events of a request, the text in the data of each, and the attributes of the process.
struct Decoded {
    names: Vec<String>,
    losses: Vec<f64>,
    process: Vec<(String, String)>,
}

fn decode(request: &Received) -> Decoded {
    let mut body = request.body.clone();
    if request.header("content-encoding") == Some("gzip") {
        body.clear();
        GzDecoder::new(request.body.as_slice()).read_to_end(&mut body).unwrap();
    }
    let [logs] = &ExportLogsServiceRequest::decode(body.as_slice()).unwrap().resource_logs[..] else {
        panic!("one process");
    };
    let text = |value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>| match value
        .as_ref()
        .and_then(|value| value.value.clone())
    {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    let attributes = &logs.resource.as_ref().unwrap().attributes;
    let process = attributes.iter().map(|pair| (pair.key.clone(), text(&pair.value))).collect();
    let records: Vec<_> = logs.scope_logs.iter().flat_map(|scope| &scope.log_records).collect();
    let attributes = records.iter().flat_map(|record| &record.attributes);
    let number = |value: &Value| if let Value::DoubleValue(number) = value { Some(*number) } else { None };
    let losses = attributes.filter(|pair| pair.key == "loss");
    let losses = losses.filter_map(|pair| number(pair.value.as_ref()?.value.as_ref()?)).collect();
    Decoded { names: records.iter().map(|record| record.event_name.clone()).collect(), losses, process }
}

#[test]
fn the_next_run_sends_to_the_otlp_endpoint_what_an_offline_run_left() {
    let scene = Scene::new();
    let reporter = run(&scene).start().unwrap();
    assert!(reporter.log("step", serde_json::json!({"loss": 0.4213}), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().spooled, 2);
    drop(reporter);
    assert_eq!(scene.events().len(), 3, "they are JSON in the file");

    let collector = scene.collector();
    let next = run(&scene).start().unwrap();
    until("what was left is sent", || next.stats().replayed.delivered == 3);
    let replayed: Vec<_> = collector.requests().iter().map(|request| decode(request)).collect();
    let names: Vec<_> = replayed.iter().flat_map(|request| &request.names).collect();
    assert_eq!(names, ["session.start", "step", "session.end"]);
    assert_eq!(replayed.iter().flat_map(|request| &request.losses).collect::<Vec<_>>(), [&0.4213]);
    assert!(collector.requests().iter().all(|request| request.path == "/v1/logs"));
    let instance = |request: &Decoded| {
        let found = request.process.iter().find(|(key, _)| key == "service.instance.id");
        found.expect("the process has an id").1.clone()
    };
    for request in &replayed {
        assert!(request.process.contains(&("service.name".to_owned(), "trainer".to_owned())));
        assert!(request.process.contains(&("session.id".to_owned(), SESSION.to_owned())));
        assert_eq!(instance(request).len(), 36);
    }
    assert_adds_up(next.stats());
}

#[test]
fn of_a_replayed_batch_that_was_accepted_in_part_both_parts_are_counted() {
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };
    use tinker_telemetry::collector::Answer;

    let scene = Scene::new();
    let reporter = run(&scene).start().unwrap();
    (0..4).for_each(|step| assert!(reporter.log("step", step, Severity::Info)));
    assert!(reporter.wait_until_drained(LIMIT));
    drop(reporter);
    let collector = scene.collector();
    let partial = ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "too old".to_owned() };
    let answer = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    collector.answer(Answer::status(200).body(answer));
    let next = run(&scene).start().unwrap();
    until("all is sent", || next.stats().replayed.pending == 0 && next.stats().replayed.taken == 6);
    let replayed = next.stats().replayed;
    assert_eq!((replayed.delivered, replayed.dropped.rejected), (5, 1), "{replayed:?}");
}
