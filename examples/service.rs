//! A service with telemetry: hashes what it is sent, with a thread for each connection, and stops gracefully on
//! SIGTERM or Ctrl-C. What it reports comes from `tracing` spans, from threads that fail, and from ureq.
//!
//! ```text
//! cargo run --all-features --example service -- [--listen ADDRESS]
//! curl --data-binary @Cargo.toml http://127.0.0.1:8080/sha256
//! ```
//!
//! `--demo` has it send itself some requests, good ones and bad, and then SIGTERM.

mod backend;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::Parser;
use sha2::{Digest, Sha256};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tinker_telemetry::bridge::{self, Attachments, EventFilter, TracingBridge, UreqBridge};
use tinker_telemetry::{ApiError, Reporter, Severity};
use tracing::field;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use backend::Backend;

const SESSION: &str = "service-0001";
/// How long a client may stay silent.
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

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let attachments = Attachments::new();
    let printed = tracing_subscriber::fmt::layer().without_time().with_writer(io::stderr);
    tracing_subscriber::registry().with(printed).with(TracingBridge::new(&attachments)).init();
    let backend = Backend::start()?;
    let reporter = Reporter::builder(backend.config(), SESSION).flush_timeout(PATIENCE).start()?;
    attachments.attach("requests", &reporter, EventFilter::new(["request.*"]))?;
    bridge::install_panic_hook(&reporter);

    let listener = TcpListener::bind(arguments.listen)?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let stopping = Arc::new(AtomicBool::new(false));
    stop_on_signal(&stopping, address)?;
    let client = arguments.demo.then(|| demo(address, &reporter)).transpose()?;

    let connections = serve(&listener, &reporter, &stopping);
    tracing::info!(connections = connections.len(), "stopping; what has begun is finished");
    for connection in connections.into_iter().chain(client) {
        let _ = connection.join(); // how it ended is reported
    }
    reporter.stop(PATIENCE);
    tracing::info!("{}", reporter.stats());
    Ok(())
}

/// Has the service stop at the first signal; at the second the program ends as if nobody had listened.
fn stop_on_signal(stopping: &Arc<AtomicBool>, address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let stopping = Arc::clone(stopping);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if stopping.swap(true, Ordering::SeqCst) {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            let _ = TcpStream::connect(address); // wakes `accept`
        }
    })?;
    Ok(())
}

/// Serves until told to stop; gives the connections that are not over yet.
fn serve(
    listener: &TcpListener,
    reporter: &Reporter,
    stopping: &AtomicBool,
) -> Vec<JoinHandle<io::Result<()>>> {
    let mut connections: Vec<JoinHandle<io::Result<()>>> = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if stopping.load(Ordering::SeqCst) {
            break;
        }
        connections.retain(|connection| !connection.is_finished());
        let connection = stream.and_then(|stream| {
            let thread = thread::Builder::new().name(format!("connection-{number}"));
            let telemetry = reporter.clone();
            // What goes wrong with one connection, a panic too, is reported and costs only that one.
            reporter.spawn(thread, move || serve_connection(&stream, &telemetry))
        });
        match connection {
            Ok(connection) => connections.push(connection),
            Err(error) => tracing::warn!(%error, "a connection could not be taken"),
        }
    }
    connections
}

fn serve_connection(stream: &TcpStream, reporter: &Reporter) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = Request::read(stream)?;
    let (method, path, bytes) = (&request.method, &request.path, request.body.len());
    // The bridge forwards what carries the session's id: this span, and what is said inside it.
    let span =
        tracing::info_span!("request", session_id = SESSION, method, path, bytes, status = field::Empty)
            .entered();
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
        ("POST", "/sha256") => Ok(format!("{:x}\n", Sha256::digest(&request.body))),
        ("POST", "/panic") => panic!("as the client wished"),
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
        let mut words = line.split(' ').map(str::to_owned);
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

/// A client: hashes the files of this crate, asks for what is not there, has a connection panic, and ends the service.
fn demo(address: SocketAddr, reporter: &Reporter) -> io::Result<JoinHandle<io::Result<()>>> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .middleware(UreqBridge::new(reporter))
        .build();
    let agent: ureq::Agent = agent.into();
    let client = thread::Builder::new().name("client".to_owned());
    reporter.spawn(client, move || {
        let url = |path| format!("http://{address}/{path}");
        for file in ["Cargo.toml", "README.md"] {
            let answer =
                agent.post(url("sha256")).send(&std::fs::read(file)?).map_err(ureq::Error::into_io)?;
            let hash = answer.into_body().read_to_string().map_err(ureq::Error::into_io)?;
            println!("{}  {file}", hash.trim());
        }
        let refused = [agent.get(url("nothing")).call(), agent.post(url("panic")).send_empty()];
        for error in refused.into_iter().filter_map(Result::err) {
            println!("{error}");
        }
        signal_hook::low_level::raise(SIGTERM)
    })
}
