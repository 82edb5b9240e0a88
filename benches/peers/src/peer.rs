//! Who is measured: one file per library, one face for the bench.

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

/// How many events every queue may hold: the same for all, and more than any measurement leaves unsent.
pub(crate) const QUEUE: usize = 10_000;

/// A telemetry client as a program would hold it.
pub(crate) trait Peer: Send + Sync {
    /// Log one event by the library's public interface. This is what is timed.
    fn log(&self, fields: Fields<'_>);

    /// Wait until everything logged so far has been sent and answered.
    fn flush(&self);

    /// The last call of a program, as the library's documentation has it, with `budget` where it takes one.
    /// It is called once, and nothing is logged after it.
    fn shutdown(&mut self, budget: Duration);

    /// Events that a peer without a network wrote, where there is no sink to ask.
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
    OursDisabled,
}

impl Contender {
    pub(crate) const ALL: [Self; 14] = [
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
        Self::OursDisabled,
    ];

    /// What all ratios are to.
    pub(crate) const REFERENCE: Self = Self::OtelProto;

    /// The word for it on the command line.
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
            Self::OursDisabled => "ours-disabled",
        }
    }

    /// The name that the tables show.
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

    /// Whether its events go to a sink over HTTP; the others write a file, or nothing.
    pub(crate) fn has_network(self) -> bool {
        !matches!(self, Self::AppenderText | Self::AppenderJson | Self::OursDisabled)
    }

    /// A client of this kind, reporting to `sink`. At most one per process: several of them are global.
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
            Self::OursDisabled => Box::new(Ours::disabled()),
        })
    }
}
