//! Keeps a child reporting whose resolver hangs, because a fork left the C library's lock locked. The lookup is replaced by
//! one that hangs in every process but the first.
#![cfg(all(target_os = "linux", feature = "collector"))]

use std::env;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Reporter, Severity};

use crate::process::{FINE, fork};
use crate::replaced;
use crate::support::{KEY, LIMIT, sessionless_to};

const HANGS_IN_CHILDREN: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

static pid_t first;

__attribute__((constructor)) static void begin(void) { first = getpid(); }

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    while (getpid() != first) pause();
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    return real("127.0.0.1", service, hints, found);
}
"#;

/// The port to report to.
const PORT: &str = "TINKER_TEST_PORT";

fn reporter() -> Reporter {
    let url = format!("http://name.test:{}", env::var(PORT).unwrap());
    sessionless_to(Config::new(KEY).base_url(url).allow_insecure_http(true)).start().unwrap()
}

fn log_and_drain(reporter: &Reporter) {
    assert!(reporter.log("step", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 1, "{}", reporter.stats());
}

#[test]
fn a_child_whose_resolver_hangs_sends_to_the_addresses_of_its_parent() {
    if replaced::is_replaced() {
        let reporter = reporter();
        log_and_drain(&reporter);
        let child = fork(|| {
            log_and_drain(&reporter);
            assert_eq!(fork(|| log_and_drain(&reporter)).wait(), FINE, "the resolver of its child hangs too");
        });
        assert_eq!(child.wait(), FINE);
        return;
    }
    let collector = Collector::start().unwrap();
    let name = "resolver::a_child_whose_resolver_hangs_sends_to_the_addresses_of_its_parent";
    replaced::run(name, HANGS_IN_CHILDREN, &[(PORT, &collector.port().to_string())]);
    assert_eq!(collector.events().len(), 3);
}

#[test]
fn a_child_whose_parent_has_found_no_address_is_on_time() {
    if replaced::is_replaced() {
        let reporter = reporter();
        let child = fork(|| {
            assert!(reporter.log("step", (), Severity::Info));
            let (started, timeout) = (Instant::now(), Duration::from_millis(100));
            assert!(!reporter.wait_until_drained(timeout));
            assert!(!reporter.stop(timeout));
            assert!(started.elapsed() < LIMIT / 2);
            assert_eq!(reporter.stats().dropped.deadline, 1);
        });
        assert_eq!(child.wait(), FINE);
        return;
    }
    let collector = Collector::start().unwrap();
    let name = "resolver::a_child_whose_parent_has_found_no_address_is_on_time";
    replaced::run(name, HANGS_IN_CHILDREN, &[(PORT, &collector.port().to_string())]);
    assert!(collector.requests().is_empty());
}
