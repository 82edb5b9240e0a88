//! Values of `tracing` as those of the bridges.

use std::error::Error;
use std::fmt;

use tracing_core::field::{Field, Visit};

use crate::bridge::forwarding::fields::{Number, Value};

/// Passes on values of `tracing` as [`Value`]s.
pub(super) struct FieldVisitor<'t> {
    take: &'t mut dyn FnMut(&'static str, Value<'_>),
    pub(super) has_error: bool,
}

impl<'t> FieldVisitor<'t> {
    pub(super) fn new(take: &'t mut dyn FnMut(&'static str, Value<'_>)) -> Self {
        Self { take, has_error: false }
    }
}

impl Visit for FieldVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.take)(field.name(), Value::Number(Number::F64(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.take)(field.name(), Value::Number(Number::I64(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.take)(field.name(), Value::Number(Number::U64(value)));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        (self.take)(field.name(), Value::Number(Number::I128(value)));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        (self.take)(field.name(), Value::Number(Number::U128(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.take)(field.name(), Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.take)(field.name(), Value::Str(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        (self.take)(field.name(), Value::Str(&String::from_utf8_lossy(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.has_error = true;
        (self.take)(field.name(), Value::Text(&value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.take)(field.name(), Value::Text(&format_args!("{value:?}")));
    }
}
