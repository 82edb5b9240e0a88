//! A small SDK with telemetry: its calls report under the names, and with the fields and severities, of the official
//! SDK's, so that the same dashboards find them.
//!
//! ```text
//! cargo run --all-features --example sdk_client
//! ```
//!
//! Needs no account and no network: the API is played on loopback, and fails in each of the ways that have a name. With
//! `TINKER_API_KEY` or `TINKER_BASE_URL` set the telemetry goes there, and the API is still played.
//!
//! What the official SDK has and this one leaves out: headers in the events, since they hold keys; the pause on an unpaid
//! bill; results as protocol buffers, so a result that is no JSON stands for one that cannot be decoded.
//!
//! Exit code: 0, whatever the calls return.

mod backend;

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json as tree};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::event::{Event, names};
use tinker_telemetry::{
    ApiError, Config, ErrorCategory, Reporter, Severity, StartError, Telemetry, TelemetryProvider, json,
};

use backend::Backend;

/// The id that Tinker returns when the SDK opens its session.
const SESSION: &str = "8c0d6a51-3a4e-4d58-9a43-6f2f6b1f7d20";
/// How long telemetry may delay the end of the program.
const PATIENCE: Duration = Duration::from_secs(1);
/// The wait before the first retry of a call. The official SDK waits a second; here nothing is far away.
const PAUSE: Duration = Duration::from_millis(10);
const MAX_ATTEMPTS: u32 = 5;
/// How often a result is asked for again after a 400, which a proxy on the way may have made.
const MAX_BAD_REQUESTS: u32 = 3;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "sdk_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (backend, api) = (Backend::start()?, Collector::start()?);
    let service = ServiceClient::new(backend.config(), api.url(), SESSION)?;
    let _shown = backend.show_at_end(&service.reporter);

    play(&api, vec![Answer::status(503), found(&tree!({"sampling_session_id": "sampling-1"}))]);
    let client = service.create_sampling_session("base-model")?;
    for (prompt, answers) in scenes() {
        play(&api, answers);
        let outcome = client.sample(prompt, 20 * PAUSE);
        let text = outcome.unwrap_or_else(|error| format!("failed: {error}"));
        let _ = writeln!(io::stdout(), "{prompt}: {text}"); // the reader may be gone
    }
    service.reporter.stop(PATIENCE);
    if service.reporter.is_enabled() {
        let _ = writeln!(io::stderr(), "{}", service.reporter.stats());
    }
    Ok(())
}

/// The SDK's entry. The program that uses the SDK makes one for each session.
struct ServiceClient {
    reporter: Reporter,
    agent: ureq::Agent,
    url: String,
}

impl ServiceClient {
    /// Opens the session. The SDK says its own version; `TINKER_TELEMETRY=0` switches its telemetry off.
    fn new(config: Config, url: String, session_id: &str) -> Result<Self, StartError> {
        let config = config.sdk_version("0.3.0").user_agent("tinker-rust-sdk/0.3.0");
        let reporter = Reporter::builder(config, session_id)
            .context("release", env!("CARGO_PKG_VERSION"))
            .before_send(|event| Some(without_home(event)))
            .start()?;
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
        Ok(Self { reporter, agent, url })
    }

    fn create_sampling_session(&self, base_model: &str) -> Result<SamplingClient<'_>, SdkError> {
        self.reporter.capture(|| {
            let body = tree!({"session_id": SESSION, "sampling_session_seq_id": 0, "base_model": base_model});
            let answer = self.with_retries("ServiceResource.create_sampling_session", || {
                self.post("create_sampling_session", &body)
            })?;
            let id = answer["sampling_session_id"].as_str().unwrap_or_default().to_owned();
            Ok(SamplingClient { service: self, id })
        })
    }

    /// Calls the API, and again after a failure that may pass. Each failure is an event.
    fn with_retries(
        &self,
        func: &str,
        call: impl Fn() -> Result<Value, SdkError>,
    ) -> Result<Value, SdkError> {
        let started = Started::now();
        for attempt in 0.. {
            let error = match call() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let (is_retryable, is_user_error) = (error.is_retryable(), self.is_user_error(&error));
            let data = json!({
                "func": func,
                "exception": error.to_string(),
                "exception_type": error.kind(),
                "status_code": error.status(),
                "is_retryable": is_retryable,
                "is_user_error": is_user_error,
                "attempt_count": attempt,
                "start_time": started.unix(),
                "current_time": started.unix() + started.elapsed(),
                "elapsed_time": started.elapsed(),
            });
            self.reporter.log(names::REQUEST_EXCEPTION, data, passing(is_retryable || is_user_error));
            if !is_retryable || attempt + 1 == MAX_ATTEMPTS {
                return Err(error);
            }
            thread::sleep(PAUSE * 2_u32.pow(attempt));
        }
        unreachable!("the last attempt returns")
    }

    fn is_user_error(&self, error: &SdkError) -> bool {
        self.reporter.find_user_error(error).is_some()
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, SdkError> {
        let url = format!("{}/api/v1/{path}", self.url);
        let mut answer = self.agent.post(url).send(body.to_string()).map_err(SdkError::Connection)?;
        let text = answer.body_mut().read_to_string().map_err(SdkError::Connection)?;
        match answer.status().as_u16() {
            200 => serde_json::from_str(&text).map_err(SdkError::Decoding),
            status => {
                let body: Value = serde_json::from_str(&text).unwrap_or_default();
                Err(ApiError::new(format!("status {status}")).with_status(status).with_body(body).into())
            }
        }
    }
}

/// Samples from one model. It carries the reporter of its service, so that code that is given the client can report.
struct SamplingClient<'a> {
    service: &'a ServiceClient,
    id: String,
}

impl TelemetryProvider for SamplingClient<'_> {
    fn telemetry(&self) -> Telemetry<'_> {
        self.service.reporter.telemetry()
    }
}

impl SamplingClient<'_> {
    /// Returns the sampled text. What it fails with is reported: a `user_error` if that is the user's doing, and an unhandled
    /// exception otherwise. Each failure on the way is an event of its own.
    fn sample(&self, prompt: &str, timeout: Duration) -> Result<String, SdkError> {
        self.capture(|| {
            let started = Started::now();
            for attempt in 1.. {
                let error = match self.sample_once(prompt, timeout) {
                    Ok(text) => return Ok(text),
                    Err(error) => error,
                };
                let should_retry = error.is_retryable() && attempt < MAX_ATTEMPTS;
                let is_user_error = self.service.is_user_error(&error);
                let data = json!({
                    "func": "SamplingClient.sample",
                    "exception": error.to_string(),
                    "exception_type": error.kind(),
                    "status_code": error.status(),
                    "should_retry": should_retry,
                    "is_user_error": is_user_error,
                    "attempt_count": attempt,
                    "start_time": started.unix(),
                    "current_time": started.unix() + started.elapsed(),
                    "elapsed_time": started.elapsed(),
                });
                self.log(names::RETRY_EXCEPTION, data, passing(should_retry || is_user_error));
                if !should_retry {
                    return Err(error);
                }
                thread::sleep(PAUSE * 2_u32.pow(attempt));
            }
            unreachable!("the last attempt returns")
        })
    }

    fn sample_once(&self, prompt: &str, timeout: Duration) -> Result<String, SdkError> {
        let body = tree!({"sampling_session_id": self.id, "prompt": prompt});
        let answer = self.service.post("asample", &body)?;
        let request_id = answer["request_id"].as_str().unwrap_or_default().to_owned();
        PendingResult { client: self, request_id, started: Started::now(), iteration: 0 }.wait(timeout)
    }
}

/// The result of a request, asked for until it is there.
struct PendingResult<'a> {
    client: &'a SamplingClient<'a>,
    request_id: String,
    started: Started,
    iteration: u32,
}

impl PendingResult<'_> {
    fn wait(mut self, timeout: Duration) -> Result<String, SdkError> {
        let body = tree!({"request_id": self.request_id});
        let mut bad_requests = 0;
        loop {
            if self.started.elapsed() > timeout.as_secs_f64() {
                self.log(names::RESULT_TIMEOUT, Severity::Error, tree!({"timeout": timeout.as_secs_f64()}));
                return Err(SdkError::Timeout(timeout));
            }
            match self.client.service.post("retrieve_future", &body) {
                Ok(answer) if answer["type"] == "try_again" => {}
                Ok(answer) if answer["error"].is_string() => return Err(self.failed(&answer)),
                Ok(answer) => return self.read(&answer),
                Err(SdkError::Decoding(error)) => {
                    let error = SdkError::Decoding(error);
                    self.log_exception(names::RESULT_DECODING_ERROR, Severity::Error, &error, tree!({}));
                    return Err(error);
                }
                Err(error) => {
                    bad_requests += u32::from(error.status() == Some(400));
                    self.no_answer(error, bad_requests)?;
                }
            }
            thread::sleep(PAUSE);
            self.iteration += 1;
        }
    }

    /// An error of the transport. Returns it if the result is not to be asked for again.
    fn no_answer(&self, error: SdkError, bad_requests: u32) -> Result<(), SdkError> {
        let status = error.status();
        let kind = match status {
            None | Some(429) => "retry_with_backoff",
            Some(408 | 500..600) => "retry",
            Some(400) => "retry_if_budget",
            Some(_) => "fatal",
        };
        let is_bounded = matches!(kind, "retry_if_budget" | "fatal");
        let more = tree!({
            "status_code": status.unwrap_or(0),
            "kind": kind,
            "should_retry": kind != "fatal",
            "is_user_error": status.is_some_and(|status| (400..500).contains(&status) && status != 408),
            "bad_request_retries": bad_requests,
        });
        let name = if status.is_some() { names::RESULT_STATUS_ERROR } else { names::RESULT_CONNECTION_ERROR };
        self.log_exception(name, passing(!is_bounded), &error, more);
        if kind == "fatal" || bad_requests > MAX_BAD_REQUESTS { Err(error) } else { Ok(()) }
    }

    /// The request itself failed on the server.
    fn failed(&self, answer: &Value) -> SdkError {
        let category = answer["category"].as_str().and_then(|category| category.parse().ok());
        let category = category.unwrap_or(ErrorCategory::Unknown);
        let (error, is_user_error) = (&answer["error"], category == ErrorCategory::User);
        let more =
            tree!({"error": error, "error_category": category.as_str(), "is_user_error": is_user_error});
        self.log(names::RESULT_APPLICATION_ERROR, passing(is_user_error), more);
        ApiError::new(error.as_str().unwrap_or_default()).with_category(category).into()
    }

    fn read(&self, answer: &Value) -> Result<String, SdkError> {
        answer["text"].as_str().map(str::to_owned).ok_or_else(|| {
            let error = SdkError::Validation;
            self.log_exception(
                names::RESULT_VALIDATION_ERROR,
                Severity::Error,
                &error,
                tree!({"model_cls": "Sampled"}),
            );
            error
        })
    }

    fn log_exception(&self, name: &str, severity: Severity, error: &SdkError, mut more: Value) {
        more["exception"] = error.to_string().into();
        more["exception_type"] = error.kind().into();
        self.log(name, severity, more);
    }

    fn log(&self, name: &str, severity: Severity, mut data: Value) {
        data["request_id"] = self.request_id.clone().into();
        data["request_type"] = "Sample".into();
        data["iteration"] = self.iteration.into();
        data["elapsed_time"] = self.started.elapsed().into();
        self.client.log(name, data, severity);
    }
}

/// The severity of a failure: one that passes, or that is the user's doing, is no error of the SDK.
fn passing(passes: bool) -> Severity {
    if passes { Severity::Warning } else { Severity::Error }
}

/// What a call fails with. The cause is a `source`, and not `#[error(transparent)]`: a transparent error hides its cause
/// from those that walk the chain, and a user error would not be found.
#[derive(Debug, thiserror::Error)]
enum SdkError {
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("no answer")]
    Connection(#[source] ureq::Error),
    #[error("no result within {0:?}")]
    Timeout(Duration),
    #[error("the result is no JSON")]
    Decoding(#[source] serde_json::Error),
    #[error("the result is not of the type that was asked for")]
    Validation,
}

impl SdkError {
    /// The official SDK's name for it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Api(error) if error.status.is_none() => "RequestFailedError",
            Self::Api(_) => "APIStatusError",
            Self::Connection(_) => "APIConnectionError",
            Self::Timeout(_) => "TimeoutError",
            Self::Decoding(_) | Self::Validation => "ValueError",
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => error.status,
            _ => None,
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Connection(_)) || matches!(self.status(), Some(408 | 409 | 429 | 500..600))
    }
}

/// When something began, by both clocks.
struct Started(SystemTime, Instant);

impl Started {
    fn now() -> Self {
        Self(SystemTime::now(), Instant::now())
    }

    /// Seconds since 1970.
    fn unix(&self) -> f64 {
        self.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    /// Seconds.
    fn elapsed(&self) -> f64 {
        self.1.elapsed().as_secs_f64()
    }
}

/// The event without the path of the user's home, which is in the texts of many errors.
fn without_home(mut event: Event) -> Event {
    if let (Event::UnhandledException(exception), Ok(home)) = (&mut event, std::env::var("HOME")) {
        if home.len() > 1 {
            let texts = [Some(&mut exception.error_message), exception.traceback.as_mut()];
            for text in texts.into_iter().flatten() {
                *text = text.replace(&home, "~");
            }
        }
    }
    event
}

/// Has the API give these answers next.
fn play(api: &Collector, answers: Vec<Answer>) {
    api.answer_by_default(found(&tree!({"type": "try_again"})));
    for answer in answers {
        api.answer(answer);
    }
}

fn found(body: &Value) -> Answer {
    Answer::ok().body(body.to_string())
}

/// What is sampled, and how the API answers: the request is accepted, and then its result is asked for.
fn scenes() -> [(&'static str, Vec<Answer>); 6] {
    let accepted = || found(&tree!({"request_id": "request-1"}));
    let text = || found(&tree!({"text": "hello yourself"}));
    [
        ("after a pause", vec![accepted(), Answer::status(408), Answer::hang_up(), text()]),
        ("at the second try", vec![Answer::status(429), accepted(), text()]),
        (
            "a prompt that is too long",
            vec![accepted(), found(&tree!({"error": "the prompt is too long", "category": "user"}))],
        ),
        ("a result that is cut off", vec![accepted(), Answer::ok().body(r#"{"text": "hello"#)]),
        ("a result of another type", vec![accepted(), found(&tree!({"logits": []}))]),
        ("a result that never comes", vec![accepted()]),
    ]
}
