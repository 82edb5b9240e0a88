//! Who this process is to the backend.

use std::io;

use uuid::Uuid;

use crate::encode::Ids;
use crate::fork::Slot;

/// The `process_uuid`: one per process, shared by all its reporters.
pub(crate) fn uuid() -> io::Result<Uuid> {
    static UUID: Slot<Uuid> = Slot::new();
    match UUID.get() {
        Some(uuid) => Ok(*uuid),
        None => Ok(*UUID.fill(Ids::new().next()?)),
    }
}
