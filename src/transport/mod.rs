//! The network's edge: bytes out within a time limit, a verdict back. What sends by ureq is here and in the files
//! below.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::header::{HeaderMap, HeaderValue};
use http::uri::Uri;
use log::LevelFilter;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::{Connector, DefaultConnector};

use crate::model::config::Endpoint;
use crate::model::error::StartError;
use crate::process::catch_panic::contain;
use crate::process::fork::{self, Process};
use crate::process::reentrancy;
use crate::transport::retry::{Answer, Verdict, retry_after};
use crate::wire::encode::Request;
use lookup::Lookup;
use redactor::{Secrets, Veil};
use watch::Watch;

mod lookup;
mod redactor;
pub(crate) mod retry;
mod watch;

/// The one seam: a worker sends through this, and tests send through something else.
pub(crate) trait Transport {
    /// One attempt, over within `limit`. `retry` counts the attempts before it.
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict;
}

/// No answer's body is read further: it says nothing that matters, and a server must not make us hold more.
const MAX_ANSWER: u64 = 64 * 1024;

/// What a connection reads into and writes from, twice over with TLS, for as long as it is kept. An answer's head must
/// fit: those of backends and what stands before them take a few KiB.
const BUFFER: usize = 32 * 1024;

/// How long the rest of an answer may take once its head has told the verdict: enough for a healthy server, whose
/// connection is then kept for the next batch; a slow one only loses that.
const BODY_GRACE: Duration = Duration::from_millis(500);

/// No attempt is allowed more: ureq adds what it is allowed to the time, and panics where a clock cannot hold that.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(24 * 60 * 60);

const OUR_NAME: &str = concat!("tinker-telemetry/", env!("CARGO_PKG_VERSION"));

/// How the endpoint is reached: what an [`Http`] is made of, in the process that started the reporter and in those that
/// it forks. Nothing in it is ever locked.
pub(crate) struct Route {
    config: Config,
    uri: Uri,
    /// The proxy's host and port.
    proxy: Option<String>,
    /// The secret ones veiled.
    headers: HeaderMap,
    secrets: Secrets,
}

/// HTTP by ureq.
pub(crate) struct Http {
    route: Arc<Route>,
    agent: SharedAgent,
    veil: Veil,
    watch: Watch,
}

/// The agent that sends, for whoever breaks its attempt. Locked to clone or replace it, never while it works.
#[derive(Clone)]
struct SharedAgent(Arc<Mutex<Agent>>);

impl SharedAgent {
    fn new(agent: Agent) -> Self {
        Self(Arc::new(Mutex::new(agent)))
    }

    fn get(&self) -> Agent {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, agent: Agent) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = agent;
    }
}

/// Breaks the attempt on the wire, from another thread.
pub(crate) struct Hangup(SharedAgent);

impl Hangup {
    /// Returns at once. ureq writes to the program's log as it hangs up, and locks what it also holds while it writes
    /// there elsewhere: whoever stops may hold the logger's lock, or have a logger that is stuck.
    pub(crate) fn hang_up(&self) {
        let agent = self.0.get();
        // ureq panics if a thread died with its lock: then there is nothing to break. Nor is it needed where there is
        // no thread to be had: an attempt ends by itself.
        let hang_up = move || _ = contain(|| agent.shutdown());
        let _ = fork::start_thread("tinker-hangup", hang_up);
    }
}

impl Route {
    pub(crate) fn new(endpoint: Endpoint, http_timeout: Duration) -> Result<Self, StartError> {
        let proxy = endpoint.proxy.as_ref().map(|proxy| {
            // Only ours tell what is wrong without showing a password.
            ureq::Proxy::new(proxy.url()).map_err(|_| proxy.refused())
        });
        let proxy = proxy.transpose()?;
        let config = Agent::config_builder()
            .http_status_as_error(false) // an answer is a verdict, and its headers matter
            .max_redirects(0) // following would forward the key and turn the POST into a GET
            .max_redirects_will_error(false)
            .proxy(proxy) // even where there is none, or ureq would take the environment's silently
            .max_response_header_size(BUFFER)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .user_agent(OUR_NAME) // for the proxy; requests carry it as one of our headers
            .max_idle_connections(1);
        #[cfg(feature = "tls")]
        let config = config.tls_config(tls_config(endpoint.root_certificates.as_deref())?);
        #[cfg(not(feature = "tls"))]
        if endpoint.root_certificates.is_some() {
            let reason = "needs the feature `tls`, which this program was built without";
            return Err(StartError::InvalidSetting { setting: "root_certificates", reason });
        }
        let mut headers = endpoint.headers;
        let secrets = Secrets::veil(&mut headers);
        add_own_headers(http_timeout, &mut headers);
        let place = endpoint.proxy.map(|proxy| proxy.place().to_owned());
        prepare();
        Ok(Self { config: config.build(), uri: endpoint.uri, proxy: place, headers, secrets })
    }

    fn agent(&self, watch: &Watch, veil: &Veil) -> Agent {
        agent(self.config.clone(), watch, veil)
    }

    /// Where it leads, for a log line: hosts, never a path or a secret.
    pub(crate) fn destination(&self) -> String {
        let host = self.uri.host().unwrap_or_default();
        match &self.proxy {
            Some(proxy) => format!("{host} through the proxy at {proxy}"),
            None => host.to_owned(),
        }
    }
}

impl Http {
    /// With connections of its own: a forked child must not touch those of its parent.
    pub(crate) fn along(route: Arc<Route>) -> Self {
        let (watch, veil) = (Watch::new(), Veil::over(&route.secrets));
        let agent = SharedAgent::new(route.agent(&watch, &veil));
        Self { route, agent, veil, watch }
    }

    pub(crate) fn hangup(&self) -> Hangup {
        Hangup(self.agent.clone())
    }

    fn attempt(&self, request: &Request, retry: u32, limit: Duration) -> Result<Answer, ureq::Error> {
        let started = Instant::now();
        match self.exchange(request, retry, limit) {
            // The server had closed the kept connection when our bytes came: no attempt has been made yet.
            Err(error) if self.watch.is_swallowed() && is_broken_connection(&error) => {
                self.exchange(request, retry, limit.saturating_sub(started.elapsed()))
            }
            outcome => outcome,
        }
    }

    fn exchange(&self, request: &Request, retry: u32, limit: Duration) -> Result<Answer, ureq::Error> {
        let limit = limit.min(LONGEST_ATTEMPT);
        self.watch.begin(Instant::now() + limit);
        let mut post = self.agent.get().post(&self.route.uri);
        if let Some(headers) = post.headers_mut() {
            *headers = self.route.headers.clone();
        }
        let response = post
            .header("x-idempotency-key", &request.idempotency_key)
            .header("x-stainless-retry-count", retry)
            .config()
            .timeout_global(Some(limit))
            .timeout_recv_body(Some(BODY_GRACE))
            .build()
            .send(request.body.as_slice())?;
        let (head, body) = response.into_parts();
        // Read to its end, or the connection cannot be kept.
        let _ = io::copy(&mut body.into_with_config().limit(MAX_ANSWER).reader(), &mut io::sink());
        Ok(read_answer(head.status.as_u16(), &head.headers))
    }
}

impl Transport for Http {
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        // A panic in the HTTP client is a network that does not work.
        match contain(|| self.attempt(request, retry, limit)) {
            Some(Ok(answer)) => Verdict::Answer(answer),
            Some(Err(error)) if is_broken_connection(&error) => Verdict::HungUp(cause(&error)),
            Some(Err(error)) => Verdict::Silence(cause(&error)),
            None => {
                // A lock that ureq held may be poisoned, and every later attempt would panic too.
                self.agent.replace(self.route.agent(&self.watch, &self.veil));
                Verdict::Silence("the HTTP client failed".to_owned())
            }
        }
    }
}

/// Has ureq make what it makes once, in a process's first request, and keeps behind a lock: a fork on another thread
/// could catch that lock closed, and the child would never send anything. (Seen in one of some forty programs that
/// began with forks on four threads.) The request for it goes nowhere. ureq speaks of it at debug level, so a program
/// that logs at that level goes without: its logger may be what starts the reporter.
fn prepare() {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    // Nor must a child wait here whose parent was not done.
    let may_hang = !Process::current().is_first() || log::max_level() >= LevelFilter::Debug;
    if may_hang || PREPARED.load(Ordering::Relaxed) {
        return;
    }
    let _scope = reentrancy::enter(); // should ureq panic, no panic hook of ours is to report it
    let config = Agent::config_builder().proxy(None).build();
    let agent = agent(config, &Watch::new(), &Veil::over(&Secrets::default()));
    agent.clone().shutdown(); // it connects no more, but begins
    let _ = contain(|| agent.get("http://127.0.0.1").call());
    PREPARED.store(true, Ordering::Relaxed);
}

fn agent(config: Config, watch: &Watch, veil: &Veil) -> Agent {
    let connector = DefaultConnector::default().chain(watch.clone()).chain(veil.clone());
    Agent::with_parts(config, connector, Lookup::default())
}

fn read_answer(status: u16, headers: &HeaderMap) -> Answer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let should_retry = match text("x-should-retry") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    let retry_after = retry_after(text("retry-after-ms"), text("retry-after"), SystemTime::now());
    Answer { status, should_retry, retry_after }
}

fn is_broken_connection(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let ureq::Error::Io(error) = error else { return false };
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(feature = "tls")]
fn is_tls_error(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// Why there was no answer, in words of our own: ureq's may repeat an address with a password in it.
fn cause(error: &ureq::Error) -> String {
    match error {
        // What rustls finds wrong with a certificate comes out of a failed read.
        #[cfg(feature = "tls")]
        ureq::Error::Io(error) if is_tls_error(error) => format!("TLS: {error}"),
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => "not an HTTP answer".to_owned(),
        // Says "proxy server responded 407/407", or that it did not.
        ureq::Error::ConnectProxyFailed(reason) => reason.split('/').next().unwrap_or_default().to_owned(),
        #[cfg(feature = "tls")]
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        _ => "connection failed".to_owned(),
    }
}

/// The headers that are the same in every request, as the official SDK sends them.
fn add_own_headers(http_timeout: Duration, headers: &mut HeaderMap) {
    let read_timeout = serde_json::to_string(&http_timeout.as_secs_f64()).unwrap_or_default();
    let own = [
        ("user-agent", OUR_NAME),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-stainless-async", "false"),
        ("x-stainless-runtime", "rust"),
        ("x-stainless-os", os()),
        ("x-stainless-arch", arch()),
        ("x-stainless-package-version", env!("CARGO_PKG_VERSION")),
        ("x-stainless-read-timeout", &read_timeout),
    ];
    for (name, value) in own {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// The operating system as the official SDK names it in headers.
fn os() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "MacOS",
        "windows" => "Windows",
        _ => "Unknown",
    }
}

/// The processor, likewise.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "x86" => "x32",
        "aarch64" => "arm64",
        "arm" => "arm",
        _ => "unknown",
    }
}

/// Trusts the certificates of the PEM text, or where there is none those that Mozilla trusts.
#[cfg(feature = "tls")]
fn tls_config(pem: Option<&[u8]>) -> Result<ureq::tls::TlsConfig, StartError> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

    let invalid = |reason| StartError::InvalidSetting { setting: "root_certificates", reason };
    let mut roots = RootCerts::WebPki;
    if let Some(pem) = pem {
        let items: Result<Vec<_>, _> = parse_pem(pem).collect();
        let certificates =
            items.map_err(|_| invalid("is not PEM"))?.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
        let certificates: Vec<_> = certificates.collect();
        // ureq leaves out what cannot be read, as is right for a system's bundle; but of none nothing would be trusted.
        let readable = certificates.iter().map(|certificate| certificate.der().into());
        if rustls::RootCertStore::empty().add_parsable_certificates(readable).0 == 0 {
            return Err(invalid("holds no certificate that can be read"));
        }
        roots = certificates.into();
    }
    Ok(TlsConfig::builder().root_certs(roots).build())
}
