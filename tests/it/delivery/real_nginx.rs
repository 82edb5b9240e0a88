//! Keeps the delivery through a real nginx: with its limits on size and rate, with the connections that it closes, with
//! its TLS. Needs the program `nginx` (Debian: nginx-light). Without it these tests are skipped and print why.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::event::Event;
use tinker_telemetry::{Builder, Config, Severity};

use crate::real::{Server, is_installed};
use crate::support::{KEY, LIMIT, assert_adds_up, checked_requests, drain, sessionless_to};

/// An nginx in front of the collector. The test gives the directives of the blocks `http` and `server`.
fn nginx(collector: &Collector, http: &str, server: &str) -> Server {
    nginx_listening(collector, "", http, server)
}

fn nginx_listening(collector: &Collector, listen: &str, http: &str, server: &str) -> Server {
    let upstream = collector.url();
    Server::start("nginx", &[], |directory, port| {
        let directory = directory.display();
        format!(
            "daemon off; master_process off; pid {directory}/pid; error_log {directory}/log;
            events {{ worker_connections 256; }}
            http {{
                log_format own '$status $connection $connection_requests';
                access_log {directory}/access own;
                client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
                fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
                scgi_temp_path {directory}/scgi;
                {http}
                server {{
                    listen 127.0.0.1:{port} {listen};
                    {server}
                    location / {{ proxy_pass {upstream}; }}
                }}
            }}"
        )
    })
}

fn builder(config: Config) -> Builder {
    sessionless_to(config).retry_base_delay(Duration::from_millis(10))
}

fn config(server: &Server) -> Config {
    Config::new(KEY).base_url(format!("http://127.0.0.1:{}", server.port()))
}

/// Waits until the access log of nginx has this many requests with these statuses. nginx writes each some time after
/// its answer.
fn wait_for_log(server: &Server, count: usize, is_counted: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    while server.file("access").lines().filter(|line| is_counted(&line[..3])).count() < count {
        assert!(begun.elapsed() < LIMIT, "{}", server.file("access"));
        thread::park_timeout(Duration::from_millis(5)); // nothing signals that a file has grown
    }
}

/// The number of connections that carried these requests.
fn connections(server: &Server, requests: usize) -> usize {
    wait_for_log(server, requests, |_| true);
    let log = server.file("access");
    log.lines().filter_map(|line| line.split(' ').nth(1)).collect::<HashSet<_>>().len()
}

/// Asserts that the collector has this many events, and no event twice.
fn assert_collected(collector: &Collector, events: u64) {
    let collected = collector.events();
    let ids: HashSet<_> = collected.iter().map(Event::id).collect();
    assert_eq!((collected.len() as u64, ids.len() as u64), (events, events));
    checked_requests(collector);
}

#[test]
fn a_request_too_large_for_nginx_is_split_and_delivered_once() {
    if !is_installed(&["nginx"]) {
        return;
    }
    let collector = Collector::start().unwrap();
    let server = nginx(&collector, "", "client_max_body_size 8k;");
    let reporter = builder(config(&server)).start().unwrap();
    let text = "x".repeat(500);
    for step in 0..99 {
        assert!(reporter.log("step", json!({"step": step, "text": text}), Severity::Info));
    }
    assert!(reporter.log("huge", "y".repeat(100_000), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.delivered, stats.dropped.too_large, stats.dropped.total()), (99, 1, 1), "{stats}");
    assert_collected(&collector, 99);
    wait_for_log(&server, 4, |status| status == "413");
}

#[test]
fn a_body_that_nginx_refuses_before_it_has_read_it_is_split_too() {
    // A body of several megabytes does not fit into the buffers of the sockets, so nginx answers before it has all of
    // it.
    if !is_installed(&["nginx"]) {
        return;
    }
    let collector = Collector::start().unwrap();
    let server = nginx(&collector, "", "client_max_body_size 64k;");
    let reporter = builder(config(&server)).max_batch_bytes(16 << 20).max_retries(0).start().unwrap();
    let text = "x".repeat(50_000);
    for _ in 0..99 {
        assert!(reporter.log("step", &text, Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.dropped.total()), (99, 0), "{stats}");
    assert_collected(&collector, 99);
}

#[test]
fn requests_too_fast_for_nginx_are_retried_until_delivered() {
    if !is_installed(&["nginx"]) {
        return;
    }
    for status in [503, 429] {
        let collector = Collector::start().unwrap();
        let limit = format!("limit_req zone=all; limit_req_status {status};");
        let server = nginx(&collector, "limit_req_zone $binary_remote_addr zone=all:1m rate=20r/s;", &limit);
        let reporter = builder(config(&server)).max_batch_size(1).max_retries(8).start().unwrap();
        for step in 0..10 {
            assert!(reporter.log("step", step, Severity::Info));
        }
        assert!(reporter.wait_until_drained(LIMIT));
        let stats = reporter.stats();
        assert_adds_up(stats);
        assert_eq!((stats.delivered, stats.dropped.total()), (10, 0), "{status}: {stats}");
        assert_collected(&collector, 10);
        wait_for_log(&server, 1, |logged| logged == status.to_string());
    }
}

#[test]
fn connections_that_nginx_limits_to_a_few_requests_cost_no_event_and_no_retry() {
    if !is_installed(&["nginx"]) {
        return;
    }
    let collector = Collector::start().unwrap();
    let server = nginx(&collector, "", "keepalive_requests 3;");
    let reporter = builder(config(&server)).max_retries(0).start().unwrap();
    for step in 0..30 {
        assert!(reporter.log("step", step, Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
    }
    assert_eq!(reporter.stats().delivered, 30);
    assert_collected(&collector, 30);
    assert_eq!(connections(&server, 30), 10, "{}", server.file("access"));
}

#[test]
fn connections_that_nginx_closes_after_a_second_cost_no_event_and_no_retry() {
    if !is_installed(&["nginx"]) {
        return;
    }
    let collector = Collector::start().unwrap();
    let server = nginx(&collector, "", "keepalive_timeout 1s;");
    // Many reporters run at once. Each writes its next request a little before or after nginx closes the connection.
    let (reporters, rounds) = (32_u32, 4);
    thread::scope(|scope| {
        for number in 0..reporters {
            let server = &server;
            scope.spawn(move || {
                let reporter = builder(config(server)).max_retries(0).start().unwrap();
                for round in 0..rounds {
                    assert!(reporter.log("step", round, Severity::Info));
                    assert!(reporter.wait_until_drained(LIMIT));
                    let early = Duration::from_millis(992);
                    thread::sleep(early + Duration::from_micros(500) * number); // the test is about this pause
                }
                let stats = reporter.stats();
                assert_eq!((stats.delivered, stats.dropped.total()), (rounds, 0), "{stats}");
            });
        }
    });
    assert_collected(&collector, u64::from(reporters) * rounds);
    assert!(
        collector.requests().iter().all(|request| request.header("x-stainless-retry-count") == Some("0"))
    );
    assert!(connections(&server, collector.events().len()) > reporters as usize, "{}", server.file("access"));
}

#[test]
fn an_event_is_retried_until_an_outage_behind_nginx_ends() {
    if !is_installed(&["nginx"]) {
        return;
    }
    let collector = Collector::start().unwrap();
    let server = nginx(&collector, "", "");
    collector.answer_by_default(Answer::hang_up());
    let reporter = builder(config(&server)).max_retries(u32::MAX).start().unwrap();
    assert!(reporter.log("step", 1, Severity::Info));
    reporter.flush();
    wait_for_log(&server, 2, |status| status == "502");
    collector.answer_by_default(Answer::ok());
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 1);
    assert_collected(&collector, 1);
}

#[cfg(feature = "tls")]
#[test]
fn the_certificate_of_nginx_is_checked_under_each_tls_version() {
    use crate::tls::{Authority, Validity};
    if !is_installed(&["nginx"]) {
        return;
    }
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    for version in ["TLSv1.2", "TLSv1.3"] {
        for (name, validity) in
            [("localhost", Validity::Now), ("other.example", Validity::Now), ("localhost", Validity::Past)]
        {
            let certificate = authority.certificate(name, validity);
            let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
            std::fs::write(&chain, &certificate.pem).unwrap();
            std::fs::write(&key, &certificate.key_pem).unwrap();
            let directives = format!(
                "ssl_protocols {version}; ssl_certificate {}; ssl_certificate_key {};",
                chain.display(),
                key.display()
            );
            let collector = Collector::start().unwrap();
            let server = nginx_listening(&collector, "ssl", "", &directives);
            let config = Config::new(KEY).base_url(format!("https://localhost:{}", server.port()));
            let reporter = builder(config.root_certificates(authority.pem())).max_retries(2).start().unwrap();
            for step in 0..5 {
                assert!(reporter.log("step", step, Severity::Info));
                drain(&reporter);
            }
            let stats = reporter.stats();
            if (name, validity) == ("localhost", Validity::Now) {
                assert_eq!((stats.delivered, connections(&server, 5)), (5, 1), "{version}: {stats}");
                assert_collected(&collector, 5);
            } else {
                assert_eq!(stats.dropped.retries_exhausted, 5, "{version} {name} {validity:?}: {stats}");
                assert_eq!((server.file("access").as_str(), collector.requests().len()), ("", 0));
            }
        }
    }
}
