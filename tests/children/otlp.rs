//! Keeps the settings of OpenTelemetry's environment. Each program here is that of `environment`, which reads them.

use std::process::Output;
use std::time::Duration;

use tinker_telemetry::collector::{Answer, Collector};

use crate::environment::{CHILD, OTLP, output};

const CANARY: &str = "canary-7c1d";

/// What the program printed, its log included. It shows no value of a variable that may be secret.
fn run(variables: &[(&str, &str)]) -> String {
    let Output { stdout, stderr, .. } = output(&[&[(CHILD, OTLP)], variables].concat());
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    assert!(!text.contains(CANARY), "{text}");
    text
}

#[test]
fn a_program_reports_to_the_endpoint_of_its_environment_with_its_headers() {
    let (all, logs) = (Collector::start().unwrap(), Collector::start().unwrap());
    let (all_url, logs_url) = (all.url(), format!("{}/as/it/is", logs.url()));
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", all_url.as_str());
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary-7c1d,x-team=a");
    let output = run(&[endpoint, headers, ("OTEL_SERVICE_NAME", "trainer-of-the-test")]);
    assert!(output.contains("telemetry: 3 offered, 3 delivered") && !output.contains("WARN"), "{output}");
    let request = &all.requests()[0];
    assert_eq!(request.path, "/v1/logs");
    assert_eq!(request.header("authorization"), Some("Bearer canary-7c1d"));
    assert_eq!((request.header("x-team"), request.header("x-api-key")), (Some("a"), None));
    let name = b"trainer-of-the-test";
    assert!(request.body.windows(name.len()).any(|window| window == name));

    all.take_events();
    let output = run(&[endpoint, headers, ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &logs_url)]);
    assert!(output.contains("3 delivered") && all.requests().is_empty(), "{output}");
    assert_eq!(logs.requests()[0].path, "/as/it/is");
}

#[test]
fn a_variable_with_a_fault_is_one_warning_and_telemetry_goes_on() {
    let collector = Collector::start().unwrap();
    let url = collector.url();
    let faults = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization:canary-7c1d"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=canary-7c1d%"),
        ("OTEL_RESOURCE_ATTRIBUTES", "canary-7c1d"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "canary-7c1d"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "canary-7c1d"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "canary-7c1d"),
        ("OTEL_SDK_DISABLED", "canary-7c1d"),
    ];
    let output = run(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())], &faults[..]].concat());
    assert!(output.contains("3 delivered"), "{output}");
    for (name, _) in faults {
        let warning = format!("WARN: telemetry does without {name}: it ");
        assert_eq!(output.matches(&warning).count(), 1, "{name}: {output}");
    }
    let [request] = &collector.requests()[..1] else { panic!() };
    assert_eq!((request.header("authorization"), request.header("a")), (None, None));
}

#[test]
fn an_endpoint_that_cannot_be_used_is_an_error_that_does_not_show_it() {
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] {
        for url in ["http://localhost/?key=canary-7c1d", "http://canary-7c1d@localhost", "canary-7c1d:4317"] {
            let output = run(&[(name, url)]);
            assert!(output.contains("error=the OTLP endpoint") && output.contains(name), "{output}");
        }
    }
    assert!(
        run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]).contains("unencrypted to collector")
    );
}

#[test]
fn each_switch_turns_telemetry_off() {
    let collector = Collector::start().unwrap();
    let url = collector.url();
    for switch in [("OTEL_SDK_DISABLED", "True"), ("TINKER_TELEMETRY", "0"), ("DO_NOT_TRACK", "1")] {
        let output = run(&[switch, ("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
        assert!(output.contains("enabled=false accepted=false drained=true"), "{switch:?}: {output}");
    }
    let dry =
        [("OTEL_SDK_DISABLED", "true"), ("TINKER_TELEMETRY", "print"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    let output = run(&dry);
    assert!(output.contains("3 printed") && output.contains("INFO     step  value=1"), "{output}");
    assert!(collector.requests().is_empty());
}

#[test]
fn an_attempt_takes_no_longer_than_the_timeout_of_the_environment() {
    let collector = Collector::start().unwrap();
    // With the default timeout this is the answer to the first attempt.
    collector.answer(Answer::status(200).delay(Duration::from_secs(3)));
    let output =
        run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "100")]);
    assert!(output.contains("3 delivered") && output.contains("timed out"), "{output}");
    let requests = collector.requests();
    assert_eq!(requests[0].body, requests[1].body, "a retry");
}

#[cfg(feature = "tls")]
#[test]
fn a_server_is_trusted_by_the_certificate_of_the_environment_alone() {
    use crate::tls::{Authority, TlsServer, Validity};

    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority.certificate("localhost", Validity::Now));
    let url = format!("https://localhost:{}", server.port());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, stranger) = (file("good.pem", authority.pem()), file("stranger.pem", other.pem()));
    let of = |certificate: &str, more: &[(&str, &str)]| {
        let base =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)];
        run(&[&base[..], more].concat())
    };
    let output = of(&good, &[]);
    assert!(output.contains("3 delivered") && !output.contains("WARN"), "{output}");
    let delivered = server.requests().len();

    // The file of the whole machine adds nothing to it.
    let output = of(&stranger, &[("SSL_CERT_FILE", &good), ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")]);
    assert!(output.contains("does not reach localhost: TLS"), "{output}");
    for (unusable, reason) in
        [("/canary-not-there", "cannot be read"), (&file("empty.pem", ""), "without a certificate")]
    {
        let output = of(unusable, &[]);
        assert!(
            output.contains("WARN: telemetry is off: OTEL_EXPORTER_OTLP_CERTIFICATE names a file "),
            "{output}"
        );
        assert!(output.contains(reason) && output.contains("enabled=false"), "{output}");
    }
    assert_eq!(server.requests().len(), delivered);
}
