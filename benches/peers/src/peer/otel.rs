//! OpenTelemetry: the batch log processor on its own thread, and OTLP over HTTP by the blocking reqwest client, as the
//! documentation of `BatchLogProcessor` advises.
//!
//! By its documentation, applications log through a bridge, for example from `tracing`. The logger itself is faster, so
//! all ratios are to the logger. The bridge has a row of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLogger, SdkLoggerProvider};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Peer, QUEUE};
use crate::payload::{Fields, NAME, SHARD};

/// The SDK's default of `max_export_batch_size`.
pub(crate) const DEFAULT_BATCH: usize = 512;

#[derive(Clone, Copy)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// How a record is made.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// By the logger, which copies the borrowed string.
    Direct,
    /// By the logger, with only literals as strings: the lowest cost.
    Static,
    /// By `tracing::info!` and the bridge.
    Tracing,
}

pub(crate) struct Otel {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
    way: Way,
}

impl Otel {
    pub(crate) fn start(sink: SocketAddr, encoding: Encoding, batch: usize, way: Way) -> Result<Self> {
        let protocol = match encoding {
            Encoding::Protobuf => Protocol::HttpBinary,
            Encoding::Json => Protocol::HttpJson,
        };
        let exporter = LogExporter::builder()
            .with_http()
            .with_protocol(protocol)
            .with_endpoint(format!("http://{sink}/v1/logs"))
            .build()?;
        let limits = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(batch)
            .build();
        let provider = SdkLoggerProvider::builder()
            .with_resource(Resource::builder().with_service_name("session-0001").build())
            .with_log_processor(BatchLogProcessor::builder(exporter).with_batch_config(limits).build())
            .build();
        let logger = provider.logger("peers");
        if let Way::Tracing = way {
            tracing_subscriber::registry().with(OpenTelemetryTracingBridge::new(&provider)).init();
        }
        Ok(Self { provider, logger, way })
    }
}

impl Peer for Otel {
    fn log(&self, fields: Fields<'_>) {
        if let Way::Tracing = self.way {
            tracing::info!(
                name: "checkpoint.saved",
                step = fields.step,
                loss = fields.loss,
                shard = fields.shard
            );
            return;
        }
        let mut record = self.logger.create_log_record();
        record.set_event_name(NAME);
        record.set_severity_number(Severity::Info);
        record.add_attribute("step", fields.step);
        record.add_attribute("loss", fields.loss);
        if let Way::Static = self.way {
            record.add_attribute("shard", SHARD);
        } else {
            record.add_attribute("shard", fields.shard.to_owned());
        }
        self.logger.emit(record);
    }

    fn flush(&self) {
        if let Err(error) = self.provider.force_flush() {
            eprintln!("OpenTelemetry did not flush: {error}");
        }
    }

    fn shutdown(&mut self, budget: Duration) {
        // The drain table shows an error here: by its time and by the events at the sink.
        let _ = self.provider.shutdown_with_timeout(budget);
    }
}
