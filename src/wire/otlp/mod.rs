//! Stands in for the encoder of OTLP's messages until it is here.

/// The attributes of the resource.
#[derive(Debug)]
pub(crate) struct Resource(Vec<(String, String)>);

impl Resource {
    pub(crate) fn new(attributes: Vec<(String, String)>, _process_uuid: &str) -> Self {
        Self(attributes)
    }
}

/// The batch as the message `ExportLogsServiceRequest`.
pub(crate) fn transcode(batch_json: &[u8], session_id: &str, resource: &Resource) -> Vec<u8> {
    [session_id.as_bytes(), format!("{:?}", resource.0).as_bytes(), batch_json].concat()
}

/// What a server says of a request that it accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

/// Reads the message `ExportLogsServiceResponse`.
pub(crate) fn read_response(body: &[u8]) -> Option<PartialSuccess> {
    let [0x0a, length, partial @ ..] = body else { return None };
    let mut partial = partial.get(..usize::from(*length))?;
    let mut found = PartialSuccess { rejected: 0, message: String::new() };
    while let [tag, value, rest @ ..] = partial {
        if *tag == 0x08 {
            found.rejected = u64::from(*value);
            partial = rest;
        } else {
            found.message = String::from_utf8(rest.get(..usize::from(*value))?.to_vec()).ok()?;
            partial = &rest[usize::from(*value)..];
        }
    }
    Some(found)
}
