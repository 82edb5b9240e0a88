//! Keeps the trust rules of HTTPS: a certificate of a configured authority is trusted. Any other server gets no
//! request, and costs no more than the retries.
#![cfg(all(feature = "collector", feature = "tls"))]

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Severity, StartError, Stats};

use crate::log;
use crate::support::{assert_adds_up, drain, sessionless_to};
use crate::tls::{Authority, TlsServer, Validity};

const KEY: &str = "tml-canary-77aa";

/// PEM whose content is not a certificate.
const UNREADABLE: &str = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n";

fn reporter(config: Config) -> Builder {
    sessionless_to(config.no_proxy("*")).max_retries(2)
}

/// Reports three events with this configuration.
fn report(config: Config) -> Stats {
    let reporter = reporter(config).start().unwrap();
    for step in 0..3 {
        assert!(reporter.log("step", step, Severity::Info));
    }
    drain(&reporter);
    let stats = reporter.stats();
    assert_adds_up(stats);
    stats
}

#[test]
fn a_configured_authority_is_trusted_and_the_connection_is_reused() {
    let _alone = one_at_a_time();
    let authority = Authority::new();
    for name in ["localhost", "127.0.0.1"] {
        let server = TlsServer::start(&authority.certificate(name, Validity::Now));
        // Several certificates in one text, as in a bundle.
        let bundle = format!("{}{UNREADABLE}{}", Authority::new().pem(), authority.pem());
        let url = format!("https://{name}:{}", server.port());
        let reporter = reporter(Config::new(KEY).base_url(url).root_certificates(bundle)).start().unwrap();
        for batch in 1..=5 {
            assert!(reporter.log("step", batch, Severity::Info));
            drain(&reporter);
            assert_eq!(reporter.stats().delivered, batch, "{name}");
        }
        assert_eq!((server.requests().len(), server.connections()), (5, 1), "{name}");
        assert!(server.requests()[0].head.text.contains(KEY));
    }
}

/// Each test here holds this lock: the warnings of all name the same host, and one test counts them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The warnings about a direct connection to this server for this reason. Those about proxies belong to other tests.
fn warnings_of(reason: &str) -> Vec<String> {
    let mut warnings = log::warnings_with("telemetry does not reach localhost: ");
    warnings.retain(|warning| warning.contains(reason));
    warnings
}

#[test]
fn a_server_without_a_valid_certificate_gets_no_request() {
    let _alone = one_at_a_time();
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
        let before = warnings_of(reason).len();
        let server = TlsServer::start(&certificate);
        let url = format!("https://localhost:{}", server.port());
        let stats = report(Config::new(KEY).base_url(url).root_certificates(trusted.pem()));
        assert_eq!((stats.delivered, stats.dropped.retries_exhausted), (0, 3), "{what}");
        assert_eq!(
            (server.connections(), server.requests().len()),
            (3, 0),
            "{what}: three attempts without a request"
        );
        let warnings = warnings_of(reason).split_off(before);
        assert_eq!(warnings.len(), 1, "{what}: {}", log::everything());
        assert!(warnings[0].contains("localhost") && warnings[0].contains("TLS:"), "{warnings:?}");
    }

    // Without a configured authority those of Mozilla apply. The test's authority is not among them.
    let server = TlsServer::start(&trusted.certificate("localhost", Validity::Now));
    let stats = report(Config::new(KEY).base_url(format!("https://localhost:{}", server.port())));
    assert_eq!((stats.dropped.retries_exhausted, server.requests().len()), (3, 0));

    // A server without TLS.
    let collector = Collector::start().unwrap();
    let stats = report(Config::new(KEY).base_url(format!("https://localhost:{}", collector.port())));
    assert_eq!((stats.dropped.retries_exhausted, collector.requests().len()), (3, 0));
    assert_eq!(warnings_of("corrupt message").len(), 1, "{}", log::everything());

    assert!(!log::everything().contains(KEY));
}

#[test]
fn a_silent_tls_server_costs_one_timeout_per_attempt() {
    let _alone = one_at_a_time();
    // The kernel accepts the connections into the backlog. The test never answers them.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let timeout = Duration::from_millis(200);
    let reporter = reporter(Config::new(KEY).base_url(url)).http_timeout(timeout).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    let begun = Instant::now();
    drain(&reporter);
    let spent = begun.elapsed();
    assert_eq!(reporter.stats().dropped.retries_exhausted, 1);
    assert!(spent >= 3 * timeout && spent < 3 * timeout + Duration::from_secs(2), "{spent:?}");
}

#[test]
fn pem_without_a_valid_certificate_is_an_error_at_the_start() {
    let _alone = one_at_a_time();
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

#[test]
fn added_authorities_are_trusted_together_with_the_others() {
    let _alone = one_at_a_time();
    let (ours, theirs) = (Authority::new(), Authority::named("Another"));
    for authority in [&ours, &theirs] {
        let server = TlsServer::start(&authority.certificate("localhost", Validity::Now));
        let config = Config::new(KEY).base_url(format!("https://localhost:{}", server.port()));
        let both = [
            config.clone().add_root_certificates(ours.pem()).add_root_certificates(theirs.pem()),
            config.clone().root_certificates(ours.pem()).add_root_certificates(theirs.pem()),
        ];
        for config in both {
            assert_eq!(report(config).delivered, 3);
        }
        let stranger = Authority::named("Stranger");
        assert_eq!(report(config.add_root_certificates(stranger.pem())).delivered, 0);
    }
    let error = reporter(Config::new(KEY).add_root_certificates("canary")).start().err().unwrap();
    assert_eq!(error.to_string(), "add_root_certificates holds no certificate that can be read");
}

const CHILD: &str = "TELEMETRY_TEST_TRUST";

/// The program under test: this binary, started again with `SSL_CERT_FILE`. It reports three events, and prints how
/// many were delivered and the warnings.
#[test]
fn child() {
    let _alone = one_at_a_time();
    let Ok(url) = std::env::var(CHILD) else { return };
    log::keep();
    let mut config = Config::new(KEY).base_url(url);
    if let Ok(pem) = std::env::var("TELEMETRY_TEST_ROOTS") {
        config = config.root_certificates(pem);
    }
    println!("delivered={}", report(config).delivered);
    println!("{:?}", log::warnings_with("SSL_CERT_FILE"));
}

fn run_with_file(file: &str, url: &str, roots: Option<&str>) -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "trust::child", "--nocapture"]).env(CHILD, url).env("SSL_CERT_FILE", file);
    program.envs(roots.map(|pem| ("TELEMETRY_TEST_ROOTS", pem)));
    let Output { stdout, status, .. } = program.output().unwrap();
    assert!(status.success());
    String::from_utf8(stdout).unwrap()
}

#[test]
fn ssl_cert_file_adds_authorities_unless_the_configuration_sets_others() {
    let _alone = one_at_a_time();
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certificate("localhost", Validity::Now));
    let url = format!("https://localhost:{}", server.port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("company.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let file = file.to_str().unwrap();
    for spelling in [file.to_owned(), format!("\"{file}\"")] {
        let output = run_with_file(&spelling, &url, None);
        assert!(output.contains("delivered=3\n[]"), "{output}");
    }
    let output = run_with_file(file, &url, Some(Authority::named("Stranger").pem()));
    assert!(output.contains("delivered=0\n[]"), "{output}");
}

#[test]
fn an_unusable_ssl_cert_file_causes_one_warning_with_its_name() {
    let _alone = one_at_a_time();
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certificate("localhost", Validity::Now));
    let url = format!("https://localhost:{}", server.port());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("text"), "canary").unwrap();
    std::fs::write(path("broken"), UNREADABLE).unwrap();
    std::fs::File::create(path("large")).unwrap().set_len(1 << 40).unwrap(); // a sparse file uses no disk space
    let mut files = vec![path("missing"), path("text"), path("broken"), path("large"), path("")];
    #[cfg(unix)]
    {
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        files.push(path("pipe"));
    }
    for file in files {
        let output = run_with_file(&file, &url, Some(authority.pem()));
        assert!(
            output.contains("delivered=3\n[]"),
            "the file is not read where the configuration sets others: {output}"
        );
        let output = run_with_file(&file, &url, None);
        assert!(output.contains(&format!("SSL_CERT_FILE ({file}): it ")), "{output}");
        assert!(output.contains("delivered=0") && output.matches("telemetry does").count() == 1, "{output}");
        assert!(!output.contains("canary"), "{output}");
    }
}
