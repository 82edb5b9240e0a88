//! The spans around an event or a span, from the innermost to the outermost.

use tracing_core::Subscriber;
use tracing_subscriber::registry::{LookupSpan, Scope, SpanRef};

use super::span::SpanState;
use crate::bridge::forwarding::fields::{Fields, Value};

/// How many enclosing spans of an event are kept at most. Deeper nesting is mostly recursion, of which the innermost
/// spans say the most.
const MAX_SPANS: usize = 16;

pub(super) struct EnclosingSpans<'s, S: for<'lookup> LookupSpan<'lookup>> {
    spans: Vec<SpanRef<'s, S>>,
}

impl<'s, S> EnclosingSpans<'s, S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    pub(super) fn new(scope: Option<Scope<'s, S>>) -> Self {
        Self { spans: scope.into_iter().flatten().take(MAX_SPANS).collect() }
    }

    /// The number of the innermost span that has one, and that of its parent.
    pub(super) fn ids(&self) -> (Option<u64>, Option<u64>) {
        let ids = self.spans.iter().find_map(|span| {
            let extensions = span.extensions();
            extensions.get::<SpanState>().map(|state| (state.id, state.parent_id))
        });
        ids.map_or((None, None), |(id, parent_id)| (Some(id), parent_id))
    }

    /// From the outermost to the innermost.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.spans.iter().rev().map(SpanRef::name).collect()
    }
}

/// Fields, with those of the enclosing spans beside them.
pub(super) struct Within<'f, 's, F, S: for<'lookup> LookupSpan<'lookup>> {
    pub(super) fields: F,
    pub(super) enclosing: &'f EnclosingSpans<'s, S>,
}

impl<F, S> Fields for Within<'_, '_, F, S>
where
    F: Fields,
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        self.fields.each(take);
    }

    fn has_context(&self) -> bool {
        !self.enclosing.spans.is_empty()
    }

    fn each_of_context(&self, take: &mut dyn FnMut(&'static str, Value<'_>) -> bool) {
        for span in &self.enclosing.spans {
            // No code of the program runs under this lock: the values are copies.
            let extensions = span.extensions();
            let Some(state) = extensions.get::<SpanState>() else { continue };
            if !state.fields.all(take) {
                return;
            }
        }
    }
}
