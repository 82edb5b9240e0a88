//! What the audit must know of a protocol: which events a request carries, and what an answer to it means. This is the
//! table of the contract, written once more, and not taken from the library.

use tinker_telemetry::Config;
use tinker_telemetry::event::Event;
use uuid::Uuid;

use crate::http::Request;
use crate::server::fault::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tinker,
    #[cfg(feature = "otlp")]
    Otlp,
}

/// An event as a request carries it.
#[derive(Clone, Debug)]
pub(crate) struct SentEvent {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) index: u64,
    /// The start or the end of the session.
    pub(crate) is_of_session: bool,
    /// All of it.
    pub(crate) content: String,
}

/// What an answer means for the events of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// All are accepted, but for so many.
    Accepted {
        rejected: u64,
    },
    Unauthorized,
    /// Too large for one request.
    TooLarge,
    /// None is accepted, perhaps because of one of them: they are sent again in halves.
    Suspicious,
    Rejected,
    /// They are sent again, as often as the settings allow.
    Open,
}

impl Protocol {
    pub(crate) fn config(self, base_url: String) -> Config {
        match self {
            Self::Tinker => Config::new("tml-truth").base_url(base_url),
            #[cfg(feature = "otlp")]
            Self::Otlp => otlp::config(base_url),
        }
    }

    /// Empty where the body is something else.
    pub(crate) fn events(self, request: &Request) -> Vec<SentEvent> {
        match self {
            Self::Tinker => request.events().iter().map(of_tinker).collect(),
            #[cfg(feature = "otlp")]
            Self::Otlp => otlp::events(&request.body),
        }
    }

    /// What the requests of one batch have in common, and no other.
    pub(crate) fn batch_key(self, request: &Request) -> Option<String> {
        match self {
            Self::Tinker => request.idempotency_key().map(str::to_owned),
            // The protocol has no key, so the events are.
            #[cfg(feature = "otlp")]
            Self::Otlp => {
                Some(otlp::events(&request.body).iter().map(|event| event.id.to_string()).collect())
            }
        }
    }

    pub(crate) fn meaning(self, fault: &Fault) -> Meaning {
        let Some((status, body)) = fault.complete_answer() else { return Meaning::Open };
        #[cfg(not(feature = "otlp"))]
        let _ = body; // it says nothing in Tinker's protocol
        match self {
            Self::Tinker => match status {
                200..=299 => Meaning::Accepted { rejected: 0 },
                _ if fault.has_header("x-should-retry: true") => Meaning::Open,
                408 | 409 | 429 | 500..=599 if !fault.has_header("x-should-retry: false") => Meaning::Open,
                401 | 403 => Meaning::Unauthorized,
                413 => Meaning::TooLarge,
                400 | 422 => Meaning::Suspicious,
                _ => Meaning::Rejected,
            },
            #[cfg(feature = "otlp")]
            Self::Otlp => match status {
                200..=299 => Meaning::Accepted { rejected: otlp::rejected(body) },
                401 | 403 => Meaning::Unauthorized,
                413 => Meaning::TooLarge,
                429 | 502 | 503 | 504 => Meaning::Open,
                _ => Meaning::Rejected,
            },
        }
    }
}

fn of_tinker(event: &Event) -> SentEvent {
    SentEvent {
        id: event.id(),
        name: event.name().to_owned(),
        index: event.session_index(),
        is_of_session: matches!(event, Event::SessionStart(_) | Event::SessionEnd(_)),
        content: format!("{event:?}"),
    }
}

#[cfg(feature = "otlp")]
pub(crate) mod otlp {
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
    };
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use prost::Message;
    use tinker_telemetry::Config;

    use super::SentEvent;

    pub(super) fn config(base_url: String) -> Config {
        let config = Config::otlp(base_url);
        #[cfg(feature = "gzip")]
        let config = config.gzip(false); // a plain body follows a 400, which `tests/it/otlp` plays
        config
    }

    pub(super) fn events(body: &[u8]) -> Vec<SentEvent> {
        let request = ExportLogsServiceRequest::decode(body).unwrap_or_default();
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records).filter_map(|record| event(&record)).collect()
    }

    fn event(record: &LogRecord) -> Option<SentEvent> {
        let attribute = |key: &str| {
            let attribute = record.attributes.iter().find(|attribute| attribute.key == key)?;
            attribute.value.as_ref()?.value.clone()
        };
        let Some(Value::StringValue(id)) = attribute("log.record.uid") else { return None };
        let Some(Value::IntValue(index)) = attribute("tinker.event.index") else { return None };
        Some(SentEvent {
            id: id.parse().ok()?,
            name: record.event_name.clone(),
            index: u64::try_from(index).ok()?,
            is_of_session: matches!(&*record.event_name, "session.start" | "session.end"),
            content: format!("{record:?}"),
        })
    }

    /// The body of an answer that rejects so many records.
    pub(crate) fn partial_success(rejected: u64) -> Vec<u8> {
        let rejected_log_records = rejected.try_into().unwrap_or(i64::MAX);
        let partial =
            ExportLogsPartialSuccess { rejected_log_records, error_message: "as scripted".to_owned() };
        ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    pub(super) fn rejected(body: &[u8]) -> u64 {
        let response = ExportLogsServiceResponse::decode(body).unwrap_or_default();
        response.partial_success.map_or(0, |partial| partial.rejected_log_records.try_into().unwrap_or(0))
    }
}
