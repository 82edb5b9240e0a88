//! Encodes the caller's data on the caller's thread: a snapshot whose exact size is known before the queue admits it.

use serde::Serialize;

use crate::model::stats::RefusalReason;
use crate::payload::buffer::Buffer;
use crate::payload::json::Json;
use crate::process::catch_panic::catch_panic;
use crate::process::reentrancy;

/// Encodes `data` as a JSON object of at most `limit` bytes: an object stays as it is, nothing (`()`, `None`) becomes
/// `{}`, any other value becomes `{"value": …}`. Its floats must still be [expanded](crate::payload::json::expand).
/// The buffer is the thread's own. `before` writes what precedes the data.
pub(crate) fn encode(
    before: impl FnOnce(&mut Buffer),
    data: &impl Serialize,
    limit: usize,
) -> Result<Box<Buffer>, RefusalReason> {
    let scope = reentrancy::enter().ok_or(RefusalReason::Reentrant)?;
    let mut buffer = Buffer::take();
    before(&mut buffer);
    let mut json = Json::after(buffer, limit);
    let written = catch_panic(|| json.write_object(data)).unwrap_or(Err(RefusalReason::InvalidData));
    let buffer = json.into_buffer();
    match written.and_then(|()| scope.end()) {
        Ok(()) => Ok(buffer),
        Err(reason) => {
            buffer.give_back();
            Err(reason)
        }
    }
}

#[cfg(test)]
mod tests;
