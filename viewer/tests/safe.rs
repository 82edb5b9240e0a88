//! Keeps a developer's machine safe: who is answered, what is bounded, and that secrets stay out.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use socket2::{Domain, Socket, Type};
use support::{LIMIT, TELEMETRY, Viewer, body_of, request};

#[test]
fn a_foreign_host_or_origin_is_refused_for_every_path() {
    let viewer = Viewer::start(&[]);
    for path in ["/", "/_viewer/events", "/_viewer/live", "/_viewer/status", TELEMETRY] {
        let foreign =
            request(&viewer.address, &format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\n\r\n"), b"");
        assert_eq!(foreign.status, 403, "{path}");
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\norigin: http://evil.example\r\n\r\n", viewer.address);
        assert_eq!(viewer.request(&head, b"").status, 403, "{path}");
    }
    assert_eq!(viewer.get("/").status, 200);
}

#[test]
fn the_page_may_load_only_itself() {
    let viewer = Viewer::start(&[]);
    let page = viewer.get("/");
    assert!(page.head.contains("content-security-policy: default-src 'self'"), "{}", page.head);
    assert!(page.head.contains("x-content-type-options: nosniff"), "{}", page.head);
    assert_eq!(viewer.get("/_viewer/../Cargo.toml").status, 404);
}

#[test]
fn the_key_is_in_no_page_file_or_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("run.jsonl");
    let viewer = Viewer::start(&["--keep", kept.to_str().expect("text")]);
    viewer.post(TELEMETRY, "x-api-key: tml-secret-key\r\n", body_of("s", &["a"]).as_bytes());
    viewer.post("/api/v1/other", "x-api-key: tml-secret-key\r\n", b"{}");
    let everything = [
        std::fs::read_to_string(&kept).expect("the kept file"),
        viewer.get("/_viewer/events").body,
        viewer.get("/_viewer/status").body,
        viewer.said.clone(),
    ];
    assert!(everything[0].lines().count() == 2, "{everything:?}");
    assert!(everything.iter().all(|text| !text.contains("secret")), "{everything:?}");
}

#[test]
fn large_bodies_and_heads_are_refused() {
    let viewer = Viewer::start(&[]);
    let head = format!(
        "POST {TELEMETRY} HTTP/1.1\r\nhost: {}\r\ncontent-length: 99999999999\r\n\r\n",
        viewer.address
    );
    let mut stream = TcpStream::connect(&viewer.address).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&vec![b' '; 2 << 20]).expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");

    let long = format!("GET / HTTP/1.1\r\nhost: {}\r\nx: {}\r\n\r\n", viewer.address, "x".repeat(70_000));
    assert_eq!(viewer.request(&long, b"").status, 400);
    let two = format!(
        "POST {TELEMETRY} HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{{}}",
        viewer.address
    );
    assert_eq!(viewer.request(&two, b"").status, 0, "two lengths end the connection");
}

#[test]
fn a_reader_that_never_reads_is_cut_off_and_disturbs_no_other() {
    const EVENTS: usize = 48;
    let viewer = Viewer::start(&[]);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
    let address: std::net::SocketAddr = viewer.address.parse().expect("an address");
    socket.connect(&address.into()).expect("a connection");
    let mut lazy = TcpStream::from(socket);
    write!(lazy, "GET /_viewer/live HTTP/1.1\r\nhost: {}\r\n\r\n", viewer.address).expect("sent");
    let large = body_of("s", &["a"]).replace("\"index\":0", &format!("\"text\":\"{}\"", "x".repeat(1 << 20)));
    // More than the buffers of both ends can hold.
    for _ in 0..EVENTS {
        assert_eq!(viewer.post(TELEMETRY, "", large.as_bytes()).status, 200);
    }
    // A byte that is sent to a closed connection is answered with a reset, and then no more can be sent.
    let started = std::time::Instant::now();
    while lazy.write(b" ").is_ok() {
        assert!(started.elapsed() < LIMIT, "a reader that does not read is still connected");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(viewer.get("/_viewer/events").body.lines().count(), EVENTS);
}
