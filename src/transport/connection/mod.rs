//! The HTTP client's connections: how names become addresses, and what happens to the bytes on their way.
//!
//! The client offers no other place for four things that only a connection can see:
//!
//! - when bytes leave: there the secrets take the place of the asterisks that the client has logged ([`Redactor`]);
//! - whether a kept connection was dead before it carried the request ([`Attempt`]);
//! - which headers the client sees: it keeps cookies if any crate of the program wants it to ([`cookies`]);
//! - how long each read may take: the client gives each read of a proxy's answer all the time that connecting may take.
//!
//! A fork is noticed here too: the client has logged by then, and the program's logger may have forked.
//!
//! [`unversioned`] attaches all this to the client. Nothing else here knows of ureq.

mod attempt;
mod cookies;
mod families;
pub(super) mod known_host;
pub(super) mod lookup;
mod redactor;
pub(super) mod unversioned;

use std::time::Duration;

use crate::process::fork;
use attempt::Attempt;
use redactor::Redactor;
pub(super) use redactor::Secrets;

/// Watches all connections of a client, which share the attempt.
#[derive(Clone, Debug)]
pub(super) struct ConnectionWatch {
    attempt: Attempt,
    redactor: Redactor,
}

impl ConnectionWatch {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self { attempt: Attempt::new(), redactor: Redactor::new(secrets) }
    }

    pub(super) fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// A connection is made for the current attempt.
    fn open(&self) -> Connection {
        Connection { watch: self.clone(), made_for: self.attempt.number() }
    }
}

/// Watches one connection.
#[derive(Debug)]
struct Connection {
    watch: ConnectionWatch,
    /// The number of the attempt that it was made for. It is older than the current one in a kept connection.
    made_for: u64,
}

impl Connection {
    /// These bytes are about to be sent.
    fn before_output(&self, bytes: &mut [u8]) {
        fork::exit_if_forked();
        if let Some(head) = redactor::head_of(bytes) {
            // A part of a body may read like a head: text in protobuf is as it was logged.
            if self.watch.attempt.sends_head() {
                self.watch.redactor.restore(head);
            }
        }
        self.watch.attempt.sends_over_connection_of(self.made_for);
    }

    /// How long a read may take.
    fn time_left(&self) -> Duration {
        self.watch.attempt.time_left()
    }

    /// Bytes have come back.
    fn after_input(&self) {
        self.watch.attempt.receives();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::header::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_body_that_reads_like_a_head_gets_no_secret() {
        let mut secret = HeaderValue::from_static("hush");
        secret.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, secret)]);
        let watch = ConnectionWatch::new(&Secrets::take_from(&mut headers));
        let redacted = b"POST / HTTP/1.1\r\nauthorization: ****\r\n\r\n";
        for _ in 0..2 {
            watch.attempt().begin(Instant::now());
            let (mut head, mut body) = (redacted.to_vec(), redacted.to_vec());
            let connection = watch.open();
            connection.before_output(&mut head);
            connection.before_output(&mut body);
            assert!(String::from_utf8(head).unwrap().contains("authorization: hush"));
            assert_eq!(body, redacted);
        }
    }
}
