//! Keeps the limits on what a proxy sees and costs. It sees the request for a tunnel and its own credentials, and never
//! the key. A proxy that works loses no event. One that fails causes no late stop and no direct connection. The tests
//! play the proxies; the hosts behind them do not exist.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Reporter, Severity};

use crate::log;
use crate::support::http::{Head, Request};
use crate::support::{LIMIT, assert_adds_up, drain, sessionless_to};

const KEY: &str = "tml-canary-93d0";
/// A password, then the same in a URL and in a header.
const PASSWORD: &str = "hu:sh@ 1/%+";
const IN_URL: &str = "hu:sh%40%201%2F%25+";
const IN_HEADER: &str = "bWU6aHU6c2hAIDEvJSs=";

/// What a proxy does with a client after it has read the head of the client's `CONNECT`.
type Play = dyn Fn(Client) -> io::Result<()> + Send + Sync;
type Client = BufReader<TcpStream>;

/// A proxy on loopback. Its threads end with the test's process.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy that connects each client to this port, for any host.
    fn to(port: u16) -> Self {
        Self::playing(move |client| tunnel(client, port))
    }

    fn playing(play: impl Fn(Client) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, play): (Arc<Mutex<Vec<String>>>, Arc<Play>) = (Arc::default(), Arc::new(play));
        let received = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (heads, play) = (Arc::clone(&received), Arc::clone(&play));
                let mut client = BufReader::new(stream.unwrap());
                thread::spawn(move || {
                    heads.lock().unwrap().push(head_text(&mut client));
                    drop(play(client));
                });
            }
        });
        Self { port, heads }
    }

    /// A proxy that does not run. No server listens on its port, and no other test gets it.
    fn dead() -> Self {
        Self { port: 1, heads: Arc::default() }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// The text of the head. Empty where there is none: such a connection counts too.
fn head_text(client: &mut impl BufRead) -> String {
    Head::read(client).ok().flatten().map(|head| head.text).unwrap_or_default()
}

fn tunnel(client: Client, port: u16) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let mut client = client.into_inner();
    client.write_all(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 test\r\n\r\n")?;
    let (mut upstream, mut back) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        let _ = io::copy(&mut upstream, &mut &server);
        server.shutdown(Shutdown::Write)
    });
    io::copy(&mut back, &mut client)?;
    client.shutdown(Shutdown::Both)?;
    drop(up.join());
    Ok(())
}

fn builder(config: Config) -> Builder {
    sessionless_to(config.no_proxy("")).max_retries(1)
}

/// The configuration of an endpoint that only this proxy can reach.
fn through(proxy: &str) -> Config {
    Config::new(KEY).base_url("http://tinker.test:1234").allow_insecure_http(true).proxy(proxy)
}

fn report(reporter: &Reporter) {
    assert!(reporter.log("step", 1, Severity::Info));
    drain(reporter);
    assert_adds_up(reporter.stats());
}

#[test]
fn an_http_endpoint_is_reached_through_one_tunnel_for_all_requests() {
    let collector = Collector::start().unwrap();
    let proxy = Proxy::to(collector.port());
    let url = format!("http://me:{IN_URL}@localhost:{}/", proxy.port);
    let reporter = builder(through(&url)).start().unwrap();
    for _ in 0..5 {
        report(&reporter);
    }
    assert_eq!((reporter.stats().delivered, collector.events().len()), (5, 5));
    assert_eq!(collector.requests()[0].header("host"), Some("tinker.test:1234"));
    let [head] = &proxy.heads()[..] else { panic!("one tunnel: {:?}", proxy.heads()) };
    assert!(head.starts_with("CONNECT tinker.test:1234 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("Basic {IN_HEADER}\r\n")), "{head}");
    assert!(head.contains(": tinker-telemetry/"), "{head}");
    assert!(!head.contains(KEY), "{head}");
}

#[test]
fn a_stale_tunnel_is_opened_again_without_a_retry() {
    let collector = Collector::start().unwrap();
    let port = collector.port();
    // Relays one request and its answer, then closes when the next request arrives.
    let proxy = Proxy::playing(move |mut client| {
        client.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let request = Request::read(&mut client)?.expect("a request through the tunnel");
        server.write_all(&[request.head.text.as_bytes(), &request.body].concat())?;
        let mut answer = [0; 4096];
        let bytes = server.read(&mut answer)?;
        client.get_mut().write_all(&answer[..bytes])?;
        client.fill_buf()?;
        Ok(())
    });
    let reporter = builder(through(&format!("127.0.0.1:{}", proxy.port))).max_retries(0).start().unwrap();
    for _ in 0..5 {
        report(&reporter);
    }
    assert_eq!((reporter.stats().delivered, collector.events().len()), (5, 5));
    assert_eq!(proxy.heads().len(), 5);
    assert!(
        collector.requests().iter().all(|request| request.header("x-stainless-retry-count") == Some("0"))
    );
}

#[test]
fn loopback_is_reached_without_the_proxy() {
    let collector = Collector::start().unwrap();
    let proxy = Proxy::to(collector.port());
    for host in ["localhost", "127.0.0.1"] {
        let config = Config::new(KEY).base_url(format!("http://{host}:{}", collector.port()));
        let reporter = builder(config.proxy(format!("http://localhost:{}", proxy.port))).start().unwrap();
        report(&reporter);
        assert_eq!(reporter.stats().delivered, 1);
    }
    assert_eq!(proxy.heads(), [""; 0]);
}

#[test]
fn a_failed_proxy_drops_the_events_and_logs_one_warning_with_its_cause_and_no_secret() {
    log::keep();
    let table: [(&str, Option<&'static [u8]>); 7] = [
        ("connection refused", None),
        ("proxy server responded 407", Some(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")),
        ("proxy server responded 502", Some(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")),
        ("proxy server responded 302", Some(b"HTTP/1.1 302 Found\r\nlocation: http://localhost\r\n\r\n")),
        ("proxy server did not respond", Some(b"")),
        ("proxy server did not respond", Some(b"HTTP/1.1 200 ")),
        ("not an HTTP answer", Some(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")),
    ];
    for (cause, answer) in table {
        let proxy = match answer {
            Some(answer) => Proxy::playing(move |mut client| client.get_mut().write_all(answer)),
            None => Proxy::dead(),
        };
        let reporter =
            builder(through(&format!("http://me:{IN_URL}@127.0.0.1:{}", proxy.port))).start().unwrap();
        report(&reporter);
        assert_eq!(reporter.stats().dropped.retries_exhausted, 1, "{cause}");
        assert_eq!(proxy.heads().len(), if answer.is_some() { 2 } else { 0 }, "{cause}: one retry");
        let place = format!("tinker.test through the proxy at 127.0.0.1:{}: ", proxy.port);
        let warnings = log::warnings_with(&place);
        assert!(warnings.len() == 1 && warnings[0].ends_with(cause), "{cause}: {warnings:?}");
    }
    for secret in [KEY, PASSWORD, IN_URL, IN_HEADER] {
        assert!(!log::everything().contains(secret), "{secret}");
    }
}

/// Two proxies that never open a tunnel: one sends nothing, the other sends an answer without an end.
type HangingPlay = fn(Client) -> io::Result<()>;
const HANGING: [(&str, HangingPlay); 2] = [("silent", silent), ("trickling", trickling)];

fn silent(client: Client) -> io::Result<()> {
    client.into_inner().read_to_end(&mut Vec::new()).map(drop)
}

/// Sends one byte at a time. The HTTP client restarts its timeout at each byte.
fn trickling(client: Client) -> io::Result<()> {
    let mut client = client.into_inner();
    for byte in b"HTTP/1.1 200 OK\r\nx-padding: ".iter().chain(std::iter::repeat(&b'.')) {
        client.write_all(&[*byte])?;
        thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_proxy_that_hangs_costs_one_timeout_per_attempt() {
    for (what, play) in HANGING {
        let proxy = Proxy::playing(play);
        let timeout = Duration::from_millis(200);
        let url = format!("http://127.0.0.1:{}", proxy.port);
        let reporter = builder(through(&url)).http_timeout(timeout).start().unwrap();
        let begun = Instant::now();
        report(&reporter);
        let spent = begun.elapsed();
        assert_eq!(reporter.stats().dropped.retries_exhausted, 1, "{what}");
        assert!(spent >= 2 * timeout && spent < 2 * timeout + Duration::from_secs(2), "{what}: {spent:?}");
    }
}

#[test]
fn a_stop_is_on_time_and_disconnects_from_a_proxy_that_hangs() {
    for (what, play) in HANGING {
        // A busy machine is sometimes late. A wrong reporter is late every time.
        let on_time = (0..5).any(|_| stop_before(play) < Duration::from_millis(150));
        assert!(on_time, "{what}");
    }
}

/// The time that a stop of 100 ms takes while the proxy plays this.
fn stop_before(play: impl Fn(Client) -> io::Result<()> + Send + Sync + 'static) -> Duration {
    let (begun, reached) = mpsc::channel();
    let (ended, left) = mpsc::channel();
    let proxy = Proxy::playing(move |client| {
        let _ = begun.send(());
        let end = play(client);
        let _ = ended.send(());
        end
    });
    let reporter = builder(through(&format!("http://127.0.0.1:{}", proxy.port))).start().unwrap();
    assert!(reporter.log("step", 1, Severity::Info));
    reporter.flush();
    reached.recv_timeout(LIMIT).unwrap();
    let begun = Instant::now();
    assert!(!reporter.stop(Duration::from_millis(100)));
    let spent = begun.elapsed();
    assert_eq!(reporter.stats().dropped.deadline, 1);
    left.recv_timeout(LIMIT).expect("the connection is still open");
    spent
}

#[cfg(feature = "tls")]
mod https {
    use super::*;
    use crate::tls::{self, Authority, TlsServer, Validity};

    #[test]
    fn the_proxy_of_an_https_endpoint_sees_only_ciphertext() {
        let authority = Authority::new();
        let server = TlsServer::start(&authority.certificate("tinker.test", Validity::Now));
        let port = server.port();
        // All bytes from the client to the server.
        let relayed: Arc<Mutex<Vec<u8>>> = Arc::default();
        let upwards = Arc::clone(&relayed);
        let proxy = Proxy::playing(move |mut client| {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            client.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            let (mut answers, mut back) = (server.try_clone()?, client.get_ref().try_clone()?);
            thread::spawn(move || io::copy(&mut answers, &mut back));
            let mut bytes = [0; 4096];
            while let count @ 1.. = client.read(&mut bytes)? {
                upwards.lock().unwrap().extend_from_slice(&bytes[..count]);
                server.write_all(&bytes[..count])?;
            }
            Ok(())
        });
        let config =
            through(&format!("http://me:{IN_URL}@localhost:{}", proxy.port)).base_url("https://tinker.test");
        let reporter = builder(config.root_certificates(authority.pem())).start().unwrap();
        for _ in 0..3 {
            report(&reporter);
        }
        assert_eq!((reporter.stats().delivered, server.requests().len(), server.connections()), (3, 3, 1));
        assert!(server.requests()[0].head.text.contains(KEY));
        assert!(
            !server.requests()[0].head.text.to_lowercase().contains("proxy"),
            "the credentials go no further than the proxy"
        );
        let [connect] = &proxy.heads()[..] else { panic!("one tunnel: {:?}", proxy.heads()) };
        assert!(
            connect.starts_with("CONNECT tinker.test:443 HTTP/1.1\r\n") && connect.contains(IN_HEADER),
            "{connect}"
        );
        let relayed = String::from_utf8_lossy(&relayed.lock().unwrap()).into_owned();
        assert!(!relayed.is_empty() && !relayed.contains(KEY) && !connect.contains(KEY));
    }

    #[test]
    fn a_proxy_that_impersonates_the_endpoint_gets_no_request() {
        let authority = Authority::new();
        let server = TlsServer::start(&Authority::named("Proxy").certificate("tinker.test", Validity::Now));
        let proxy = Proxy::to(server.port());
        let config = through(&format!("localhost:{}", proxy.port)).base_url("https://tinker.test");
        let reporter = builder(config.root_certificates(authority.pem())).start().unwrap();
        report(&reporter);
        assert_eq!((reporter.stats().dropped.retries_exhausted, server.requests().len()), (1, 0));
    }

    /// A proxy with TLS of its own. It connects each client to this port.
    fn secure_proxy(certificate: tls::Certificate, port: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), heads: Arc::default() };
        let heads = Arc::clone(&proxy.heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut client = BufReader::new(certificate.accept(stream.unwrap()));
                let head = head_text(&mut client);
                if head.is_empty() {
                    continue; // the handshake failed
                }
                heads.lock().unwrap().push(head);
                client.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                relay(client.into_inner(), TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
            }
        });
        proxy
    }

    /// Copies in both directions by turns. Two threads cannot read and write one TLS stream.
    fn relay(mut client: impl Read + Write + AsSocket, mut server: TcpStream) {
        let turn = Some(Duration::from_millis(5));
        client.socket().set_read_timeout(turn).unwrap();
        server.set_read_timeout(turn).unwrap();
        let mut bytes = [0; 4096];
        loop {
            for upwards in [true, false] {
                let read = if upwards { client.read(&mut bytes) } else { server.read(&mut bytes) };
                let written = match read {
                    Ok(1..) if upwards => server.write_all(&bytes[..*read.as_ref().unwrap()]),
                    Ok(1..) => {
                        client.write_all(&bytes[..*read.as_ref().unwrap()]).and_then(|()| client.flush())
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                    _ => return,
                };
                if written.is_err() {
                    return;
                }
            }
        }
    }

    trait AsSocket {
        fn socket(&self) -> &TcpStream;
    }

    impl AsSocket for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
        fn socket(&self) -> &TcpStream {
            &self.sock
        }
    }

    #[test]
    fn an_https_proxy_must_present_a_trusted_certificate_before_it_gets_its_password() {
        let authority = Authority::new();
        let server = TlsServer::start(&authority.certificate("tinker.test", Validity::Now));
        let report_through = |certificate| {
            let proxy = secure_proxy(certificate, server.port());
            let url = format!("https://me:{IN_URL}@localhost:{}", proxy.port);
            let config = through(&url).base_url("https://tinker.test").root_certificates(authority.pem());
            let reporter = builder(config).start().unwrap();
            report(&reporter);
            (reporter.stats(), proxy.heads())
        };
        let (stats, heads) = report_through(authority.certificate("localhost", Validity::Now));
        assert_eq!((stats.delivered, heads.len()), (1, 1));
        assert!(
            heads[0].starts_with("CONNECT tinker.test:443 ") && heads[0].contains(IN_HEADER),
            "{heads:?}"
        );

        let (stats, heads) =
            report_through(Authority::named("Other").certificate("localhost", Validity::Now));
        assert_eq!((stats.dropped.retries_exhausted, heads), (1, vec![]));
        assert_eq!(server.requests().len(), 1);
    }
}
