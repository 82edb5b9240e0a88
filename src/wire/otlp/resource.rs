//! Which process the events are from.

use std::collections::BTreeMap;

use super::protobuf::{Writer, fields};
use super::{LIBRARY, SESSION_ID, VERSION, value};

/// The attributes of this process, encoded. They are the same in every request of a reporter.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    encoded: Vec<u8>,
}

impl Resource {
    /// Adds what is not among the attributes: `service.name`, which the resource conventions require, with the default that
    /// they give, `service.instance.id`, `os.type`, and `telemetry.sdk.*`
    /// (<https://opentelemetry.io/docs/specs/semconv/resource/>). Of several values of one key the last counts.
    pub(crate) fn new(attributes: Vec<(String, String)>, process_uuid: &str) -> Self {
        let mut all = BTreeMap::from(
            [
                ("service.name", unknown_service()),
                ("service.instance.id", process_uuid.to_owned()),
                ("os.type", os_type().to_owned()),
                ("telemetry.sdk.name", LIBRARY.to_owned()),
                ("telemetry.sdk.language", "rust".to_owned()),
                ("telemetry.sdk.version", VERSION.to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        all.extend(attributes);
        all.remove(SESSION_ID); // the reporter knows it
        let mut out = Writer::default();
        for (key, text) in &all {
            value::text_attribute(fields::resource::ATTRIBUTES, key, text, &mut out);
        }
        Self { encoded: out.into_bytes() }
    }

    /// The fields of a `Resource` message.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

fn unknown_service() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
    name.map_or_else(|| "unknown_service".to_owned(), |name| format!("unknown_service:{name}"))
}

/// The operating system as the conventions name it.
fn os_type() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}
