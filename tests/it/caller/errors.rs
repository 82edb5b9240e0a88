//! Keeps the reports of errors: each is a user error or an unhandled exception, for every type of error.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde_json::json;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, GenericEvent, UnhandledExceptionEvent};
use tinker_telemetry::{ApiError, ErrorCategory, Reporter, Severity, UserError};

use crate::support::{self, LIMIT, Panics, sessionless};

#[derive(Debug, thiserror::Error)]
#[error("training diverged at step {step}")]
struct Diverged {
    step: u32,
    #[source]
    cause: std::io::Error,
}

fn diverged() -> Diverged {
    Diverged { step: 3, cause: std::io::Error::other("disk full") }
}

/// The event that the collector receives from this report.
fn reported(report: impl FnOnce(&Reporter) -> bool) -> Event {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(report(&reporter));
    assert!(reporter.stop(LIMIT));
    support::checked_requests(&collector);
    collector.events().remove(0)
}

fn exception(report: impl FnOnce(&Reporter) -> bool) -> UnhandledExceptionEvent {
    match reported(report) {
        Event::UnhandledException(event) => event,
        other => panic!("{other:?}"),
    }
}

fn user_error(report: impl FnOnce(&Reporter) -> bool) -> GenericEvent {
    match reported(report) {
        Event::Generic(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exception_has_type_message_and_the_chain_of_causes() {
    let event = exception(|reporter| reporter.log_exception(&diverged(), Severity::Error));
    assert_eq!(event.error_type, "it::caller::errors::Diverged");
    assert_eq!(event.error_message, "training diverged at step 3: disk full");
    let traceback = event.traceback.unwrap();
    let chain =
        "it::caller::errors::Diverged: training diverged at step 3\nCaused by: std::io::Error: disk full";
    assert!(traceback.starts_with(chain), "{traceback}");
    assert_eq!(event.severity, Severity::Error);
}

#[test]
fn every_form_of_an_error_can_be_reported() {
    let severity = Severity::Error;
    let object: &(dyn Error + 'static) = &diverged();
    let boxed: Box<dyn Error> = Box::new(diverged());
    let sendable: Box<dyn Error + Send> = Box::new(diverged());
    let shareable: Box<dyn Error + Send + Sync> = Box::new(diverged());
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(diverged());
    let shared_by_a_thread: Arc<dyn Error> = Arc::new(diverged());
    let shared_and_sent: Arc<dyn Error + Send> = Arc::new(diverged());
    let any = anyhow::Error::new(diverged());
    let events = [
        exception(|reporter| reporter.log_exception(object, severity)),
        exception(|reporter| reporter.log_exception(&*boxed, severity)),
        exception(|reporter| reporter.log_exception(&boxed, severity)),
        exception(|reporter| reporter.log_exception(&sendable, severity)),
        exception(|reporter| reporter.log_exception(&shareable, severity)),
        exception(|reporter| reporter.log_exception(&*shared, severity)),
        exception(|reporter| reporter.log_exception(&shared, severity)),
        exception(|reporter| reporter.log_exception(&shared_by_a_thread, severity)),
        exception(|reporter| reporter.log_exception(&shared_and_sent, severity)),
        exception(|reporter| reporter.log_exception(&any, severity)),
    ];
    for event in events {
        assert_eq!(event.error_type, "std::io::Error", "the innermost that has a name");
        assert_eq!(event.error_message, "training diverged at step 3: disk full");
        let chain = "Diverged: training diverged at step 3\nCaused by: std::io::Error: disk full";
        assert!(event.traceback.unwrap().starts_with(chain));
    }
}

#[test]
fn a_user_error_anywhere_in_the_chain_is_a_warning_with_its_response() {
    let api =
        ApiError::new("Payload is invalid").with_status(422).with_body(json!({"errors": ["invalid field"]}));
    let wrapped =
        anyhow::Error::new(Diverged { step: 1, cause: std::io::Error::other(api) }).context("outermost");
    let event = user_error(|reporter| reporter.log_exception(&wrapped, Severity::Critical));
    assert_eq!((event.event_name.as_str(), event.severity), ("user_error", Severity::Warning));
    let expected = json!({"error_type": "ApiError", "status_code": 422,
                          "message": "outermost: training diverged at step 1: Payload is invalid",
                          "body": {"errors": ["invalid field"]}});
    assert_eq!(serde_json::Value::Object(event.event_data), expected);
}

#[test]
fn a_user_error_without_status_and_body_has_no_such_fields() {
    let by_category = ApiError::new("no").with_category(ErrorCategory::User);
    let event = user_error(|reporter| reporter.log_exception(&by_category, Severity::Error));
    assert_eq!(
        serde_json::Value::Object(event.event_data),
        json!({"error_type": "ApiError", "message": "no"})
    );
}

#[test]
fn a_status_that_a_retry_may_fix_is_not_a_user_error() {
    for status in [408, 429, 500, 503] {
        let api = ApiError::new("later").with_status(status);
        let event = exception(|reporter| reporter.log_exception(&api, Severity::Error));
        assert_eq!(event.error_type, "ApiError");
    }
}

#[test]
fn a_classifier_finds_the_user_errors_of_other_crates() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector)
        .user_errors(|error| {
            let error = error.downcast_ref::<std::num::ParseIntError>()?;
            UserError::from_status("ParseIntError", error.to_string(), 400)
        })
        .start()
        .unwrap();
    let error = anyhow::Error::new("x".parse::<u8>().unwrap_err()).context("--steps");
    assert!(reporter.log_exception(&error, Severity::Error));
    assert!(reporter.stop(LIMIT));
    let Event::Generic(event) = &collector.events()[0] else { panic!("a user error") };
    assert_eq!(event.event_data["status_code"], 400);
}

#[test]
fn find_user_error_finds_known_and_classified_errors_of_an_enabled_and_a_disabled_reporter() {
    let collector = Collector::start().unwrap();
    for enabled in [true, false] {
        let classify = |error: &(dyn Error + 'static)| {
            assert!(!error.is::<fmt::Error>(), "the closure panics, as the test wants it");
            error
                .downcast_ref::<std::num::ParseIntError>()
                .map(|_| UserError::new("ParseIntError", "no number"))
        };
        let reporter = sessionless(&collector).enabled(enabled).user_errors(classify).start().unwrap();
        let error = anyhow::Error::new("x".parse::<u8>().unwrap_err()).context("--steps");
        assert_eq!(reporter.find_user_error(&error).unwrap().message, "--steps: no number", "{enabled}");
        let again = reporter.downgrade().upgrade().unwrap_or_else(|| reporter.clone());
        assert_eq!(again.find_user_error(&error).unwrap().message, "--steps: no number", "{enabled}");
        let api = ApiError::new("no such model").with_status(404);
        assert_eq!(reporter.find_user_error(&api).unwrap().status_code, Some(404));
        assert_eq!(reporter.find_user_error(&std::io::Error::other("disk full")), None);
        assert_eq!(reporter.find_user_error(&fmt::Error), None);
    }
}

#[test]
fn a_user_error_in_a_shared_object_is_found() {
    #[derive(Debug, thiserror::Error)]
    #[error("while sampling")]
    struct Sampling(#[source] Arc<dyn Error + Send + Sync>);

    let shared: Arc<dyn Error + Send + Sync> = Arc::new(ApiError::new("no such model").with_status(404));
    let event = user_error(|reporter| reporter.log_exception(&shared, Severity::Error));
    assert_eq!(event.event_data["status_code"], 404);
    let event = user_error(|reporter| reporter.log_exception(&Sampling(shared), Severity::Error));
    assert_eq!(event.event_data["message"], "while sampling: no such model");
}

#[test]
fn an_error_that_panics_is_refused_and_no_other_event_is_lost() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(!reporter.log_exception(&Panics, Severity::Error));
    assert!(reporter.log_exception(&fmt::Error, Severity::Error));
    assert!(reporter.stop(LIMIT));
    assert_eq!((reporter.stats().refused.invalid_data, reporter.stats().delivered), (1, 1));
}

#[test]
fn an_error_without_room_in_the_queue_is_not_formatted() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).max_queue_size(1).start().unwrap();
    assert!(reporter.log("step", 1, Severity::Info));
    assert!(!reporter.log_exception(&Panics, Severity::Error));
    assert_eq!(reporter.stats().refused.queue_full, 1);
    drop(hold);
    assert!(reporter.stop(LIMIT));
    assert!(!reporter.log_fatal_exception(&Panics, Severity::Error));
    assert_eq!((reporter.stats().refused.stopped, reporter.stats().refused.invalid_data), (1, 0));
}

#[test]
fn a_long_error_is_cut_and_not_refused() {
    let huge = std::io::Error::other("é".repeat(1_000_000));
    let event = exception(|reporter| reporter.log_exception(&huge, Severity::Error));
    assert!(event.error_message.len() <= 16 * 1024 && event.error_message.ends_with("… (cut)"));
    assert!(event.traceback.unwrap().len() <= 64 * 1024);
}

#[test]
fn a_user_error_of_control_characters_is_cut_by_its_length_in_json() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).max_event_bytes(1_000).start().unwrap();
    assert!(reporter.log_exception(&ApiError::new("\0".repeat(1_000)).with_status(422), Severity::Error));
    assert!(reporter.stop(LIMIT));
    assert_eq!(reporter.stats().delivered, 1);
}

#[test]
fn a_user_error_with_a_huge_body_is_sent_without_the_body() {
    let huge = ApiError::new("é".repeat(1_000_000)).with_status(422).with_body("x".repeat(300_000));
    let event = user_error(|reporter| reporter.log_fatal_exception(&huge, Severity::Critical));
    assert_eq!((event.event_name.as_str(), event.event_data.get("body")), ("user_error", None));
    assert_eq!(event.event_data["status_code"], 422);
    assert!(event.event_data["message"].as_str().unwrap().ends_with("… (cut)"));
}
