//! Reports the session's end once.

use std::sync::Once;

use crate::process::catch_panic::catch_panic;

/// A call that comes while another one reports waits for it: a `stop` closes the queue only after the end is in it.
pub(crate) struct SessionEnd(Once);

impl SessionEnd {
    pub(crate) fn new() -> Self {
        Self(Once::new())
    }

    /// Calls `report`, the first time. Its panic stays in here, or it would make every later call panic too.
    pub(super) fn report_once(&self, report: impl FnOnce()) {
        self.0.call_once(|| _ = catch_panic(report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_the_report_ends_neither_this_call_nor_a_later_one() {
        let end = SessionEnd::new();
        end.report_once(|| panic!("on purpose"));
        end.report_once(|| unreachable!("it is reported once"));
    }
}
