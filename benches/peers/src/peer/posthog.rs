//! The blocking client of `posthog-rs`. Its `capture` only queues an event. A thread of the client makes and sends the
//! batches.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use posthog_rs::{Client, ClientOptionsBuilder, Event};

use super::{Peer, QUEUE};
use crate::payload::{Fields, NAME};

pub(crate) struct PostHog {
    client: Client,
}

impl PostHog {
    pub(crate) fn start(sink: SocketAddr, budget: Duration) -> Result<Self> {
        let options = ClientOptionsBuilder::default()
            .api_key("phc_peers".to_owned())
            .host(format!("http://{sink}"))
            .max_queue_size(QUEUE)
            .shutdown_timeout_ms(budget.as_millis() as u64)
            .build()?;
        Ok(Self { client: posthog_rs::client(options) })
    }
}

impl Peer for PostHog {
    fn log(&self, fields: Fields<'_>) {
        let mut event = Event::new(NAME, "session-0001");
        // Numbers and strings always serialise.
        let _ = event.insert_prop("step", fields.step);
        let _ = event.insert_prop("loss", fields.loss);
        let _ = event.insert_prop("shard", fields.shard);
        self.client.capture(event);
    }

    fn flush(&self) {
        self.client.flush();
    }

    fn shutdown(&mut self, _budget: Duration) {
        self.client.shutdown(); // bounded by `shutdown_timeout_ms`, set at the start
    }
}
