//! The caller's data, encoded on the caller's thread: a snapshot of exactly known size, so that limits are
//! checked at the door and the worker never runs the caller's code.

use serde::Serialize;

use crate::model::stats::RefusalReason;
use crate::payload::buffer::Buffer;
use crate::payload::json::Json;
use crate::process::catch_panic::catch_panic;
use crate::process::reentrancy;

/// Encodes `data` to a JSON object of at most `limit` bytes: an object goes as it is, nothing becomes `{}`, any
/// other value becomes `{"value": …}`. Its floats are still to be [expanded](crate::payload::json::expand). What is put `before`
/// it is in the same memory, which is the thread's.
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
