//! The collector's answer to a request.

use super::protobuf::fields::{partial_success, response};
use super::protobuf::{Content, Reader};

/// The collector took a part of the batch. It also says so with a warning and none rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    /// How many log records it rejected.
    pub(crate) rejected: u64,
    /// Why, for a developer. It is the collector's text, of any length.
    pub(crate) message: String,
}

/// The `partial_success` of an `ExportLogsServiceResponse`. `None` if there is none, or if the body is no such response: the
/// status alone counts then.
pub(crate) fn read_response(body: &[u8]) -> Option<PartialSuccess> {
    let mut found = None;
    let mut fields = Reader::new(body);
    for (field, content) in fields.by_ref() {
        if let (response::PARTIAL_SUCCESS, Content::Bytes(message)) = (field, content) {
            found = Some(partial_success(message)?);
        }
    }
    if fields.is_at_end() { found } else { None }
}

fn partial_success(message: &[u8]) -> Option<PartialSuccess> {
    let mut read = PartialSuccess::default();
    let mut fields = Reader::new(message);
    for (field, content) in fields.by_ref() {
        match (field, content) {
            // An int64: a negative number is none of log records.
            (partial_success::REJECTED_LOG_RECORDS, Content::Number(rejected)) => {
                read.rejected = if rejected > i64::MAX as u64 { 0 } else { rejected };
            }
            (partial_success::ERROR_MESSAGE, Content::Bytes(text)) => {
                read.message = String::from_utf8_lossy(text).into_owned();
            }
            _ => {}
        }
    }
    fields.is_at_end().then_some(read)
}
