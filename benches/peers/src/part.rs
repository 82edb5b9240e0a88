//! The parts of the report: each runs its rounds and makes its tables.

pub(crate) mod call;
pub(crate) mod drain;
pub(crate) mod footprint;
pub(crate) mod sustained;
