//! Keeps HTTPS honest: the authority that was set is trusted; any other server gets no request, and costs no more than
//! its retries.
#![cfg(all(feature = "collector", feature = "tls"))]

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Severity, StartError, Stats};

use crate::log;
use crate::support::{LIMIT, assert_adds_up, sessionless_to};
use crate::tls::{Authority, TlsServer, Validity};

const KEY: &str = "tml-canary-77aa";

/// PEM of something that is no certificate.
const UNREADABLE: &str = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n";

fn reporter(config: Config) -> Builder {
    sessionless_to(config.no_proxy("*")).max_retries(2)
}

/// What becomes of three events that are sent there.
fn report(config: Config) -> Stats {
    let reporter = reporter(config).start().unwrap();
    for step in 0..3 {
        assert!(reporter.log("step", step, Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    stats
}

#[test]
fn an_authority_that_was_set_is_trusted_and_its_connection_kept() {
    let authority = Authority::new();
    for name in ["localhost", "127.0.0.1"] {
        let server = TlsServer::start(&authority.certificate(name, Validity::Now));
        // Several authorities in one file, as bundles are.
        let bundle = format!("{}{UNREADABLE}{}", Authority::new().pem(), authority.pem());
        let url = format!("https://{name}:{}", server.port());
        let reporter = reporter(Config::new(KEY).base_url(url).root_certificates(bundle)).start().unwrap();
        for batch in 1..=5 {
            assert!(reporter.log("step", batch, Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
            assert_eq!(reporter.stats().delivered, batch, "{name}");
        }
        assert_eq!((server.requests().len(), server.connections()), (5, 1), "{name}");
        assert!(server.requests()[0].head.text.contains(KEY));
    }
}

/// The warnings that this server is not reached for this reason, and by no proxy: those are other tests'.
fn warnings_of(reason: &str) -> Vec<String> {
    let mut warnings = log::warnings_with("telemetry does not reach localhost: ");
    warnings.retain(|warning| warning.contains(reason));
    warnings
}

#[test]
fn whoever_cannot_prove_the_host_gets_no_request() {
    log::keep();
    let trusted = Authority::new();
    let (stranger, impostor) = (Authority::named("Stranger"), Authority::new());
    let table = [
        ("wrong host", trusted.certificate("other.example", Validity::Now), "not valid for name"),
        ("expired", trusted.certificate("localhost", Validity::Past), "expired"),
        ("not yet valid", trusted.certificate("localhost", Validity::Future), "not valid yet"),
        ("another authority", stranger.certificate("localhost", Validity::Now), "UnknownIssuer"),
        ("its name, not its key", impostor.certificate("localhost", Validity::Now), "BadSignature"),
    ];
    for (what, certificate, reason) in table {
        let server = TlsServer::start(&certificate);
        let url = format!("https://localhost:{}", server.port());
        let stats = report(Config::new(KEY).base_url(url).root_certificates(trusted.pem()));
        assert_eq!((stats.delivered, stats.dropped.retries_exhausted), (0, 3), "{what}");
        assert_eq!(
            (server.connections(), server.requests().len()),
            (3, 0),
            "{what}: retried, and sent nothing"
        );
        let warnings = warnings_of(reason);
        assert_eq!(warnings.len(), 1, "{what}: {}", log::everything());
        assert!(warnings[0].contains("localhost") && warnings[0].contains("TLS:"), "{warnings:?}");
    }

    // Without an authority of ours Mozilla's are asked, who do not know the test's.
    let server = TlsServer::start(&trusted.certificate("localhost", Validity::Now));
    let stats = report(Config::new(KEY).base_url(format!("https://localhost:{}", server.port())));
    assert_eq!((stats.dropped.retries_exhausted, server.requests().len()), (3, 0));

    // A server that does not speak TLS at all.
    let collector = Collector::start().unwrap();
    let stats = report(Config::new(KEY).base_url(format!("https://localhost:{}", collector.port())));
    assert_eq!((stats.dropped.retries_exhausted, collector.requests().len()), (3, 0));
    assert_eq!(warnings_of("corrupt message").len(), 1, "{}", log::everything());

    assert!(!log::everything().contains(KEY));
}

#[test]
fn a_mute_tls_peer_costs_one_timeout_for_each_attempt() {
    // Its backlog takes the connections; none is ever answered.
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://localhost:{}", mute.local_addr().unwrap().port());
    let timeout = Duration::from_millis(200);
    let reporter = reporter(Config::new(KEY).base_url(url)).http_timeout(timeout).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    let begun = Instant::now();
    assert!(reporter.wait_until_drained(LIMIT));
    let spent = begun.elapsed();
    assert_eq!(reporter.stats().dropped.retries_exhausted, 1);
    assert!(spent >= 3 * timeout && spent < 3 * timeout + Duration::from_secs(2), "{spent:?}");
}

#[test]
fn authorities_that_are_none_are_refused_at_the_start() {
    let certificate = Authority::new().certificate("localhost", Validity::Now);
    let broken = Authority::new().pem().replace("-----END CERTIFICATE-----", "");
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let table = ["", "canary", &certificate.key_pem, &broken, not_base64, UNREADABLE];
    for pem in table {
        let config = Config::new(KEY).root_certificates(pem);
        let error = reporter(config).start().err().unwrap();
        assert!(matches!(error, StartError::InvalidSetting { setting: "root_certificates", .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
