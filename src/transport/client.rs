//! Sends requests over HTTP, by ureq.
//!
//! Some of ureq's defaults do not suit a reporter. The [`Route`] switches them off, each with its reason.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::header::{HeaderMap, HeaderValue};
use http::uri::Uri;
use log::LevelFilter;
use ureq::Agent;
use ureq::config::Config;

use super::Transport;
use super::abort::{Abort, SharedAgent};
use super::connection::known_host::KnownHost;
use super::connection::lookup::Lookup;
use super::connection::unversioned::agent;
use super::connection::{ConnectionWatch, Secrets};
#[cfg(feature = "gzip")]
use super::gzip::{self, BodyCompression};
use super::identity::credentials::Credentials;
use super::identity::expiry::expiry;
use super::identity::headers;
use super::retry::{Response, Verdict, retry_after};
#[cfg(feature = "tls")]
use super::tls;
use crate::failure::http_error::{cause, is_broken_connection, is_denied};
use crate::model::config::{CredentialSource, Endpoint, Protocol};
use crate::model::error::StartError;
use crate::process::catch_panic::catch_panic;
use crate::process::fork::ForkGeneration;
use crate::process::reentrancy;
use crate::wire::envelope::Request;
#[cfg(feature = "otlp")]
use crate::wire::otlp::{self, PartialSuccess};

/// At most so much of the body of an answer is read: a server must not keep the worker busy with it.
const MAX_ANSWER: u64 = 64 * 1024;

/// The size of a connection's input buffer, and of its output buffer. With TLS there are two of each. They exist as long
/// as the connection is kept. The head of an answer must fit: heads of backends and proxies take a few KiB.
const BUFFER: usize = 32 * 1024;

/// The header of the API key.
const API_KEY: &str = "x-api-key";

/// How long a body that does not matter may take. The head has already given the verdict. A healthy server is done in this time,
/// and its connection is kept for the next batch. A slow server only loses the connection.
const BODY_GRACE: Duration = Duration::from_millis(500);

/// The longest limit for an attempt. ureq adds the limit to the time, and panics if the sum is too large for the clock.
const MAX_ATTEMPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How to reach the endpoint, and how to speak to it. An [`Http`] is made from it, in the process that started the reporter and in its forked
/// children. Nothing in it is ever locked.
#[derive(Clone)]
pub(crate) struct Route {
    config: Config,
    uri: Uri,
    /// The proxy's host and port.
    proxy: Option<String>,
    /// As they are sent. No `Debug` shows the secret ones.
    plain: HeaderMap,
    /// With asterisks in place of secrets.
    headers: HeaderMap,
    secrets: Secrets,
    credentials: Option<CredentialSource>,
    known_host: Arc<KnownHost>,
    protocol: Protocol,
    #[cfg(feature = "gzip")]
    compression: BodyCompression,
}

impl Route {
    pub(crate) fn new(endpoint: Endpoint, http_timeout: Duration) -> Result<Self, StartError> {
        let proxy = endpoint.proxy.as_ref().map(|proxy| {
            // This crate's own error names the fault and shows no password.
            ureq::Proxy::new(proxy.url()).map_err(|_| proxy.refused())
        });
        let proxy = proxy.transpose()?;
        let config = Agent::config_builder()
            .http_status_as_error(false) // every answer is a verdict, and its headers matter
            .max_redirects(0) // following would forward the key and turn the POST into a GET
            .max_redirects_will_error(false)
            .proxy(proxy) // also sets none, or ureq would take the environment's silently
            .max_response_header_size(BUFFER)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .accept_encoding("") // or a crate that enables ureq's `gzip` would add the header
            .user_agent(&endpoint.user_agent) // for the proxy; requests carry it among their own headers
            .max_idle_connections(1);
        #[cfg(feature = "tls")]
        let config = config.tls_config(tls::config(&endpoint)?);
        #[cfg(not(feature = "tls"))]
        if endpoint.root_certificates.is_some() || !endpoint.added_root_certificates.is_empty() {
            let replaces = endpoint.root_certificates.is_some();
            let setting = if replaces { "root_certificates" } else { "add_root_certificates" };
            let reason = "needs the feature `tls`, which this program was built without";
            return Err(StartError::InvalidSetting { setting, reason });
        }
        let mut headers = endpoint.headers;
        headers::add_own(http_timeout, &endpoint.user_agent, &endpoint.protocol, &mut headers);
        let proxy = endpoint.proxy.map(|proxy| proxy.place().to_owned());
        let plain = headers.clone();
        let secrets = Secrets::take_from(&mut headers);
        prepare();
        Ok(Self {
            config: config.build(),
            uri: endpoint.uri,
            proxy,
            plain,
            headers,
            secrets,
            credentials: endpoint.credentials,
            known_host: Arc::new(KnownHost::new()),
            protocol: endpoint.protocol,
            #[cfg(feature = "gzip")]
            compression: BodyCompression::new(endpoint.compresses),
        })
    }

    /// The same with this key.
    fn with_key(&self, key: HeaderValue) -> Self {
        let mut plain = self.plain.clone();
        plain.insert(API_KEY, key);
        let mut headers = plain.clone();
        let secrets = Secrets::take_from(&mut headers);
        Self { plain, headers, secrets, ..self.clone() }
    }

    fn key(&self) -> Option<&HeaderValue> {
        self.plain.get(API_KEY)
    }

    /// Whether the key is a token whose time is over.
    fn is_key_expired(&self) -> bool {
        self.key().and_then(expiry).is_some_and(|expiry| expiry <= SystemTime::now())
    }

    /// The endpoint's host, and the proxy's, for a log line. Never a path or a secret.
    pub(crate) fn destination(&self) -> String {
        let host = self.uri.host().unwrap_or_default();
        match &self.proxy {
            Some(proxy) => format!("{host} through the proxy at {proxy}"),
            None => host.to_owned(),
        }
    }
}

/// The client of one process: a forked child must not touch the connections of its parent.
pub(crate) struct Http {
    route: Arc<Route>,
    agent: SharedAgent,
    connections: ConnectionWatch,
    lookup: Lookup,
    credentials: Option<Credentials>,
    /// The source was asked for a key in place of an expired one, and gave none. The clock may be wrong: the server decides.
    keeps_expired_key: bool,
}

impl Http {
    pub(crate) fn new(route: Arc<Route>) -> Self {
        let credentials = route.credentials.clone().map(Credentials::new);
        Self::with(route, credentials, SharedAgent::new)
    }

    fn with(
        route: Arc<Route>,
        credentials: Option<Credentials>,
        share: impl FnOnce(Agent) -> SharedAgent,
    ) -> Self {
        let connections = ConnectionWatch::new(&route.secrets);
        let lookup = Lookup::new(Arc::clone(&route.known_host));
        let agent = share(agent(route.config.clone(), &connections, &lookup));
        Self { route, agent, connections, lookup, credentials, keeps_expired_key: false }
    }

    /// Asks for a key that is another than the last. `false`: there is none.
    fn get_key(&mut self, limit: Duration) -> bool {
        let Some(credentials) = &self.credentials else { return false };
        let Some(key) = credentials.key_other_than(self.route.key(), limit) else { return false };
        self.route = Arc::new(self.route.with_key(key));
        self.connections = ConnectionWatch::new(&self.route.secrets);
        self.agent.replace(self.fresh_agent());
        self.keeps_expired_key = false;
        true
    }

    /// An attempt with the key that there is, and one more with another if the server no longer takes it.
    fn post_with_key(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        let end = Instant::now() + limit.min(MAX_ATTEMPT);
        let left = || end.saturating_duration_since(Instant::now());
        let is_without_key = self.credentials.is_some() && self.route.key().is_none();
        if is_without_key && !self.get_key(left()) {
            return Verdict::NoAnswer("there is no API key: its source gave none".to_owned());
        }
        if self.credentials.is_some() && !self.keeps_expired_key && self.route.is_key_expired() {
            self.keeps_expired_key = !self.get_key(left());
        }
        let verdict = self.post_encoded(request, retry, left());
        let is_refused = matches!(&verdict, Verdict::Response(response) if response.status == 401);
        if is_refused && self.get_key(left()) && !left().is_zero() {
            return self.post_encoded(request, retry, left());
        }
        verdict
    }

    /// An attempt with a compressed body if there is one, and one more with the plain body if the server may not have
    /// understood the other. If it answers the plain one in another way, it gets no compressed one any more.
    #[cfg(feature = "gzip")]
    fn post_encoded(&self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        let plain = self.message(request, retry);
        let Some(compressed) = self.route.compression.of(request) else {
            return self.post_once(&plain, limit);
        };
        let started = Instant::now();
        let verdict = self.post_once(&plain.with_gzip(compressed), limit);
        if !gzip::may_be_refused(&verdict) {
            return verdict;
        }
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return verdict;
        }
        let verdict = self.post_once(&plain, left);
        if !gzip::may_be_refused(&verdict) && !verdict.has_no_answer() {
            self.route.compression.switch_off();
        }
        verdict
    }

    #[cfg(not(feature = "gzip"))]
    fn post_encoded(&self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        self.post_once(&self.message(request, retry), limit)
    }

    fn message<'a>(&self, request: &'a Request, retry: u32) -> Message<'a> {
        let mut headers = self.route.headers.clone();
        headers::add_of_attempt(request, retry, &self.route.protocol, &mut headers);
        Message { headers, body: &request.body }
    }

    fn post_once(&self, message: &Message<'_>, limit: Duration) -> Verdict {
        // A panic in the HTTP client is a network that does not work.
        match catch_panic(|| self.attempt(message, limit)) {
            Some(Ok(verdict)) => verdict,
            Some(Err(error)) if is_broken_connection(&error) => Verdict::Disconnect(cause(&error)),
            Some(Err(error)) => Verdict::NoAnswer(cause(&error)),
            None => {
                // The panic may have poisoned a lock of ureq's. Then every later attempt would panic too.
                self.agent.replace(self.fresh_agent());
                Verdict::NoAnswer("the HTTP client failed".to_owned())
            }
        }
    }

    fn fresh_agent(&self) -> Agent {
        agent(self.route.config.clone(), &self.connections, &self.lookup)
    }

    pub(crate) fn abort_handle(&self) -> Abort {
        self.agent.abort_handle(self.credentials.clone())
    }

    fn attempt(&self, message: &Message<'_>, limit: Duration) -> Result<Verdict, ureq::Error> {
        let started = Instant::now();
        let outcome = self.exchange(message, limit);
        let is_no_attempt = match &outcome {
            // The server had closed the kept connection before the request came.
            Err(error) if is_broken_connection(error) => self.connections.attempt().is_stale_reuse(),
            // IPv6 is not allowed to this process, for example, and the host has an address of IPv4 too.
            Err(error) if is_denied(error) => self.lookup.prefer_other_family(),
            _ => false,
        };
        if is_no_attempt {
            return self.exchange(message, limit.saturating_sub(started.elapsed()));
        }
        outcome
    }

    fn exchange(&self, message: &Message<'_>, limit: Duration) -> Result<Verdict, ureq::Error> {
        let limit = limit.min(MAX_ATTEMPT);
        self.connections.attempt().begin(Instant::now() + limit);
        let mut post = self.agent.get().post(&self.route.uri);
        if let Some(headers) = post.headers_mut() {
            *headers = message.headers.clone();
        }
        let response = post
            .config()
            .timeout_global(Some(limit))
            .timeout_recv_body(Some(self.time_for_body()))
            .build()
            .send(message.body)?;
        let (head, body) = response.into_parts();
        let response = read_response(head.status.as_u16(), &head.headers);
        Ok(self.verdict(response, body.into_with_config().limit(MAX_ANSWER).reader()))
    }

    /// How long the body of an answer may take within the attempt.
    fn time_for_body(&self) -> Duration {
        match self.route.protocol {
            Protocol::Tinker { .. } => BODY_GRACE,
            #[cfg(feature = "otlp")]
            Protocol::Otlp { .. } => MAX_ATTEMPT, // the body says how much was accepted
        }
    }

    /// Reads the answer's body to its end: a connection is kept only then.
    fn verdict(&self, response: Response, mut body: impl Read) -> Verdict {
        match self.route.protocol {
            Protocol::Tinker { .. } => {
                let _ = io::copy(&mut body, &mut io::sink());
            }
            #[cfg(feature = "otlp")]
            Protocol::Otlp { .. } => {
                let mut bytes = Vec::new();
                let is_whole = body.read_to_end(&mut bytes).is_ok();
                if let Some(partial) = partial_success(response, &bytes).filter(|_| is_whole) {
                    return Verdict::PartialSuccess { rejected: partial.rejected, message: partial.message };
                }
            }
        }
        Verdict::Response(response)
    }
}

/// What a server says in the body of an answer that accepts. A body that cannot be read says nothing: the status alone has
/// accepted the request.
#[cfg(feature = "otlp")]
fn partial_success(response: Response, body: &[u8]) -> Option<PartialSuccess> {
    let partial = if (200..300).contains(&response.status) { otlp::read_response(body) } else { None };
    partial.filter(|partial| partial.rejected > 0 || !partial.message.is_empty())
}

/// What one attempt sends.
struct Message<'a> {
    headers: HeaderMap,
    body: &'a [u8],
}

impl Message<'_> {
    #[cfg(feature = "gzip")]
    fn with_gzip<'a>(&self, body: &'a [u8]) -> Message<'a> {
        let mut headers = self.headers.clone();
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        Message { headers, body }
    }
}

impl Transport for Http {
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        self.post_with_key(request, retry, limit)
    }

    fn another(&self) -> Option<Self> {
        let (route, credentials) = (Arc::clone(&self.route), self.credentials.clone());
        Some(Self::with(route, credentials, |agent| self.agent.beside(agent)))
    }
}

/// Makes a request that goes nowhere. In the first request of a process ureq initialises values that it keeps behind a
/// lock. A fork on another thread during a first request could leave that lock closed, and the child would never send
/// anything. (Seen in one of some forty programs that began with forks on four threads.)
///
/// This is left out if the program logs at debug level: ureq logs meanwhile, and the logger may be what starts the
/// reporter.
fn prepare() {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    // A child must not wait here for what a thread of its parent had begun.
    let may_hang = !ForkGeneration::current().is_first() || log::max_level() >= LevelFilter::Debug;
    if may_hang || PREPARED.load(Ordering::Relaxed) {
        return;
    }
    let _guard = reentrancy::enter(); // if ureq panics, the crate's panic hook must not report it
    let config = Agent::config_builder().proxy(None).build();
    let agent =
        agent(config, &ConnectionWatch::new(&Secrets::default()), &Lookup::new(Arc::new(KnownHost::new())));
    agent.clone().shutdown(); // the agent makes no connection any more, but it still initialises its values
    let _ = catch_panic(|| agent.get("http://127.0.0.1").call());
    PREPARED.store(true, Ordering::Relaxed);
}

fn read_response(status: u16, headers: &HeaderMap) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let should_retry = match text("x-should-retry") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    let retry_after = retry_after(text("retry-after-ms"), text("retry-after"), SystemTime::now());
    Response { status, should_retry, retry_after }
}
