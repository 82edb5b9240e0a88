use std::io::Error;

use super::*;
use crate::failure::as_error::ErrorView;
use crate::failure::exception::{describe, describe_panic};
use crate::model::event::Severity;
use crate::payload::record::{Exception, Record};
use crate::process::stack::SHORT_WAIT;

/// How large the other fields of an exception's event may be, as the documentation of `max_event_bytes` says.
const FIXED: usize = 256;

fn size(exception: Exception) -> usize {
    let header = EventHeader { refused: u64::MAX, time: SystemTime::now(), severity: Severity::Critical };
    let mut json = Vec::new();
    let Record::OutOfLine(event) = Record::other(header, EventBody::Exception(exception)) else {
        panic!("an exception is out of line")
    };
    Encoder::new(SessionIndex::default()).write(&QueuedEvent::OutOfLine(event), &mut json).unwrap();
    serde_json::from_slice::<crate::model::event::Event>(&json).unwrap();
    json.len()
}

#[test]
fn an_exception_is_within_the_limit_as_json_with_any_texts() {
    fn view<'a>(error: &'a (dyn std::error::Error + 'static), type_name: Option<&'a str>) -> ErrorView<'a> {
        ErrorView { error, type_name, printer: None }
    }
    let texts = ["\0", "\u{1f}", "\"", "\\", "\n", "é", "𝄞", "\0é\"𝄞\n\\x", "\u{7f}", ""];
    for text in texts {
        let long = text.repeat(70_000);
        let source = || Error::other(long.clone());
        let error = anyhow::Error::new(source()).context(long.clone());
        for limit in [1, 9, 80, 1_000, 262_144] {
            let exceptions = [
                describe(view(error.as_ref(), Some(&long)), limit, SHORT_WAIT),
                describe(view(&source(), None), limit, SHORT_WAIT),
                describe_panic(&long, &long, None, limit),
            ];
            for size in exceptions.map(size) {
                assert!(size <= limit + FIXED, "{size} of {limit} for {text:?}");
            }
        }
    }
}

#[test]
fn times_are_written_as_in_the_typed_events() {
    let mut clock = Clock::default();
    for micros in
        [0, 1, u64::MAX / 50, 999_999, 1_000_000, 1_000_001, 1_795_450_643_000_012, 1_795_450_644_120_000, 5]
    {
        let time = UNIX_EPOCH + Duration::from_micros(micros) + Duration::from_nanos(999);
        let mut text = Vec::new();
        clock.write(time, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), Timestamp::from(time).to_string());
    }
}
