//! Who this process is to the backend.

use std::io;
use std::sync::OnceLock;

use uuid::Uuid;

use crate::encode::Ids;

/// The `process_uuid`: one per process, shared by all its reporters.
pub(crate) fn uuid() -> io::Result<Uuid> {
    static UUID: OnceLock<Uuid> = OnceLock::new();
    if let Some(uuid) = UUID.get() {
        return Ok(*uuid);
    }
    let fresh = Ids::new().next()?;
    Ok(*UUID.get_or_init(|| fresh))
}
