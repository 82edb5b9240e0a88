//! The clients that are measured: one file per library, one trait for the bench.

mod appender;
mod nothing;
mod otel;
mod ours;
mod posthog;
mod sentry;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::payload::Fields;

pub(crate) use nothing::Nothing;

/// The size of every queue. It is the same for all clients, and larger than the unsent events of any measurement.
pub(crate) const QUEUE: usize = 10_000;

/// A telemetry client as in a program.
pub(crate) trait Peer: Send + Sync {
    /// Logs one event with the library's public interface. The bench times this call.
    fn log(&self, fields: Fields<'_>);

    /// Waits until all events so far have been sent and answered.
    fn flush(&self);

    /// The last call of a program by the library's documentation, with `budget` where it takes one. The bench calls it
    /// once and logs nothing after it.
    fn shutdown(&mut self, budget: Duration);

    /// The number of events that a peer without a network has written. A peer with a network has a sink instead.
    fn written(&self) -> Option<u64> {
        None
    }
}

/// One row of a table: a library in one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contender {
    OtelProto,
    OtelProtoStatic,
    OtelTracing,
    OtelJson,
    OtelJson100,
    SentryLogs,
    SentryEvents,
    PostHog,
    AppenderText,
    AppenderJson,
    OursStruct,
    OursJson,
    OursTree,
    OursOtlp,
    OursOtlp512,
    OursDisabled,
}

impl Contender {
    pub(crate) const ALL: [Self; 16] = [
        Self::OtelProto,
        Self::OtelProtoStatic,
        Self::OtelTracing,
        Self::OtelJson,
        Self::OtelJson100,
        Self::SentryLogs,
        Self::SentryEvents,
        Self::PostHog,
        Self::AppenderText,
        Self::AppenderJson,
        Self::OursStruct,
        Self::OursJson,
        Self::OursTree,
        Self::OursOtlp,
        Self::OursOtlp512,
        Self::OursDisabled,
    ];

    /// All ratios are to this contender.
    pub(crate) const REFERENCE: Self = Self::OtelProto;

    /// The name on the command line.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::OtelProto => "otel-proto",
            Self::OtelProtoStatic => "otel-proto-static",
            Self::OtelTracing => "otel-tracing",
            Self::OtelJson => "otel-json",
            Self::OtelJson100 => "otel-json-100",
            Self::SentryLogs => "sentry-logs",
            Self::SentryEvents => "sentry-events",
            Self::PostHog => "posthog",
            Self::AppenderText => "appender-text",
            Self::AppenderJson => "appender-json",
            Self::OursStruct => "ours-struct",
            Self::OursJson => "ours-json",
            Self::OursTree => "ours-tree",
            Self::OursOtlp => "ours-otlp",
            Self::OursOtlp512 => "ours-otlp-512",
            Self::OursDisabled => "ours-disabled",
        }
    }

    /// The name in the tables.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::OtelProto => "OpenTelemetry, protobuf",
            Self::OtelProtoStatic => "OpenTelemetry, protobuf, literals only",
            Self::OtelTracing => "OpenTelemetry, protobuf, by `tracing`",
            Self::OtelJson => "OpenTelemetry, JSON",
            Self::OtelJson100 => "OpenTelemetry, JSON, batches of 100",
            Self::SentryLogs => "Sentry logs",
            Self::SentryEvents => "Sentry events",
            Self::PostHog => "PostHog",
            Self::AppenderText => "tracing-appender, text to a file",
            Self::AppenderJson => "tracing-appender, JSON to a file",
            Self::OursStruct => "**tinker-telemetry**, borrowed struct",
            Self::OursJson => "**tinker-telemetry**, its `json!`",
            Self::OursTree => "**tinker-telemetry**, `serde_json::json!`",
            Self::OursOtlp => "**tinker-telemetry**, OTLP",
            Self::OursOtlp512 => "**tinker-telemetry**, OTLP, batches of 512",
            Self::OursDisabled => "**tinker-telemetry**, switched off",
        }
    }

    pub(crate) fn parse(id: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::id).join(", ");
        Self::ALL
            .into_iter()
            .find(|it| it.id() == id)
            .with_context(|| format!("no contender {id:?}; there are {}", known()))
    }

    /// Whether its events go to a sink over HTTP. The others write a file or nothing.
    pub(crate) fn has_network(self) -> bool {
        !matches!(self, Self::AppenderText | Self::AppenderJson | Self::OursDisabled)
    }

    /// Starts a client that reports to `sink`. Only one per process, since several kinds are global.
    pub(crate) fn start(self, sink: SocketAddr, budget: Duration) -> Result<Box<dyn Peer>> {
        use appender::{Appender, Format};
        use otel::{DEFAULT_BATCH, Encoding, Otel, Way};
        use ours::{Data, Ours};
        use sentry::{Kind, Sentry};

        Ok(match self {
            Self::OtelProto => Box::new(Otel::start(sink, Encoding::Protobuf, DEFAULT_BATCH, Way::Direct)?),
            Self::OtelProtoStatic => {
                Box::new(Otel::start(sink, Encoding::Protobuf, DEFAULT_BATCH, Way::Static)?)
            }
            Self::OtelTracing => {
                Box::new(Otel::start(sink, Encoding::Protobuf, DEFAULT_BATCH, Way::Tracing)?)
            }
            Self::OtelJson => Box::new(Otel::start(sink, Encoding::Json, DEFAULT_BATCH, Way::Direct)?),
            Self::OtelJson100 => Box::new(Otel::start(sink, Encoding::Json, 100, Way::Direct)?),
            Self::SentryLogs => Box::new(Sentry::start(sink, Kind::Logs, budget)),
            Self::SentryEvents => Box::new(Sentry::start(sink, Kind::Events, budget)),
            Self::PostHog => Box::new(posthog::PostHog::start(sink, budget)?),
            Self::AppenderText => Box::new(Appender::start(Format::Text)?),
            Self::AppenderJson => Box::new(Appender::start(Format::Json)?),
            Self::OursStruct => Box::new(Ours::start(sink, Data::Struct)?),
            Self::OursJson => Box::new(Ours::start(sink, Data::Json)?),
            Self::OursTree => Box::new(Ours::start(sink, Data::Tree)?),
            Self::OursOtlp => Box::new(Ours::start_otlp(sink, 100)?),
            Self::OursOtlp512 => Box::new(Ours::start_otlp(sink, DEFAULT_BATCH)?),
            Self::OursDisabled => Box::new(Ours::disabled()),
        })
    }
}
