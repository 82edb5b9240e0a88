//! Sentry with its ureq transport: structured logs, and events.

use std::net::SocketAddr;
use std::time::Duration;

use sentry::protocol::{Event, Map, Value};
use sentry::{ClientInitGuard, ClientOptions, Level};

use super::{Peer, QUEUE};
use crate::payload::{Fields, NAME};

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Logs,
    Events,
}

pub(crate) struct Sentry {
    guard: Option<ClientInitGuard>,
    kind: Kind,
}

impl Sentry {
    pub(crate) fn start(sink: SocketAddr, kind: Kind, budget: Duration) -> Self {
        let guard = sentry::init(
            ClientOptions::new()
                .dsn(&format!("http://key@{sink}/1"))
                // The default is 30 envelopes. Each event has an envelope of its own, and a hundred logs share one.
                .transport_channel_capacity(QUEUE)
                .shutdown_timeout(budget),
        );
        Self { guard: Some(guard), kind }
    }
}

impl Peer for Sentry {
    fn log(&self, fields: Fields<'_>) {
        match self.kind {
            Kind::Logs => {
                // The macro needs a literal. This is the text of `NAME`.
                sentry::logger_info!(
                    step = fields.step,
                    loss = fields.loss,
                    shard = fields.shard,
                    "checkpoint.saved"
                );
            }
            Kind::Events => {
                let extra: Map<String, Value> = [
                    ("step".to_owned(), Value::from(fields.step)),
                    ("loss".to_owned(), Value::from(fields.loss)),
                    ("shard".to_owned(), Value::from(fields.shard)),
                ]
                .into();
                sentry::capture_event(Event {
                    message: Some(NAME.to_owned()),
                    level: Level::Info,
                    extra,
                    ..Event::default()
                });
            }
        }
    }

    fn flush(&self) {
        let flushed = self.guard.as_ref().is_some_and(|client| client.flush(Some(Duration::from_secs(60))));
        if !flushed {
            eprintln!("Sentry did not flush");
        }
    }

    fn shutdown(&mut self, _budget: Duration) {
        self.guard.take(); // the drop waits for `shutdown_timeout`, set at the start
    }
}
