//! Keeps `TelemetryProvider`, the trait of types with a reporter. Each form of it reports as the reporter does, and
//! only runs the work where it has no reporter. The drop of a weak reporter never ends the session.

use std::io;
use std::sync::Arc;

use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Reporter, Severity, Telemetry, TelemetryProvider, WeakReporter};

use crate::support::{LIMIT, names, session, sessionless};

/// A client with or without a reporter.
struct Client(Option<Reporter>);

impl TelemetryProvider for Client {
    fn telemetry(&self) -> Telemetry<'_> {
        self.0.telemetry()
    }
}

/// A client that does not keep the session alive.
struct WeakClient(WeakReporter);

impl TelemetryProvider for WeakClient {
    fn telemetry(&self) -> Telemetry<'_> {
        self.0.telemetry()
    }
}

/// Reports four events where there is a reporter.
fn play(provider: impl TelemetryProvider) -> [bool; 2] {
    assert!(provider.capture(|| Err::<(), _>(io::Error::other("captured"))).is_err());
    assert!(provider.capture_at(Severity::Warning, || Err::<(), _>("a text")).is_err());
    assert_eq!(provider.capture_panics(|| 8), 8);
    assert_eq!(provider.capture_fatal(|| Ok::<_, io::Error>(9)).unwrap(), 9);
    assert_eq!(provider.capture_fatal_at(Severity::Error, || Ok::<_, io::Error>(10)).unwrap(), 10);
    provider.flush();
    let error = io::Error::other("logged");
    let accepted =
        [provider.log("named", (), Severity::Info), provider.log_exception(&error, Severity::Error)];
    assert!(provider.wait_until_drained(LIMIT));
    accepted
}

#[test]
fn a_provider_of_any_form_reports_where_it_has_a_reporter() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let weak = reporter.downgrade();
    let dynamic: Arc<dyn TelemetryProvider> = Arc::new(Client(Some(reporter.clone())));
    let client = Client(Some(reporter.clone()));
    let by_reference = &&client;
    let plays = [
        play(&reporter),
        play(reporter.clone()),
        play(Some(&reporter)),
        play(Some(reporter.clone())),
        play(Arc::new(reporter.clone())),
        play(Box::new(Client(Some(reporter.clone())))),
        play(by_reference),
        play(dynamic),
        play(&weak),
        play(Some(weak.clone())),
        play(WeakClient(weak.clone())),
        play(Telemetry::from(&weak)),
    ];
    assert_eq!(plays, [[true, true]; 12]);
    assert_eq!(collector.events().len(), 12 * 4);
}

#[test]
fn a_provider_without_a_reporter_only_runs_the_work() {
    let collector = Collector::start().unwrap();
    let gone = sessionless(&collector).start().unwrap().downgrade();
    let plays = [
        play(Client(None)),
        play(None::<&Reporter>),
        play(None::<Arc<Reporter>>),
        play(Telemetry::NONE),
        play(Reporter::disabled()),
        play(Reporter::disabled().downgrade()),
        play(WeakReporter::default()),
        play(WeakClient(gone)),
    ];
    assert_eq!(plays, [[false, false]; 8]);
    assert!(Client(None).stop(LIMIT) && WeakReporter::default().stop(LIMIT));
    assert!(collector.events().is_empty());
}

#[test]
fn a_weak_reporter_reports_a_fatal_exception_and_stops_the_session_for_all_clones() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let weak = reporter.downgrade();
    assert!(weak.log_fatal_exception(&io::Error::other("fatal"), Severity::Critical));
    assert_eq!(names(&collector.events()), ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"]);
    assert!(weak.log("after", (), Severity::Info) && weak.stop(LIMIT));
    assert_eq!(collector.events().last().map(Event::name), Some("after"));
    assert!(!reporter.log("too late", (), Severity::Info));
}
