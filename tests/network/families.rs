//! Keeps a reporter working where a program may use one family of addresses only.
//!
//! The system's own functions are replaced in a process of the test's own: a host has an address of IPv6 and then one of
//! IPv4, and the system does not allow a connection to the first.
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Config, Severity};

use crate::support::{KEY, LIMIT, sessionless_to};

/// Set in the process of its own: the URL to report to.
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

/// A library with these functions. A C compiler is needed for the linker anyhow.
fn library() -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("families");
    fs::create_dir_all(&home).unwrap();
    let (source, library) = (home.join("replaced.c"), home.join("libreplaced.so"));
    fs::write(&source, REPLACED).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

#[test]
fn where_ipv6_is_not_allowed_ipv4_is_tried() {
    if let Ok(url) = env::var(URL) {
        let reporter =
            sessionless_to(Config::new(KEY).base_url(url).allow_insecure_http(true)).max_retries(0);
        let reporter = reporter.start().unwrap();
        for step in 0..3 {
            assert!(reporter.log("step", step, Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
        }
        assert_eq!(reporter.stats().delivered, 3, "{}", reporter.stats());
        return;
    }
    let library = library();
    for denied in [libc::EACCES, libc::EPERM] {
        let collector = Collector::start().unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "families::where_ipv6_is_not_allowed_ipv4_is_tried", "--nocapture"])
            .env(URL, format!("http://both.test:{}", collector.port()))
            .env("DENIED", denied.to_string())
            .env("LD_PRELOAD", &library)
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(collector.events().len(), 3);
    }
}
