//! Keeps the ureq middleware to its word: what requests come to is reported, and nothing that may be secret.
#![cfg(all(feature = "ureq-middleware", feature = "collector"))]

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use tinker_telemetry::bridge::{Retries, UreqBridge};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::event::{Event, GenericEvent};
use tinker_telemetry::{Config, Reporter, Severity, find_user_error_in_chain};
use ureq::Agent;

use crate::support::LIMIT;
use crate::support::http::Request;

/// A server, a reporter that reports to another, and an agent between the two.
struct Stage {
    server: Collector,
    telemetry: Collector,
    reporter: Reporter,
    agent: Agent,
}

impl Stage {
    fn new() -> Self {
        let (server, telemetry) = (Collector::start().unwrap(), Collector::start().unwrap());
        let config = Config::new("tml-test").base_url(telemetry.url());
        let reporter = Reporter::builder(config, "session-0001").enabled(true).start().unwrap();
        let agent = Agent::config_builder()
            .proxy(None)
            .timeout_global(Some(LIMIT))
            .middleware(UreqBridge::new(&reporter))
            .build();
        Self { server, telemetry, reporter, agent: agent.into() }
    }

    fn url(&self, rest: &str) -> String {
        format!("{}{rest}", self.server.url())
    }

    /// The events so far besides the session's own.
    fn events(&self) -> Vec<GenericEvent> {
        assert!(self.reporter.wait_until_drained(LIMIT));
        let events = self.telemetry.events().into_iter().filter_map(|event| match event {
            Event::Generic(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// Name, severity and data of the events so far; durations are checked here, and left out.
    fn seen(&self) -> Vec<(String, Severity, Value)> {
        let summary = |event: GenericEvent| {
            let mut data = without_duration(&event.event_name, event.event_data);
            let origin = data.as_object_mut().unwrap().remove("origin").unwrap();
            assert!(origin["span_id"].is_u64() && origin["thread"].is_string(), "{origin}");
            (event.event_name, event.severity, data)
        };
        self.events().into_iter().map(summary).collect()
    }
}

fn without_duration(name: &str, mut data: Map<String, Value>) -> Value {
    let duration = data["measurements"].as_object_mut().unwrap().remove("duration");
    let plausible =
        duration.is_some_and(|nanos| (1..LIMIT.as_nanos()).contains(&nanos.as_u64().unwrap().into()));
    assert_eq!(plausible, name != "http.request.start", "a request has a duration when it is over");
    data.into()
}

#[test]
fn a_request_is_reported_as_it_starts_and_stops() {
    let stage = Stage::new();
    stage.agent.get(stage.url("/models/7")).call().unwrap();
    let mut metadata = json!({
        "method": "GET", "base_url": stage.url(""), "host": "127.0.0.1", "path": "/models/7", "retry_count": 0
    });
    let start = json!({"measurements": {}, "metadata": metadata});
    metadata["result"] = json!("ok");
    let stop = json!({"measurements": {"status": 200}, "metadata": metadata});
    let expected = [
        ("http.request.start".to_owned(), Severity::Info, start),
        ("http.request.stop".to_owned(), Severity::Info, stop),
    ];
    assert_eq!(stage.seen(), expected);
}

#[test]
fn an_error_status_is_an_answer_and_the_users_to_mend() {
    let stage = Stage::new();
    stage.server.answer_by_default(Answer::status(404));
    let error = stage.agent.post(stage.url("/samples")).send("{}").unwrap_err();
    let answer = stage.agent.get(stage.url("/")).config().http_status_as_error(false).build().call().unwrap();
    assert_eq!(answer.status(), 404);
    let metadata: Vec<_> = stage
        .seen()
        .into_iter()
        .map(|(name, _, data)| {
            (name, data["measurements"]["status"].clone(), data["metadata"]["result"].clone())
        })
        .collect();
    let start = || ("http.request.start".to_owned(), Value::Null, Value::Null);
    let stop = || ("http.request.stop".to_owned(), json!(404), json!("error"));
    assert_eq!(metadata, [start(), stop(), start(), stop()]);

    let user_error = find_user_error_in_chain(&std::io::Error::other(error)).unwrap();
    assert_eq!((user_error.error_type.as_str(), user_error.status_code), ("ureq::Error", Some(404)));
    assert_eq!(find_user_error_in_chain(&ureq::Error::StatusCode(429)), None);
    assert_eq!(find_user_error_in_chain(&ureq::Error::StatusCode(500)), None);
    assert_eq!(find_user_error_in_chain(&ureq::Error::HostNotFound), None);
}

#[test]
fn a_request_without_an_answer_is_an_exception_in_our_own_words() {
    let stage = Stage::new();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    stage.agent.get(format!("http://{closed}/gone")).call().unwrap_err();
    stage.agent.get("ftp://user:canary@host.invalid/path?canary").call().unwrap_err();
    let slow = Duration::from_millis(50);
    let hold = stage.server.hold_answers();
    stage.agent.get(stage.url("/slow")).config().timeout_global(Some(slow)).build().call().unwrap_err();
    drop(hold);

    let exceptions: Vec<_> =
        stage.seen().into_iter().filter(|(name, ..)| name == "http.request.exception").collect();
    assert!(exceptions.iter().all(|(_, severity, _)| *severity == Severity::Error));
    let errors: Vec<_> =
        exceptions.iter().map(|(.., data)| data["metadata"]["error"].as_str().unwrap()).collect();
    assert_eq!(errors, ["connection refused", "not a request to be sent", "timed out"]);
    assert!(exceptions.iter().all(|(.., data)| data["metadata"]["result"] == "error"));
}

#[test]
fn nothing_secret_is_reported() {
    let stage = Stage::new();
    let redirect = || Answer::status(302).header("location", "/elsewhere?canary=1#canary");
    for answer in [Answer::status(500).header("set-cookie", "canary"), redirect(), Answer::ok()] {
        stage.server.answer(answer);
    }
    let url = stage.url("/samples?canary=1").replace("//", "//canary:canary@");
    let post = || stage.agent.post(&url).header("x-api-key", "canary");
    post().send("canary").unwrap_err();
    post().send("canary").unwrap();
    assert_eq!(stage.server.requests().len(), 3);
    assert_eq!(stage.seen().len(), 4, "a redirect is part of its request");
    for request in stage.telemetry.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains("canary"));
    }
}

#[test]
fn retries_are_reported_where_the_request_knows_them() {
    let stage = Stage::new();
    stage.agent.get(stage.url("/")).extension(Retries(2)).call().unwrap();
    let retries: Vec<_> =
        stage.seen().into_iter().map(|(.., data)| data["metadata"]["retry_count"].clone()).collect();
    assert_eq!(retries, [json!(2), json!(2)]);
}

#[test]
fn parallel_requests_to_one_address_pair_up() {
    let stage = Stage::new();
    let hold = stage.server.hold_answers();
    thread::scope(|scope| {
        for status in [200, 404] {
            stage.server.answer(Answer::status(status));
            let (agent, url) = (&stage.agent, stage.url("/same"));
            let request = move || agent.get(url).config().http_status_as_error(false).build().call().unwrap();
            thread::Builder::new().name(status.to_string()).spawn_scoped(scope, request).unwrap();
            stage.server.next_request(LIMIT).unwrap(); // both are on the way at once, in this order
        }
        drop(hold);
    });
    let events = stage.events();
    let of = |thread: &str| {
        let events = events.iter().filter(|event| event.event_data["origin"]["thread"] == thread);
        let id = |event: &GenericEvent| event.event_data["origin"]["span_id"].as_u64().unwrap();
        events.map(|event| (event.event_name.as_str(), id(event))).collect::<Vec<_>>()
    };
    let (ok, not_found) = (of("200"), of("404"));
    for request in [&ok, &not_found] {
        let [(start, started), (stop, stopped)] = request[..] else { panic!("{request:?}") };
        assert_eq!((start, stop, started), ("http.request.start", "http.request.stop", stopped));
    }
    assert_ne!(ok[0].1, not_found[0].1);
}

#[test]
fn requests_made_while_data_is_encoded_are_not_reported() {
    struct Fetches<'a>(&'a Stage);
    impl Serialize for Fetches<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let answer = self.0.agent.get(self.0.url("/")).call();
            serializer.serialize_bool(answer.is_ok())
        }
    }
    let stage = Stage::new();
    assert!(stage.reporter.log("fetched", Fetches(&stage), Severity::Info));
    let names: Vec<_> = stage.events().into_iter().map(|event| event.event_name).collect();
    assert_eq!(names, ["fetched"]);
    assert_eq!(stage.reporter.stats().refused.total(), 0);
}

#[test]
fn a_request_outlives_the_session_and_does_not_keep_it_going() {
    let Stage { server, telemetry, reporter, agent } = Stage::new();
    let hold = server.hold_answers();
    let url = format!("{}/slow", server.url());
    let request = thread::spawn(move || agent.get(url).call().map(|answer| answer.status()));
    server.next_request(LIMIT).unwrap();
    drop(reporter);
    assert_eq!(telemetry.events().last().map(Event::name), Some("SESSION_END"));
    drop(hold);
    assert_eq!(request.join().unwrap().unwrap(), 200);
}

#[test]
fn garbage_is_not_an_http_answer() {
    let stage = Stage::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        Request::read(&mut BufReader::new(&stream)).unwrap().expect("a request");
        stream.write_all(b"canary canary canary\r\n\r\n").unwrap();
    });
    stage.agent.get(url).call().unwrap_err();
    server.join().unwrap();
    assert_eq!(stage.seen()[1].2["metadata"]["error"], "not an HTTP answer");
}
