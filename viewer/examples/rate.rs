//! How many events a second a viewer takes: `rate VIEWER`. Requests of 100 events over two connections, for two seconds.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BOUND: u64 = 20_000;
const BATCH: u64 = 100;
const TIME: Duration = Duration::from_secs(2);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let viewer = env::args_os().nth(1).ok_or("usage: rate VIEWER")?;
    let mut viewer = Command::new(viewer).args(["view", "--port", "0"]).stderr(Stdio::piped()).spawn()?;
    let said = BufReader::new(viewer.stderr.take().ok_or("no standard error")?);
    let measured = measure(said);
    viewer.kill()?;
    viewer.wait()?;
    let rate = measured?;
    println!("{rate} events a second, in requests of {BATCH} over two connections; the bound is {BOUND}");
    Ok(if rate >= BOUND { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(said: impl BufRead) -> Result<u64, Box<dyn Error>> {
    let page = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("The page:")?.trim().to_owned()));
    let page = page.ok_or("the viewer did not start")?;
    let address = page.trim_start_matches("http://");
    let began = Instant::now();
    let taken = thread::scope(|scope| {
        let senders = ["a", "b"].map(|session| scope.spawn(move || send(address, session)));
        senders.into_iter().map(|sender| sender.join().expect("no panic").expect("answers")).sum::<u64>()
    });
    Ok(taken * 1000 / u64::try_from(began.elapsed().as_millis())?)
}

/// Sends one request after the other, and returns how many events were accepted.
fn send(address: &str, session: &str) -> std::io::Result<u64> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < TIME {
        let body = body(session, sent);
        let head = format!(
            "POST /api/v1/telemetry HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        read_answer(&mut stream)?;
        sent += BATCH;
    }
    Ok(sent)
}

fn body(session: &str, from: u64) -> String {
    let events: Vec<_> = (from..from + BATCH)
        .map(|index| {
            format!(
                r#"{{"event":"GENERIC_EVENT","event_id":"{session}-{index}","event_session_index":{index},"severity":"INFO","timestamp":"2026-11-28T09:00:00.000000Z","event_name":"train.step","event_data":{{"step":{index},"loss":0.4213}}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"events":[{}],"platform":"Linux","sdk_version":"0.1.0","session_id":"{session}"}}"#,
        events.join(",")
    )
}

fn read_answer(stream: &mut impl BufRead) -> std::io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])
}
