//! Keeps SOCKS proxies of each version working. The scheme decides where the name is looked up. The proxy learns its
//! own credentials and never the key. A proxy that fails costs no more than the retries. The test plays the proxy.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Severity, Stats};

use crate::log;
use crate::support::{assert_adds_up, drain, sessionless_to};

const KEY: &str = "tml-canary-50c5";
const PASSWORD: &str = "hu:sh@";
const IN_URL: &str = "hu:sh%40";

/// What the proxy does with a client.
#[derive(Clone, Copy)]
enum Play {
    /// Connects the client to this port, for any target.
    Tunnel(u16),
    /// Reads the target and answers that it cannot connect.
    Refuse,
    /// Sends nothing, not even an answer to the greeting.
    Silent,
}

/// A proxy on loopback. Its threads end with the test's process.
struct Socks {
    port: u16,
    /// The version, the credentials and the target of each client.
    clients: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    fn start(play: Play) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients: Arc<Mutex<Vec<String>>> = Arc::default();
        let received = Arc::clone(&clients);
        thread::spawn(move || {
            for client in listener.incoming() {
                let received = Arc::clone(&received);
                thread::spawn(move || drop(serve(client.unwrap(), play, &received)));
            }
        });
        Self { port, clients }
    }

    fn clients(&self) -> Vec<String> {
        self.clients.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, play: Play, clients: &Mutex<Vec<String>>) -> io::Result<()> {
    if matches!(play, Play::Silent) {
        return client.read_to_end(&mut Vec::new()).map(drop);
    }
    let version = byte(&mut client)?;
    let target = if version == 5 { read_socks5(&mut client)? } else { read_socks4(&mut client)? };
    clients.lock().unwrap().push(format!("{version} {target}"));
    let is_open = matches!(play, Play::Tunnel(_));
    let answer: &[u8] = match (version, is_open) {
        (5, true) => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        (5, false) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0], // connection refused
        (_, true) => &[0, 90, 0, 0, 0, 0, 0, 0],
        (_, false) => &[0, 91, 0, 0, 0, 0, 0, 0],
    };
    client.write_all(answer)?;
    let Play::Tunnel(port) = play else { return Ok(()) };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (mut upstream, mut back) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut upstream, &mut &server);
        server.shutdown(Shutdown::Write)
    });
    io::copy(&mut back, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// Reads the credentials and the target of a SOCKS 5 client, after the version byte.
fn read_socks5(client: &mut TcpStream) -> io::Result<String> {
    let methods = byte(client)?;
    let methods = bytes(client, methods)?;
    let mut credentials = String::new();
    if methods.contains(&2) {
        client.write_all(&[5, 2])?;
        byte(client)?;
        for _ in 0..2 {
            let length = byte(client)?;
            credentials.push_str(&String::from_utf8_lossy(&bytes(client, length)?));
            credentials.push(' ');
        }
        client.write_all(&[1, 0])?;
    } else {
        client.write_all(&[5, 0])?;
    }
    let request = bytes(client, 4)?;
    let host = if request[3] == 1 {
        dotted(&bytes(client, 4)?)
    } else {
        let length = byte(client)?;
        String::from_utf8_lossy(&bytes(client, length)?).into_owned()
    };
    let port = bytes(client, 2)?;
    Ok(format!("{credentials}{host}:{}", u16::from_be_bytes([port[0], port[1]])))
}

/// Reads the target of a SOCKS 4 client, after the version byte.
fn read_socks4(client: &mut TcpStream) -> io::Result<String> {
    let request = bytes(client, 7)?;
    let port = u16::from_be_bytes([request[1], request[2]]);
    while byte(client)? != 0 {} // the user's id
    if request[3..6] != [0, 0, 0] {
        return Ok(format!("{}:{port}", dotted(&request[3..])));
    }
    let mut host = Vec::new();
    loop {
        match byte(client)? {
            0 => return Ok(format!("{}:{port}", String::from_utf8_lossy(&host))),
            letter => host.push(letter),
        }
    }
}

fn dotted(address: &[u8]) -> String {
    address.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

fn byte(client: &mut TcpStream) -> io::Result<u8> {
    bytes(client, 1).map(|bytes| bytes[0])
}

fn bytes(client: &mut TcpStream, length: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn builder(proxy: &str, target: &str) -> Builder {
    let config = Config::new(KEY).base_url(format!("http://{target}:1234")).allow_insecure_http(true);
    sessionless_to(config.proxy(proxy).no_proxy("")).max_retries(1)
}

/// Reports two batches of one event each.
fn report(builder: Builder) -> Stats {
    let reporter = builder.start().unwrap();
    for step in 0..2 {
        assert!(reporter.log("step", step, Severity::Info));
        drain(&reporter);
    }
    assert_adds_up(reporter.stats());
    reporter.stats()
}

#[test]
fn every_version_carries_all_requests_through_one_tunnel() {
    log::keep();
    let collector = Collector::start().unwrap();
    let credentials = format!("me:{IN_URL}@");
    // An address without a host, and a name that no lookup finds. Only the proxy reaches them.
    let table = [
        ("socks5", credentials.as_str(), "192.0.2.1", format!("5 me {PASSWORD} 192.0.2.1:1234")),
        ("socks5", "", "192.0.2.1", "5 192.0.2.1:1234".to_owned()),
        ("socks", "", "192.0.2.1", "5 192.0.2.1:1234".to_owned()),
        ("socks5h", credentials.as_str(), "tinker.test", format!("5 me {PASSWORD} tinker.test:1234")),
        ("socks4", "", "192.0.2.1", "4 192.0.2.1:1234".to_owned()),
        ("socks4a", "", "tinker.test", "4 tinker.test:1234".to_owned()),
    ];
    for (scheme, credentials, target, client) in table {
        let proxy = Socks::start(Play::Tunnel(collector.port()));
        let url = format!("{scheme}://{credentials}127.0.0.1:{}", proxy.port);
        assert_eq!(report(builder(&url, target)).delivered, 2, "{scheme}");
        assert_eq!(proxy.clients(), [client], "{scheme}");
    }
    assert_eq!(collector.requests()[0].header("x-api-key"), Some(KEY));
    for secret in [KEY, PASSWORD, IN_URL] {
        assert!(!log::everything().contains(secret), "{secret}");
    }
}

#[test]
fn a_proxy_that_refuses_drops_the_events_and_logs_one_warning() {
    log::keep();
    for scheme in ["socks5h", "socks4a"] {
        let proxy = Socks::start(Play::Refuse);
        let stats = report(builder(&format!("{scheme}://127.0.0.1:{}", proxy.port), "tinker.test"));
        assert_eq!(
            (stats.dropped.retries_exhausted, proxy.clients().len()),
            (2, 4),
            "{scheme}: one retry each"
        );
        let place = format!("tinker.test through the proxy at 127.0.0.1:{}: ", proxy.port);
        assert_eq!(log::warnings_with(&place).len(), 1, "{}", log::everything());
    }
}

#[test]
fn a_silent_proxy_costs_one_timeout_per_attempt_and_does_not_delay_a_stop() {
    let proxy = Socks::start(Play::Silent);
    let url = format!("socks5h://127.0.0.1:{}", proxy.port);
    let timeout = Duration::from_millis(200);
    let begun = Instant::now();
    let stats = report(builder(&url, "tinker.test").http_timeout(timeout));
    let spent = begun.elapsed();
    assert_eq!(stats.dropped.retries_exhausted, 2);
    assert!(spent >= 4 * timeout && spent < 4 * timeout + Duration::from_secs(2), "{spent:?}");

    // A busy machine is sometimes late. A wrong reporter is late every time.
    let stops_on_time = || {
        let reporter = builder(&url, "tinker.test").start().unwrap();
        assert!(reporter.log("step", 1, Severity::Info));
        reporter.flush();
        let begun = Instant::now();
        assert!(!reporter.stop(Duration::from_millis(100)));
        begun.elapsed() < Duration::from_millis(150)
    };
    assert!((0..5).any(|_| stops_on_time()));
}
