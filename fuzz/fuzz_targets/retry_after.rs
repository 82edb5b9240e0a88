//! The headers that request a wait. Any text gives a wait within our limit, or none. A plain number or a date gives
//! exactly its wait.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tinker_telemetry::internals::retry_after;
use tinker_telemetry_fuzz::calendar::Moment;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    now: (u32, u32),
    ms: Option<Header<'a>>,
    after: Option<Header<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Header<'a> {
    Whole(u32),
    Decimal(u16, u32),
    Date { from_now: i8, form: u8 },
    Raw(&'a str),
}

impl Header<'_> {
    fn text(&self, now: u64) -> String {
        match *self {
            Self::Whole(number) => number.to_string(),
            Self::Decimal(whole, fraction) => format!("{whole}.{fraction}"),
            Self::Date { from_now, form } => {
                let moment = Moment::at(now.saturating_add_signed(from_now.into()));
                // The second form has two digits for the year, and each reader interprets them differently.
                let forms: &[usize] = if moment.year < 2070 { &[0, 1, 2] } else { &[0, 2] };
                moment.http()[forms[usize::from(form) % forms.len()]].clone()
            }
            Self::Raw(text) => text.to_owned(),
        }
    }

    /// The moment of a date, from 1970. `None` for another header.
    fn date(&self, now: u64) -> Option<Duration> {
        let Self::Date { from_now, .. } = self else { return None };
        Some(Duration::from_secs(now.saturating_add_signed((*from_now).into())))
    }
}

const LONGEST: u128 = 60_000_000_000;

/// The nanoseconds of a plain number. A unit has `10^digits` nanoseconds. A plain number has digits, and optionally a
/// point and at most `digits` more.
fn plain(text: &str, digits: usize) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > digits || whole.len() > 20 {
        return None;
    }
    let fraction: u128 = format!("{fraction:0<digits$}").parse().ok()?;
    Some(whole.parse::<u128>().ok()? * 10_u128.pow(u32::try_from(digits).ok()?) + fraction)
}

fn assert_is(wait: Option<Duration>, nanos: u128, text: &str) {
    let read = wait.map_or(0, |wait| wait.as_nanos());
    let expected = nanos.min(LONGEST);
    // A fraction is read as a binary number, so its last digit may differ by one. A whole number is exact.
    let slack = u128::from(text.contains('.'));
    assert!(read.abs_diff(expected) <= slack, "{text:?} was read as {wait:?}");
}

fuzz_target!(|input: Input<'_>| {
    let (seconds, nanos) = (u64::from(input.now.0), input.now.1 % 1_000_000_000);
    let now = UNIX_EPOCH + Duration::new(seconds, nanos);
    let text = |header: &Option<Header<'_>>| header.as_ref().map(|header| header.text(seconds));
    let (ms, after) = (text(&input.ms), text(&input.after));

    let wait = retry_after(ms.as_deref(), after.as_deref(), now);
    assert!(wait.is_none_or(|wait| (1..=LONGEST).contains(&wait.as_nanos())), "{wait:?}");

    // Both headers give the wait of one alone. That in milliseconds takes precedence.
    let by_ms = retry_after(ms.as_deref(), None, now);
    let by_after = retry_after(None, after.as_deref(), now);
    assert_eq!(wait, by_ms.or(by_after));
    assert_eq!(retry_after(None, None, now), None);

    if let Some((text, nanos)) = ms.as_ref().and_then(|text| Some((text, plain(text, 6)?))) {
        assert_is(by_ms, nanos, text);
    }
    if let Some((text, nanos)) = after.as_ref().and_then(|text| Some((text, plain(text, 9)?))) {
        assert_is(by_after, nanos, text);
        assert_eq!(retry_after(None, Some(&format!(" \t{text} ")), now), by_after);
    }
    if let Some(at) = input.after.as_ref().and_then(|header| header.date(seconds)) {
        let left = at.checked_sub(Duration::new(seconds, nanos)).unwrap_or_default();
        assert_is(by_after, left.as_nanos(), after.as_deref().unwrap_or_default());
    }
});
