//! Keeps the HTTP service's promises: it finishes and reports at a signal, and no request changes what it prints.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;

use super::{Running, SERVICE, example, run, start};
use crate::process;
use crate::support::LIMIT;

/// Starts the service without its demo client. Returns its address as well.
fn started_service() -> (Running, String) {
    let service = start(example(&["service", "--listen", "127.0.0.1:0"]));
    let line = service.wait_for_line("listening");
    let address = line.trim().split_once("address=").unwrap().1.to_owned();
    (service, address)
}

fn answer_to(request: &str, address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer); // after a reset the answer is empty too
    answer
}

#[test]
fn the_service_finishes_and_reports_at_a_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (service, address) = started_service();
        assert!(answer_to("GET /health HTTP/1.1\r\n\r\n", &address).starts_with("HTTP/1.1 200 "));
        let hashed = answer_to("POST /sha256 HTTP/1.1\r\ncontent-length: 4\r\n\r\ntext", &address);
        assert!(hashed.starts_with("HTTP/1.1 200 "), "{hashed}");
        process::signal(&service.child, signal);
        let ended = service.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert!(ended.out.contains("request.stop") && ended.out.contains("SESSION_END"), "{}", ended.out);
        assert!(!ended.out.contains("/health"), "{}", ended.out);
    }
}

#[test]
fn a_second_signal_ends_the_service_while_a_client_is_silent() {
    let (service, address) = started_service();
    let _silent = TcpStream::connect(&address).unwrap();
    // Connections are accepted in order. After this answer the silent connection has been accepted too.
    assert!(answer_to("GET /health HTTP/1.1\r\n\r\n", &address).starts_with("HTTP/1.1 200 "));
    process::signal(&service.child, libc::SIGTERM);
    service.wait_for_line("stopping");
    process::signal(&service.child, libc::SIGTERM);
    assert_eq!(service.end().status.signal(), Some(libc::SIGTERM));
}

#[test]
fn a_demo_that_fails_stops_the_service_and_is_reported() {
    let folder = tempfile::tempdir().unwrap(); // it does not have the files that the demo sends
    let mut command = example(SERVICE);
    command.current_dir(folder.path());
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(ended.out.contains("UNHANDLED_EXCEPTION     std::io::Error: No such file"), "{}", ended.out);
}

#[test]
fn a_request_cannot_put_control_characters_into_the_services_output() {
    let (service, address) = started_service();
    for path in ["/\u{1b}[31m", "/\u{9b}2J", "/\u{7f}"] {
        assert_eq!(answer_to(&format!("GET {path} HTTP/1.1\r\n\r\n"), &address), "");
    }
    process::signal(&service.child, libc::SIGTERM);
    let ended = service.end();
    let output = ended.out + &ended.err;
    assert_eq!(output.matches("not a request").count(), 3, "{output}");
    assert!(!output.contains(|letter: char| letter != '\n' && letter.is_control()), "{output:?}");
}

#[test]
fn a_port_in_use_is_printed_and_reported() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(example(&["service", "--listen", &address]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.err.contains(&format!("cannot listen on {address}: Address already in use")),
        "{}",
        ended.err
    );
    assert!(ended.out.contains("CRITICAL  UNHANDLED_EXCEPTION"), "{}", ended.out);
}
