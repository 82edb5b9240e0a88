//! What the targets hold the crate to: readings of their own, which share no code with it.

pub mod calendar;
pub mod document;
pub mod value;
