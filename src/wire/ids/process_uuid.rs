//! The id that this process has at the backend.

use std::io;

use uuid::Uuid;

use crate::process::fork::ProcessCell;
use crate::wire::ids::Ids;

/// The `process_uuid`: one for each process, shared by all its reporters. A forked child has a new one.
pub(crate) fn uuid() -> io::Result<Uuid> {
    static UUID: ProcessCell<Uuid> = ProcessCell::new();
    match UUID.get() {
        Some(uuid) => Ok(*uuid),
        None => Ok(*UUID.fill(Ids::new().next()?)),
    }
}
