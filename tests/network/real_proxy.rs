//! Keeps the proxies of the environment, with a real one: which requests go through it, which go directly, and that
//! none goes directly because the proxy is dead. Needs the programs `tinyproxy`, `unshare` and `ip` (Debian: tinyproxy,
//! util-linux, iproute2) and the right to make namespaces. Without them these tests are skipped and print why.
#![cfg(all(target_os = "linux", feature = "collector", feature = "tls"))]

use std::time::Duration;

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter, Severity, Stats};

use crate::real::Server;
use crate::support::{LIMIT, NEVER, assert_adds_up, drain};
use crate::tls::{Authority, TlsServer, Validity};
use crate::{log, sandbox};

const KEY: &str = "tml-canary-c0de";
const PASSWORD: &str = "hush-hush.5f";

/// The ports of the servers. All ports of the sandbox are free.
const PROXY: u16 = 3128;
const HTTPS: u16 = 8443;
const HTTP: u16 = 8080;

const AT_HTTPS: (&str, &str) = ("TINKER_BASE_URL", "https://tinker.test:8443");
const AT_HTTP: (&str, &str) = ("TINKER_BASE_URL", "http://tinker.test:8080");
const WITH_KEY: (&str, &str) = ("TINKER_API_KEY", KEY);

/// The servers of the sandbox: the proxy, and an endpoint of each kind.
struct Servers {
    proxy: Server,
    authority: Authority,
    secure: TlsServer,
    plain: Collector,
}

impl Servers {
    /// Starts the servers, with these lines in the proxy's configuration.
    fn start(lines: &str) -> Self {
        log::keep();
        let proxy = Server::start_on(PROXY, "tinyproxy", &["-d"], |directory, port| {
            let (log, pid) = (directory.join("log"), directory.join("pid"));
            let (log, pid) = (log.display(), pid.display());
            format!(
                "Port {port}\nListen 127.0.0.1\nLogFile \"{log}\"\nPidFile \"{pid}\"\nLogLevel Connect\n{lines}\n"
            )
        });
        let authority = Authority::new();
        let secure = TlsServer::start_on(HTTPS, &authority.certificate("tinker.test", Validity::Now));
        Self { proxy: proxy.unwrap(), authority, secure, plain: Collector::start_on(HTTP).unwrap() }
    }

    /// Reports three batches of one event each, with the settings of the environment.
    fn report(&self) -> Stats {
        let config = Config::from_env().root_certificates(self.authority.pem()).allow_insecure_http(true);
        let builder =
            Reporter::sessionless_builder(config).flush_interval(NEVER).http_timeout(LIMIT).max_retries(1);
        let reporter = builder.retry_base_delay(Duration::from_millis(1)).start().unwrap();
        for step in 0..3 {
            assert!(reporter.log("step", step, Severity::Info));
            drain(&reporter);
        }
        let stats = reporter.stats();
        assert_adds_up(stats);
        let logs = format!("{}{}", log::everything(), self.proxy.file("log"));
        assert!(!logs.contains(KEY) && !log::everything().contains(PASSWORD), "{logs}");
        stats
    }

    /// The requests in the proxy's log.
    fn proxied(&self) -> Vec<String> {
        let log = self.proxy.file("log");
        let requests =
            log.lines().filter_map(|line| line.split_once("): ").map(|(_, request)| request.to_owned()));
        requests.filter(|request| request.contains(" HTTP/")).collect()
    }
}

#[test]
fn an_https_endpoint_is_reached_through_the_proxy_of_the_environment() {
    let variables = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environments = variables.map(|name| [WITH_KEY, AT_HTTPS, (name, "http://127.0.0.1:3128/")]);
    let environments = environments.each_ref().map(<[_; 3]>::as_slice);
    sandbox::run(
        "real_proxy::an_https_endpoint_is_reached_through_the_proxy_of_the_environment",
        &environments,
        || {
            let servers = Servers::start("");
            assert_eq!(servers.report().delivered, 3);
            assert_eq!(servers.secure.requests().len(), 3);
            assert_eq!(servers.proxied(), ["CONNECT tinker.test:8443 HTTP/1.1"], "one tunnel for all");
        },
    );
}

#[test]
fn an_http_endpoint_is_reached_through_the_proxy_of_the_environment() {
    let environments: [&[_]; 2] = [
        &[WITH_KEY, AT_HTTP, ("http_proxy", "127.0.0.1:3128")],
        &[WITH_KEY, AT_HTTP, ("ALL_PROXY", "localhost:3128"), ("NO_PROXY", "localhost, 127.0.0.1")],
    ];
    sandbox::run(
        "real_proxy::an_http_endpoint_is_reached_through_the_proxy_of_the_environment",
        &environments,
        || {
            let servers = Servers::start("");
            assert_eq!((servers.report().delivered, servers.plain.events().len()), (3, 3));
            assert_eq!(servers.proxied(), ["CONNECT tinker.test:8080 HTTP/1.1"]);
        },
    );
}

#[test]
fn exempt_hosts_are_reached_without_the_proxy() {
    let lists = ["tinker.test", "other.test, tinker.test", " other.test  .test ,", "TEST", "*"];
    let environments =
        lists.map(|list| [WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "127.0.0.1:3128"), ("NO_PROXY", list)]);
    let environments = environments.each_ref().map(<[_; 4]>::as_slice);
    sandbox::run("real_proxy::exempt_hosts_are_reached_without_the_proxy", &environments, || {
        let servers = Servers::start("");
        assert_eq!((servers.report().delivered, servers.secure.requests().len()), (3, 3));
        assert_eq!(servers.proxied(), [""; 0]);
    });
}

#[test]
fn all_other_hosts_are_reached_through_the_proxy() {
    let lists = ["", "other.test", "inker.test", "a.tinker.test", "127.0.0.0/8"];
    let environments =
        lists.map(|list| [WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "127.0.0.1:3128"), ("NO_PROXY", list)]);
    let environments = environments.each_ref().map(<[_; 4]>::as_slice);
    sandbox::run("real_proxy::all_other_hosts_are_reached_through_the_proxy", &environments, || {
        let servers = Servers::start("");
        assert_eq!((servers.report().delivered, servers.proxied().len()), (3, 1));
    });
}

#[test]
fn loopback_is_reached_without_any_proxy() {
    let dead = "http://127.0.0.1:9";
    let urls = ["http://127.0.0.1:8080", "http://localhost:8080/"];
    let environments = urls.map(|url| {
        let base = ("TINKER_BASE_URL", url);
        [WITH_KEY, base, ("http_proxy", dead), ("HTTPS_PROXY", dead), ("ALL_PROXY", "socks5://127.0.0.1:9")]
    });
    let environments = environments.each_ref().map(<[_; 5]>::as_slice);
    sandbox::run("real_proxy::loopback_is_reached_without_any_proxy", &environments, || {
        let servers = Servers::start("");
        assert_eq!((servers.report().delivered, servers.plain.events().len()), (3, 3));
        assert_eq!(servers.proxied(), [""; 0]);
    });
}

#[test]
fn only_the_proxy_gets_the_proxys_password() {
    let environments: [&[_]; 2] = [
        &[WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "http://me:hush-hush.5f@127.0.0.1:3128")],
        &[WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "me:hush%2Dhush%2e5f@127.0.0.1:3128")],
    ];
    sandbox::run("real_proxy::only_the_proxy_gets_the_proxys_password", &environments, || {
        let servers = Servers::start(&format!("BasicAuth me {PASSWORD}"));
        assert_eq!((servers.report().delivered, servers.proxied().len()), (3, 1));
        let heads: String =
            servers.secure.requests().into_iter().map(|request| request.head.text.to_lowercase()).collect();
        assert!(!heads.contains("authorization") && !heads.contains(PASSWORD), "{heads}");
    });
}

#[test]
fn a_proxy_that_refuses_drops_the_events_and_logs_one_warning_with_its_status() {
    let environments: [&[_]; 2] = [
        &[WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "http://me:hush-hush.wrong@127.0.0.1:3128")],
        &[WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "http://127.0.0.1:3128")],
    ];
    sandbox::run(
        "real_proxy::a_proxy_that_refuses_drops_the_events_and_logs_one_warning_with_its_status",
        &environments,
        || {
            let servers = Servers::start(&format!("BasicAuth me {PASSWORD}"));
            let stats = servers.report();
            assert_eq!((stats.dropped.retries_exhausted, servers.secure.connections()), (3, 0));
            let warnings = log::warnings_with("tinker.test through the proxy at 127.0.0.1:3128: ");
            assert!(warnings.len() == 1 && warnings[0].contains(" 40"), "{warnings:?}");
            assert!(!log::everything().contains("hush"), "{warnings:?}");
        },
    );
}

#[test]
fn with_a_dead_proxy_no_request_goes_directly() {
    let environments: [&[_]; 3] = [
        &[WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", "http://127.0.0.1:9")],
        &[WITH_KEY, AT_HTTP, ("http_proxy", "http://127.0.0.1:9")],
        &[WITH_KEY, AT_HTTPS, ("ALL_PROXY", "http://gone.test:3128")],
    ];
    sandbox::run("real_proxy::with_a_dead_proxy_no_request_goes_directly", &environments, || {
        let servers = Servers::start("");
        assert_eq!(servers.report().dropped.retries_exhausted, 3);
        assert_eq!((servers.secure.connections(), servers.plain.requests().len()), (0, 0));
        assert_eq!(log::warnings_with("through the proxy at ").len(), 1, "{}", log::everything());
    });
}

#[test]
fn an_unusable_proxy_in_the_environment_causes_one_warning_and_turns_telemetry_off() {
    let urls = ["socks6://me:hush-hush.5f@127.0.0.1:3128", "http://me:hush-hush.5f@", "ftp://hush-hush.5f"];
    let environments = urls.map(|url| [WITH_KEY, AT_HTTPS, ("HTTPS_PROXY", url)]);
    let environments = environments.each_ref().map(<[_; 3]>::as_slice);
    let test = "real_proxy::an_unusable_proxy_in_the_environment_causes_one_warning_and_turns_telemetry_off";
    sandbox::run(test, &environments, || {
        log::keep();
        let reporter = Reporter::from_env("session-0001").unwrap();
        assert!(!reporter.is_enabled());
        assert_eq!(log::warnings_with("telemetry is off: the proxy (HTTPS_PROXY) ").len(), 1);
        assert!(!format!("{} {:?}", log::everything(), Config::from_env()).contains("hush"));
    });
}
