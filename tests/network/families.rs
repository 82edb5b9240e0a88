//! Keeps a reporter working where a program may use one family of addresses only.
//!
//! The system's own functions are replaced in a process of the test's own: a host has an address of IPv6 and then one of
//! IPv4, and the system does not allow a connection to the first.
#![cfg(target_os = "linux")]

use std::env;

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Severity};

use crate::replaced;
use crate::support::{KEY, LIMIT, sessionless_to};

/// The URL to report to.
const URL: &str = "TINKER_TEST_FAMILIES_URL";

const REPLACED: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo *ipv4;
    int error = real("::1", service, hints, found);
    if (error) return error;
    error = real("127.0.0.1", service, hints, &ipv4);
    if (error) return error;
    struct addrinfo *last = *found;
    while (last->ai_next) last = last->ai_next;
    last->ai_next = ipv4;
    return 0;
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    if (address->sa_family == AF_INET6) {
        errno = atoi(getenv("DENIED"));
        return -1;
    }
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    return real(socket, address, length);
}
"#;

#[test]
fn where_ipv6_is_not_allowed_ipv4_is_tried() {
    if replaced::is_replaced() {
        let config = Config::new(KEY).base_url(env::var(URL).unwrap()).allow_insecure_http(true);
        let reporter = sessionless_to(config).max_retries(0).start().unwrap();
        for step in 0..3 {
            assert!(reporter.log("step", step, Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
        }
        assert_eq!(reporter.stats().delivered, 3, "{}", reporter.stats());
        return;
    }
    for denied in [libc::EACCES, libc::EPERM] {
        let collector = Collector::start().unwrap();
        let url = format!("http://both.test:{}", collector.port());
        let name = "families::where_ipv6_is_not_allowed_ipv4_is_tried";
        replaced::run(name, REPLACED, &[(URL, &url), ("DENIED", &denied.to_string())]);
        assert_eq!(collector.events().len(), 3);
    }
}
