//! Random ids of events, requests and sessions, and the one of this process.

pub(crate) mod process_uuid;

use std::io;

use uuid::Uuid;

/// Random ids. One system call fetches those of a whole batch: one for each event would be most of the event's cost.
pub(crate) struct Ids {
    pool: [u8; Self::POOL],
    used: usize,
}

impl Ids {
    const ID: usize = size_of::<uuid::Bytes>();
    /// Enough for the events of a batch and its key.
    const POOL: usize = 101 * Self::ID;

    pub(crate) fn new() -> Self {
        Self { pool: [0; Self::POOL], used: Self::POOL }
    }

    pub(crate) fn next(&mut self) -> io::Result<Uuid> {
        if self.used == Self::POOL {
            getrandom::fill(&mut self.pool).map_err(io::Error::from)?;
            self.used = 0;
        }
        let mut bytes = uuid::Bytes::default();
        bytes.copy_from_slice(&self.pool[self.used..self.used + Self::ID]);
        self.used += Self::ID;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests;
