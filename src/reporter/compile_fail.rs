//! What does not compile, each with the error that a user meets. The messages themselves are in the traits.
//!
//! A text is no error:
//!
//! ```compile_fail,E0277
//! use tinker_telemetry::{Reporter, Severity};
//! Reporter::disabled().log_exception("failed", Severity::Error);
//! ```
//!
//! Captured work that returns a plain value:
//!
//! ```compile_fail,E0277
//! tinker_telemetry::Reporter::disabled().capture(|| 42);
//! ```
//!
//! Captured work that only panics, and so returns `!`:
//!
//! ```compile_fail,E0277
//! tinker_telemetry::Reporter::disabled().capture(|| panic!("never returns"));
//! ```
//!
//! A type that carries no reporter:
//!
//! ```compile_fail,E0277
//! fn fetch(telemetry: impl tinker_telemetry::TelemetryProvider) {}
//! fetch("no client");
//! ```
//!
//! A severity that is a text:
//!
//! ```compile_fail,E0308
//! tinker_telemetry::Reporter::disabled().log("step", (), "INFO");
//! ```
//!
//! Data that are not `Serialize`:
//!
//! ```compile_fail,E0277
//! struct Step;
//! tinker_telemetry::Reporter::disabled().log("step", Step, tinker_telemetry::Severity::Info);
//! ```
//!
//! Traits that no other crate can implement:
//!
//! ```compile_fail,E0277
//! struct Mine;
//! impl tinker_telemetry::AsError<()> for Mine {
//!     fn as_error(&self) -> &(dyn std::error::Error + 'static) {
//!         unimplemented!()
//!     }
//! }
//! ```
//!
//! ```compile_fail,E0277
//! struct Mine;
//! impl tinker_telemetry::Outcome<()> for Mine {
//!     fn error(&self) -> Option<tinker_telemetry::CapturedError<'_>> {
//!         None
//!     }
//! }
//! ```
//!
//! A builder or a reporter that is thrown away is a warning, and an error where warnings are:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! tinker_telemetry::Reporter::sessionless_builder(tinker_telemetry::Config::new("tml-example"));
//! ```
