//! Keeps `--forward`: a backend gets the same bytes, a program the same answer.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use support::{TELEMETRY, Viewer, body_of};

/// A backend for one request, which answers with these bytes. Gives the head and the body that it got.
fn backend(answer: &'static [u8]) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/prefix/", listener.local_addr().expect("an address"));
    let got = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).expect("a body");
        stream.write_all(answer).expect("an answer");
        (head, body)
    });
    (url, got)
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
