//! Keeps the settings from the environment. Each program here is this binary, started again with its own variables.

use std::process::{Command, Output};

use log::{LevelFilter, Log, Metadata, Record};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity, StartError};

use crate::support::{self, KEY, LIMIT, SESSION};

pub const CHILD: &str = "TELEMETRY_TEST_CHILD";

/// The value of [`CHILD`] for a program that reports to an OTLP endpoint.
#[cfg(feature = "otlp")]
pub const OTLP: &str = "otlp";

/// The variables that a reporter reads. Those of proxies count in lower case too.
const VARIABLES: [&str; 28] = [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "SSL_CERT_FILE",
    "HOME",
    "TINKER_CREDENTIAL_CMD",
    "TINKER_API_KEY",
    "TINKER_BASE_URL",
    "TINKER_TELEMETRY",
    "DO_NOT_TRACK",
    "CLOUDFLARE_ACCESS_CLIENT_ID",
    "CLOUDFLARE_ACCESS_CLIENT_SECRET",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Where this is set, the logger panics on every line.
const PANICS: &str = "TELEMETRY_TEST_LOGGER_PANICS";

/// Prints each logged line for the test.
struct PrintingLogger;

impl Log for PrintingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        println!("{}: {}", record.level(), record.args());
        assert!(std::env::var_os(PANICS).is_none(), "in the logger, on purpose");
    }

    fn flush(&self) {}
}

/// The program under test. It reports one event with the settings of the environment, and prints the outcome.
#[test]
fn child() {
    let Ok(kind) = std::env::var(CHILD) else { return };
    log::set_logger(&PrintingLogger).unwrap();
    log::set_max_level(LevelFilter::Warn);
    match start(&kind) {
        Ok(reporter) => {
            let accepted = reporter.log("step", 1, Severity::Info);
            let drained = reporter.wait_until_drained(LIMIT) && reporter.stop(LIMIT);
            println!("enabled={} accepted={accepted} drained={drained}", reporter.is_enabled());
            println!("{}", reporter.stats());
        }
        Err(error) => println!("error={error} / {error:?}"),
    }
}

fn start(kind: &str) -> Result<Reporter, StartError> {
    match kind {
        #[cfg(feature = "otlp")]
        OTLP => Reporter::builder(tinker_telemetry::Config::otlp_from_env(), SESSION).start(),
        _ => Reporter::from_env(SESSION),
    }
}

fn run(variables: &[(&str, &str)]) -> String {
    String::from_utf8(output(variables).stdout).unwrap()
}

pub fn output(variables: &[(&str, &str)]) -> Output {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "environment::child", "--nocapture"]).env(CHILD, "1");
    for name in VARIABLES {
        program.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = program.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success());
    output
}

#[test]
fn a_program_reports_to_the_url_of_its_environment() {
    let collector = Collector::start().unwrap();
    let output = run(&[("TINKER_API_KEY", KEY), ("TINKER_BASE_URL", &collector.url())]);
    assert!(output.contains("enabled=true accepted=true drained=true"), "{output}");
    assert!(output.contains("telemetry: 3 offered, 3 delivered"), "{output}");
    let request = support::check_request(&collector.requests()[0]);
    assert_eq!(request.session_id, SESSION);
}

#[test]
fn a_program_that_is_switched_off_needs_no_key_and_sends_nothing() {
    let collector = Collector::start().unwrap();
    let off = [
        ("TINKER_TELEMETRY", "0"),
        ("TINKER_TELEMETRY", " Off "),
        ("TINKER_TELEMETRY", "perhaps"),
        ("DO_NOT_TRACK", "1"),
    ];
    for variable in off {
        let output = run(&[variable, ("TINKER_BASE_URL", &collector.url())]);
        assert!(output.contains("enabled=false accepted=false drained=true"), "{variable:?}: {output}");
    }
    assert!(collector.requests().is_empty());
}

#[cfg(feature = "tls")]
#[test]
fn an_unusable_proxy_turns_telemetry_off_and_a_missing_key_is_an_error() {
    let proxy = ("all_proxy", "ftp://me:canary-7c1d@proxy");
    let url = ("TINKER_BASE_URL", "https://tinker.example");
    let output = run(&[("TINKER_API_KEY", KEY), url, proxy]);
    assert!(output.contains("enabled=false accepted=false drained=true"), "{output}");
    let warnings: Vec<_> = output.lines().filter(|line| line.starts_with("WARN: ")).collect();
    assert_eq!(warnings.len(), 1, "{output}");
    assert!(warnings[0].starts_with("WARN: telemetry is off: the proxy (all_proxy) is "), "{output}");
    assert!(!output.contains("canary"), "{output}");

    assert!(run(&[url, proxy]).contains("error=no API key"));
}

#[cfg(unix)]
#[test]
fn a_key_comes_from_the_variable_then_the_command_then_the_stored_file() {
    use std::os::unix::fs::PermissionsExt;

    let collector = Collector::start().unwrap();
    let url = collector.url();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".tinker/credentials.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let stored = r#"{"version": 1, "default": "b", "keys": {"a": {"type": "manual", "key": "tml-a", "name": "a"},
                    "b": {"type": "manual", "key": "tml-stored", "name": "b", "note": null}}}"#;
    let write = |text: &str, mode| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let home = home.path().to_str().unwrap();
    let base = [("TINKER_BASE_URL", url.as_str()), ("HOME", home), ("PATH", "/usr/bin:/bin")];
    let command = ("TINKER_CREDENTIAL_CMD", "echo tml-printed; echo canary >&2");
    let run_with = |more: &[(&str, &str)]| run(&[&base[..], more].concat());
    let last_key = || collector.requests().last().unwrap().header("x-api-key").unwrap().to_owned();

    assert!(run_with(&[]).contains("error=no API key"));
    write(stored, 0o600);
    let output = run_with(&[command, ("TINKER_API_KEY", KEY)]);
    assert!(output.contains("3 delivered") && last_key() == KEY, "{output}");
    let output = run_with(&[command]);
    assert!(output.contains("3 delivered") && last_key() == "tml-printed", "{output}");
    assert!(!output.contains("canary") && !output.contains("WARN"), "{output}");
    let output = run_with(&[]);
    assert!(output.contains("3 delivered") && last_key() == "tml-stored", "{output}");
    assert!(!output.contains("WARN"), "{output}");
    write(stored, 0o644);
    let output = run_with(&[]);
    assert!(
        output.contains("3 delivered") && output.contains("credentials.json holds API keys, and"),
        "{output}"
    );
    for broken in ["{\"canary\"", r#"{"default": "canary", "keys": {}}"#] {
        write(broken, 0o600);
        let delivered = collector.requests().len();
        let output = run_with(&[("TINKER_TELEMETRY", "1")]);
        assert!(
            output.contains("WARN: telemetry has no key: ") && output.contains("credentials.json"),
            "{output}"
        );
        assert!(!output.contains("canary") && collector.requests().len() == delivered, "{output}");
    }
}

#[test]
fn a_key_of_another_shape_causes_one_warning_and_the_reporter_starts() {
    let collector = Collector::start().unwrap();
    let output = run(&[("TINKER_API_KEY", "canary-7c1d"), ("TINKER_BASE_URL", &collector.url())]);
    assert!(output.contains("3 delivered") && !output.contains("canary"), "{output}");
    assert_eq!(output.matches("WARN: the API key begins").count(), 1, "{output}");
}

#[test]
fn an_error_names_the_invalid_setting_and_never_shows_its_value() {
    let canary = "canary-7c1d";
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "TINKER_API_KEY"),
        (&[("TINKER_API_KEY", "canary-7c1d\u{7f}")], "TINKER_API_KEY"),
        (&[("TINKER_API_KEY", KEY), ("TINKER_BASE_URL", "https://u:canary-7c1d@host")], "TINKER_BASE_URL"),
        (&[("TINKER_API_KEY", KEY), ("CLOUDFLARE_ACCESS_CLIENT_SECRET", canary)], "cloudflare_access"),
    ];
    for (variables, named) in cases {
        let output = run(variables);
        assert!(output.contains("error=") && output.contains(named), "{output}");
        assert!(!output.contains(canary), "{output}");
    }
}

#[test]
fn a_dry_run_prints_each_event_and_sends_nothing_and_needs_no_key() {
    let collector = Collector::start().unwrap();
    let dry = [("TINKER_TELEMETRY", "print"), ("DO_NOT_TRACK", "1"), ("TINKER_BASE_URL", &collector.url())];
    let Output { stdout, stderr, .. } = output(&dry);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(stdout.contains("enabled=true accepted=true drained=true"), "{stdout}");
    assert!(stdout.contains("telemetry: 3 offered, 0 delivered, 3 dropped (3 printed)"), "{stdout}");
    let printed: Vec<_> = stderr.lines().filter(|line| line.starts_with("telemetry ")).collect();
    let ends = ["INFO     SESSION_START", "INFO     step  value=1"];
    assert!(ends.iter().zip(&printed).all(|(end, line)| line.ends_with(end)), "{stderr}");
    assert!(printed.len() == 3 && printed[2].contains("SESSION_END  after"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "there are no colours, since standard error is not a terminal");
    assert!(collector.requests().is_empty());
}

#[test]
fn a_dry_run_without_standard_error_ends_as_usual() {
    let mut program = Command::new("sh");
    let this = std::env::current_exe().unwrap();
    program.args(["-c", "exec 2>&-; exec \"$0\" --exact environment::child --nocapture"]).arg(this);
    program.env(CHILD, "1").env("TINKER_TELEMETRY", "print");
    let output = program.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains("drained=true"), "{stdout}");
}

#[test]
fn a_logger_that_panics_ends_no_start() {
    let panics = (PANICS, "1");
    let (key, url) = (("TINKER_API_KEY", KEY), ("TINKER_BASE_URL", "http://127.0.0.1:9"));
    for warned in [
        &[key, url, ("TINKER_TELEMETRY", "maybe"), panics][..],
        &[("TINKER_API_KEY", "odd"), url, panics],
        &[key, ("TINKER_BASE_URL", "https://example.com"), ("HTTPS_PROXY", "nonsense://x"), panics],
    ] {
        let output = run(warned);
        assert!(output.contains("WARN: ") && output.contains("enabled="), "{warned:?}: {output}");
    }
}
