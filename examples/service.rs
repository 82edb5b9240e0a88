//! A service with telemetry: hashes what it is sent, with a thread for each connection, and stops gracefully on
//! SIGTERM or Ctrl-C. It reports `tracing` spans, threads that fail, and requests made with ureq.
//!
//! ```text
//! cargo run --all-features --example service -- [--listen ADDRESS]
//! curl --data-binary @Cargo.toml http://127.0.0.1:8080/sha256
//! ```
//!
//! Started with `--demo` it sends itself some requests, good ones and bad, and then stops.
//!
//! Exit codes: 0, it has stopped; 1, it cannot listen; 2, wrong arguments. A second signal ends it at once.

mod backend;
mod signals;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use sha2::{Digest, Sha256};
use tinker_telemetry::bridge::{self, Attachments, EventFilter, TracingBridge, UreqBridge};
use tinker_telemetry::event::Event;
use tinker_telemetry::{ApiError, Reporter, Severity};
use tracing::field;
use tracing_log::LogTracer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use backend::Backend;

/// The id that Tinker returns when a program opens its session.
const SESSION: &str = "070714b0-2804-4c4f-8423-a321dbd258e0";
/// How long a client may stay silent, and how long telemetry may delay the end of the service.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest body that is read.
const MAX_BODY: u64 = 16 * 1024 * 1024;
/// The longest line of a request's head.
const MAX_LINE: u64 = 8 * 1024;

#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Play a client too, then stop
    #[arg(long)]
    demo: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let attachments = Attachments::new();
    let printed = tracing_subscriber::fmt::layer().without_time().with_writer(io::stderr);
    tracing_subscriber::registry().with(printed).with(TracingBridge::new(&attachments)).init();
    match run(&arguments, &attachments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, attachments: &Attachments) -> anyhow::Result<()> {
    // The reporter's warnings say why nothing arrives. They come through the crate `log`.
    LogTracer::init_with_filter(log::LevelFilter::Warn)?;
    let backend = Backend::start()?;
    let reporter = Reporter::builder(backend.config(), SESSION)
        .flush_timeout(PATIENCE)
        .context("release", env!("CARGO_PKG_VERSION"))
        .before_send(|event| Some(event).filter(|event| !is_health_check(event)))
        .start()?;
    let _shown = backend.show_at_end(&reporter);
    // There is one session, so no event needs its id: the spans of requests are forwarded, and what this file logs.
    attachments.add(&reporter, EventFilter::new(["request.*", "service"]).without_session_id());
    bridge::install_panic_hook(&reporter);

    let outcome = listen(arguments, &reporter);
    if let Err(error) = &outcome {
        reporter.log_fatal_exception(error, Severity::Critical);
    }
    reporter.stop(PATIENCE);
    if reporter.is_enabled() {
        tracing::info!("{}", reporter.stats());
    }
    outcome
}

/// Whether the event is about a health check, of which there are many, all alike.
fn is_health_check(event: &Event) -> bool {
    event.data().is_some_and(|data| data.get("metadata").is_some_and(|fields| fields["path"] == "/health"))
}

/// Listens and serves until the service is to stop.
fn listen(arguments: &Arguments, reporter: &Reporter) -> anyhow::Result<()> {
    let listener = TcpListener::bind(arguments.listen)
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let stop = Stop { address: listener.local_addr()?, is_asked: Arc::default() };
    stop_on_signal(stop.clone())?;
    tracing::info!(address = %stop.address, "listening");
    let client = arguments.demo.then(|| demo(&stop, reporter)).transpose()?;

    let connections = serve(&listener, reporter, &stop);
    tracing::info!(connections = connections.len(), "stopping; requests that have begun are finished");
    for connection in connections.into_iter().chain(client) {
        let _ = connection.join(); // how it ended is reported
    }
    Ok(())
}

/// What asks the service to stop.
#[derive(Clone)]
struct Stop {
    address: SocketAddr,
    is_asked: Arc<AtomicBool>,
}

impl Stop {
    /// Whether it was the first to ask.
    fn ask(&self) -> bool {
        let is_first = !self.is_asked.swap(true, Ordering::SeqCst);
        let mut address = self.address;
        if address.ip().is_unspecified() {
            // Not every system connects to the address that stands for all of its own.
            let is_v4 = address.is_ipv4();
            address.set_ip(if is_v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let _ = TcpStream::connect_timeout(&address, PATIENCE); // wakes `accept`
        is_first
    }

    fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }
}

/// Stops the service at the first signal; the second ends the program at once.
fn stop_on_signal(stop: Stop) -> io::Result<()> {
    signals::on_end(move |signal| {
        if !stop.ask() {
            signals::end_by(signal);
        }
    })
}

/// Serves until it is to stop. Returns the connections that are not over yet.
fn serve(listener: &TcpListener, reporter: &Reporter, stop: &Stop) -> Vec<JoinHandle<io::Result<()>>> {
    let mut connections: Vec<JoinHandle<io::Result<()>>> = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if stop.is_asked() {
            break;
        }
        connections.retain(|connection| !connection.is_finished());
        let connection = stream.and_then(|stream| {
            let thread = thread::Builder::new().name(format!("connection-{number}"));
            let telemetry = reporter.clone();
            // An error or a panic is reported, and ends this connection only.
            reporter.spawn(thread, move || serve_connection(&stream, &telemetry))
        });
        match connection {
            Ok(connection) => connections.push(connection),
            Err(error) => tracing::warn!(%error, "a connection is lost"),
        }
    }
    connections
}

fn serve_connection(stream: &TcpStream, reporter: &Reporter) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = Request::read(stream)?;
    let (method, path, bytes) = (&request.method, &request.path, request.body.len());
    // The bridge reports this span, and adds its fields to the events inside it.
    let span = tracing::info_span!("request", method, path, bytes, status = field::Empty).entered();
    let (status, answer) = match respond(&request) {
        Ok(answer) => (200, answer),
        Err(error) => {
            tracing::warn!("{error}");
            let status = error.status.unwrap_or(500);
            reporter.log_exception(&error, Severity::Error);
            (status, format!("{error}\n"))
        }
    };
    span.record("status", status);
    write!(
        { stream },
        "HTTP/1.1 {status} {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        if status == 200 { "OK" } else { "Error" },
        answer.len()
    )
}

/// The work itself.
fn respond(request: &Request) -> Result<String, ApiError> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/health") => Ok("well\n".to_owned()),
        ("POST", "/sha256") if request.body.is_empty() => {
            Err(ApiError::new("nothing to hash").with_status(400))
        }
        ("POST", "/sha256") => {
            let _hashing = tracing::info_span!("request.hash").entered(); // within the span `request`
            Ok(format!("{:x}\n", Sha256::digest(&request.body)))
        }
        ("POST", "/panic") => panic!("as the client asked"),
        (method, path) => Err(ApiError::new(format!("no {method} {path} here")).with_status(404)),
    }
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let line = read_line(&mut reader)?;
        // Control characters are refused: method and path are logged, and a terminal acts on some.
        let mut words = line.split(' ').filter(|_| !line.contains(char::is_control)).map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a request"));
        };
        let mut length = 0;
        loop {
            let line = read_line(&mut reader)?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        if length > MAX_BODY {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the body is too large"));
        }
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        Ok(Self { method, path, body })
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(MAX_LINE).read_line(&mut line)?;
    if line.ends_with('\n') {
        Ok(line.trim_end().to_owned())
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the request ends early"))
    }
}

/// A client: has two files of this crate hashed, asks for what is not there, makes a connection panic, and stops the
/// service.
fn demo(stop: &Stop, reporter: &Reporter) -> io::Result<JoinHandle<io::Result<()>>> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .middleware(UreqBridge::new(reporter))
        .build();
    let agent: ureq::Agent = agent.into();
    let client = thread::Builder::new().name("client".to_owned());
    let stop = stop.clone();
    reporter.spawn(client, move || {
        let outcome = ask(&agent, stop.address);
        stop.ask(); // whatever came of the requests
        outcome
    })
}

fn ask(agent: &ureq::Agent, address: SocketAddr) -> io::Result<()> {
    let url = |path| format!("http://{address}/{path}");
    for file in ["Cargo.toml", "README.md"] {
        let answer = agent.post(url("sha256")).send(&std::fs::read(file)?).map_err(ureq::Error::into_io)?;
        let hash = answer.into_body().read_to_string().map_err(ureq::Error::into_io)?;
        tracing::info!(file, hash = hash.trim(), "hashed");
    }
    let refused = [agent.get(url("nothing")).call(), agent.post(url("panic")).send_empty()];
    for error in refused.into_iter().filter_map(Result::err) {
        tracing::info!(%error, "refused, as expected");
    }
    Ok(())
}
