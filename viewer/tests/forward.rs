//! Keeps `--forward`: a backend gets the same bytes, a program the same answer.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use support::tls::Authority;
use support::{TELEMETRY, Viewer, body_of};

/// A request's head and body, as the backend got them.
type Got = JoinHandle<(String, Vec<u8>)>;

/// A backend for one request, which answers with these bytes.
fn backend(answer: &'static [u8]) -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/prefix/", listener.local_addr().expect("an address"));
    (url, thread::spawn(move || serve(listener.accept().expect("a request").0, answer)))
}

/// The same over TLS, with a certificate of this authority.
fn secure_backend(authority: &Authority, answer: &'static [u8]) -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}/prefix", listener.local_addr().expect("an address").port());
    let config = authority.server("localhost");
    let got = thread::spawn(move || {
        let stream = listener.accept().expect("a connection").0;
        serve(support::tls::accept(config, stream), answer)
    });
    (url, got)
}

fn serve(stream: impl Read + Write, answer: &[u8]) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("a body");
    reader.get_mut().write_all(answer).expect("an answer");
    reader.get_mut().flush().expect("an answer");
    (head, body)
}

#[test]
fn telemetry_is_passed_on_unchanged_and_shown_with_the_backends_answer() {
    let (url, got) = backend(
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after-ms: 7\r\ncontent-length: 4\r\nx-own: yes\r\n\r\nwait",
    );
    let viewer = Viewer::start(&["--forward", &url]);
    let body = body_of("s", &["a"]);
    let answer = viewer.post(
        TELEMETRY,
        "x-api-key: tml-secret-key\r\nuser-agent: AsyncTinker/Python 0.38.0\r\n",
        body.as_bytes(),
    );

    let (head, sent) = got.join().expect("a request");
    assert!(head.starts_with("POST /prefix/api/v1/telemetry HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-api-key: tml-secret-key\r\n"), "{head}");
    assert_eq!(head.matches("user-agent").count(), 1, "{head}");
    assert_eq!(sent, body.as_bytes());
    assert_eq!((answer.status, answer.body.as_str()), (429, "wait"));
    assert!(
        answer.head.contains("retry-after-ms: 7") && answer.head.contains("x-own: yes"),
        "{}",
        answer.head
    );
    let lines = viewer.lines();
    assert_eq!(lines[0]["status"], 429);
    assert!(!format!("{lines:?}").contains("secret"));
    assert!(!viewer.get("/_viewer/status").body.contains("secret"));
}

#[test]
fn anything_else_streams_through() {
    let (url, got) = backend(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let viewer = Viewer::start(&["--forward", &url]);
    let large = vec![b'x'; 17 << 20]; // more than is ever kept
    let answer = viewer.post("/api/v1/asample?x=1", "", &large);
    let (head, sent) = got.join().expect("a request");
    assert!(head.starts_with("POST /prefix/api/v1/asample?x=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(sent.len(), large.len());
    assert_eq!((answer.status, answer.body.as_str()), (200, "abcde"));
}

#[test]
fn a_part_of_an_answer_arrives_before_the_backend_has_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (came, first_part_came) = mpsc::channel();
    let backend = thread::spawn(move || {
        let mut stream = listener.accept().expect("a request").0;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
        serve(&mut stream, head);
        first_part_came.recv_timeout(support::LIMIT).expect("the first part passed on alone");
        stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").expect("an answer");
    });
    let viewer = Viewer::start(&["--forward", &url]);
    let mut client = TcpStream::connect(&viewer.address).expect("a connection");
    client.set_read_timeout(Some(support::LIMIT)).expect("a timeout");
    write!(client, "GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", viewer.address)
        .expect("sent");
    let mut answer = String::new();
    while !answer.contains("first") {
        let mut bytes = [0; 1024];
        let read = client.read(&mut bytes).expect("a part in time");
        answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    came.send(()).expect("the backend waits");
    client.read_to_string(&mut answer).expect("the rest");
    assert!(answer.contains("last"), "{answer}");
    backend.join().expect("an end");
}

#[test]
fn a_backend_that_is_not_there_is_a_502_without_its_cause_quoting_anything() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let viewer = Viewer::start(&["--forward", &format!("http://{closed}")]);
    let answer = viewer.post(TELEMETRY, "x-api-key: tml-secret-key\r\n", body_of("s", &["a"]).as_bytes());
    assert_eq!(answer.status, 502);
    assert!(!answer.body.contains("secret"), "{}", answer.body);
    assert_eq!(viewer.lines()[0]["status"], 502);
}

#[test]
fn a_url_that_holds_a_secret_is_refused() {
    for url in ["http://user:pass@host/", "http://host/?key=1", "ftp://host", "not a url"] {
        let output = support::command(&["view", "--port", "0", "--forward", url]).output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("--forward") && !said.contains("pass@"), "{said}");
    }
}

#[test]
fn a_backend_over_tls_gets_the_same_bytes_and_the_key_stays_in_no_place_of_the_viewer() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("run.jsonl");
    let authority = Authority::new();
    let trusted = folder.path().join("authority.pem");
    std::fs::write(&trusted, &authority.pem).expect("written");
    let (url, got) = secure_backend(
        &authority,
        b"HTTP/1.1 202 Accepted\r\ncontent-length: 22\r\nx-request-id: r7\r\n\r\n{\"status\":\t\"accepted\"}",
    );
    let kept_path = kept.to_str().expect("text");
    let viewer = Viewer::start_with(&["--forward", &url, "--keep", kept_path], |command| {
        command.env("SSL_CERT_FILE", &trusted);
    });
    let body = body_of("s", &["a", "b"]).replacen('{', "{ \n", 1); // no writer of ours writes this
    let answer = viewer.post(TELEMETRY, "x-api-key: tml-secret-key\r\n", body.as_bytes());

    let (head, sent) = got.join().expect("a request");
    assert!(head.starts_with("POST /prefix/api/v1/telemetry HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-api-key: tml-secret-key\r\n"), "{head}");
    assert_eq!(sent, body.as_bytes());
    assert_eq!((answer.status, answer.body.as_str()), (202, "{\"status\":\t\"accepted\"}"));
    assert!(answer.head.contains("x-request-id: r7"), "{}", answer.head);
    let everything = [
        std::fs::read_to_string(&kept).expect("the kept file"),
        viewer.get("/_viewer/events").body,
        viewer.get("/_viewer/status").body,
        viewer.said.clone(),
    ];
    assert_eq!(everything[0].lines().count(), 2, "{everything:?}");
    assert!(everything.iter().all(|text| !text.contains("secret")), "{everything:?}");
}

#[test]
fn a_backend_whose_certificate_is_not_trusted_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let config = Authority::new().server("localhost");
    let got = thread::spawn(move || {
        let mut plain = Vec::new();
        let stream = listener.accept().expect("a connection").0;
        let _ = support::tls::accept(config, stream).read_to_end(&mut plain);
        plain
    });
    let viewer = Viewer::start(&["--forward", &url]);
    let answer = viewer.post(TELEMETRY, "x-api-key: tml-secret-key\r\n", body_of("s", &["a"]).as_bytes());
    assert_eq!(answer.status, 502);
    assert!(
        answer.body.contains("no secure connection") && !answer.body.contains("secret"),
        "{}",
        answer.body
    );
    assert_eq!(got.join().expect("an end"), b"");
}

#[test]
fn a_file_of_authorities_that_is_none_is_refused_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    for file in [empty.as_path(), &folder.path().join("not-there.pem")] {
        let output = support::command(&["view", "--port", "0", "--forward", "https://localhost"])
            .env("SSL_CERT_FILE", file)
            .output()
            .expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        let name = file.to_str().expect("text");
        assert!(!output.status.success() && said.contains(&format!("SSL_CERT_FILE ({name}): ")), "{said}");
    }
}
