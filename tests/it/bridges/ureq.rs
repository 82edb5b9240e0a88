//! Keeps the ureq middleware: the start and the outcome of each request are reported, and no secret is.
#![cfg(all(feature = "ureq", feature = "collector"))]

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

/// A server, an agent that sends requests to it, and a reporter that reports them to a collector.
struct Fixture {
    server: Collector,
    telemetry: Collector,
    reporter: Reporter,
    agent: Agent,
}

impl Fixture {
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

    /// The events so far, without the session's own.
    fn events(&self) -> Vec<GenericEvent> {
        assert!(self.reporter.wait_until_drained(LIMIT));
        let events = self.telemetry.events().into_iter().filter_map(|event| match event {
            Event::Generic(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// Name, severity and data of the events so far. Durations are checked here and left out.
    fn summaries(&self) -> Vec<(String, Severity, Value)> {
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
    assert_eq!(
        plausible,
        name != "http.request.start",
        "only an event at the end of a request has a duration"
    );
    data.into()
}

#[test]
fn a_request_is_reported_at_its_start_and_its_stop() {
    let fixture = Fixture::new();
    fixture.agent.get(fixture.url("/models/7")).call().unwrap();
    let mut metadata = json!({
        "method": "GET", "base_url": fixture.url(""), "host": "127.0.0.1", "path": "/models/7", "retry_count": 0
    });
    let start = json!({"measurements": {}, "metadata": metadata});
    metadata["result"] = json!("ok");
    let stop = json!({"measurements": {"status": 200}, "metadata": metadata});
    let expected = [
        ("http.request.start".to_owned(), Severity::Info, start),
        ("http.request.stop".to_owned(), Severity::Info, stop),
    ];
    assert_eq!(fixture.summaries(), expected);
}

#[test]
fn an_error_status_is_an_answer_and_its_error_is_a_user_error() {
    let fixture = Fixture::new();
    fixture.server.answer_by_default(Answer::status(404));
    let error = fixture.agent.post(fixture.url("/samples")).send("{}").unwrap_err();
    let answer =
        fixture.agent.get(fixture.url("/")).config().http_status_as_error(false).build().call().unwrap();
    assert_eq!(answer.status(), 404);
    let metadata: Vec<_> = fixture
        .summaries()
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
fn a_request_without_an_answer_is_an_exception_with_a_text_of_our_own() {
    let fixture = Fixture::new();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    fixture.agent.get(format!("http://{closed}/gone")).call().unwrap_err();
    fixture.agent.get("ftp://user:canary@host.invalid/path?canary").call().unwrap_err();
    let slow = Duration::from_millis(50);
    let hold = fixture.server.hold_answers();
    fixture.agent.get(fixture.url("/slow")).config().timeout_global(Some(slow)).build().call().unwrap_err();
    drop(hold);

    let exceptions: Vec<_> =
        fixture.summaries().into_iter().filter(|(name, ..)| name == "http.request.exception").collect();
    assert!(exceptions.iter().all(|(_, severity, _)| *severity == Severity::Error));
    let errors: Vec<_> =
        exceptions.iter().map(|(.., data)| data["metadata"]["error"].as_str().unwrap()).collect();
    assert_eq!(errors, ["connection refused", "not a request to be sent", "timed out"]);
    assert!(exceptions.iter().all(|(.., data)| data["metadata"]["result"] == "error"));
}

#[test]
fn no_secret_is_reported() {
    let fixture = Fixture::new();
    let redirect = || Answer::status(302).header("location", "/elsewhere?canary=1#canary");
    for answer in [Answer::status(500).header("set-cookie", "canary"), redirect(), Answer::ok()] {
        fixture.server.answer(answer);
    }
    let url = fixture.url("/samples?canary=1").replace("//", "//canary:canary@");
    let post = || fixture.agent.post(&url).header("x-api-key", "canary");
    post().send("canary").unwrap_err();
    post().send("canary").unwrap();
    assert_eq!(fixture.server.requests().len(), 3);
    assert_eq!(fixture.summaries().len(), 4, "a redirect is part of its request");
    for request in fixture.telemetry.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains("canary"));
    }
}

#[test]
fn the_retry_count_of_a_request_is_reported() {
    let fixture = Fixture::new();
    fixture.agent.get(fixture.url("/")).extension(Retries(2)).call().unwrap();
    let retries: Vec<_> =
        fixture.summaries().into_iter().map(|(.., data)| data["metadata"]["retry_count"].clone()).collect();
    assert_eq!(retries, [json!(2), json!(2)]);
}

#[test]
fn parallel_requests_to_one_address_pair_up() {
    let fixture = Fixture::new();
    let hold = fixture.server.hold_answers();
    thread::scope(|scope| {
        for status in [200, 404] {
            fixture.server.answer(Answer::status(status));
            let (agent, url) = (&fixture.agent, fixture.url("/same"));
            let request = move || agent.get(url).config().http_status_as_error(false).build().call().unwrap();
            thread::Builder::new().name(status.to_string()).spawn_scoped(scope, request).unwrap();
            fixture.server.next_request(LIMIT).unwrap(); // both requests are pending at once, in this order
        }
        drop(hold);
    });
    let events = fixture.events();
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
fn a_request_made_while_data_is_serialised_is_not_reported() {
    struct Fetches<'a>(&'a Fixture);
    impl Serialize for Fetches<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let answer = self.0.agent.get(self.0.url("/")).call();
            serializer.serialize_bool(answer.is_ok())
        }
    }
    let fixture = Fixture::new();
    assert!(fixture.reporter.log("fetched", Fetches(&fixture), Severity::Info));
    let names: Vec<_> = fixture.events().into_iter().map(|event| event.event_name).collect();
    assert_eq!(names, ["fetched"]);
    assert_eq!(fixture.reporter.stats().refused.total(), 0);
}

#[test]
fn a_request_can_outlive_the_session_and_does_not_keep_it_alive() {
    let Fixture { server, telemetry, reporter, agent } = Fixture::new();
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
    let fixture = Fixture::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        Request::read(&mut BufReader::new(&stream)).unwrap().expect("a request");
        stream.write_all(b"canary canary canary\r\n\r\n").unwrap();
    });
    fixture.agent.get(url).call().unwrap_err();
    server.join().unwrap();
    assert_eq!(fixture.summaries()[1].2["metadata"]["error"], "not an HTTP answer");
}
