//! The models that the targets compare the crate with. They share no code with it.

pub mod calendar;
pub mod document;
pub mod otlp;
pub mod value;
