//! What a viewer is asked: the page, what the page needs, and what programs send.
//!
//! Everything of the page is below `/_viewer/`; every other path but `/` is a program's.

mod forward;
mod live;
mod outage;
mod page;
mod programs;
mod trust;
mod viewer;

pub use forward::Forward;
pub use viewer::Viewer;
