//! tinker-telemetry, with its defaults.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tinker_telemetry::{Config, Reporter, Severity, json};

use super::{Peer, QUEUE};
use crate::payload::{Fields, NAME};

#[derive(Clone, Copy)]
pub(crate) enum Data {
    /// The caller's own struct with its borrowed fields.
    Struct,
    /// The same by `json!`, which borrows them too.
    Json,
    /// A tree that `serde_json::json!` makes for the call.
    Tree,
}

pub(crate) struct Ours {
    reporter: Reporter,
    data: Data,
}

impl Ours {
    pub(crate) fn start(sink: SocketAddr, data: Data) -> Result<Self> {
        let config = Config::new("tml-peers").base_url(format!("http://{sink}"));
        let reporter =
            Reporter::builder(config, "session-0001").enabled(true).max_queue_size(QUEUE).start()?;
        Ok(Self { reporter, data })
    }

    /// To an OpenTelemetry collector, in batches of this size. The data is the borrowed struct.
    pub(crate) fn start_otlp(sink: SocketAddr, batch: usize) -> Result<Self> {
        let config = Config::otlp(format!("http://{sink}"));
        let builder = Reporter::builder(config, "session-0001").enabled(true).max_queue_size(QUEUE);
        let reporter = builder.max_batch_size(batch).flush_threshold(batch).start()?;
        Ok(Self { reporter, data: Data::Struct })
    }

    pub(crate) fn disabled() -> Self {
        Self { reporter: Reporter::disabled(), data: Data::Struct }
    }
}

impl Peer for Ours {
    fn log(&self, fields: Fields<'_>) {
        match self.data {
            Data::Struct => self.reporter.log(NAME, fields, Severity::Info),
            Data::Json => log_json(&self.reporter, fields),
            Data::Tree => log_tree(&self.reporter, fields),
        };
    }

    fn flush(&self) {
        if !self.reporter.wait_until_drained(Duration::from_secs(60)) {
            eprintln!("tinker-telemetry did not drain: {}", self.reporter.stats());
        }
    }

    fn shutdown(&mut self, budget: Duration) {
        self.reporter.stop(budget);
    }
}

/// A function of its own, since a caller has either this or `log_tree`. In one function both would pay for the large
/// stack frame of the tree.
#[inline(never)]
fn log_json(reporter: &Reporter, fields: Fields<'_>) -> bool {
    let data = json!({"step": fields.step, "loss": fields.loss, "shard": fields.shard});
    reporter.log(NAME, data, Severity::Info)
}

#[inline(never)]
fn log_tree(reporter: &Reporter, fields: Fields<'_>) -> bool {
    let data = serde_json::json!({"step": fields.step, "loss": fields.loss, "shard": fields.shard});
    reporter.log(NAME, data, Severity::Info)
}
