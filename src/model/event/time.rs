//! Times and durations as the wire writes them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// A moment in UTC, kept to the microsecond: `2026-11-23T16:17:23.832966Z`.
///
/// Moments that RFC 3339 cannot name (for this crate those before 1970 and after the year 9999) are moved to the nearest
/// one that it can: events of a machine whose clock is wrong are still delivered.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tinker_telemetry::event::Timestamp;
///
/// let timestamp = Timestamp::from(UNIX_EPOCH + Duration::from_micros(1_795_450_643_832_966));
/// assert_eq!(timestamp.to_string(), "2026-11-23T16:17:23.832966Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(SystemTime);

/// 9999-12-31T23:59:59.999999 since 1970: the last microsecond that RFC 3339 can name.
const LAST: Duration = Duration::new(253_402_300_799, 999_999_000);

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
        let micros = Duration::new(since.as_secs(), since.subsec_micros() * 1_000);
        Self(UNIX_EPOCH + micros)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_micros(self.0).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self::from).map_err(de::Error::custom)
    }
}

/// A [`Duration`] as the wire has it: `H:MM:SS.ffffff`, hours without bound, cut to microseconds.
#[derive(Clone, Copy)]
pub(crate) struct DurationText(pub(crate) Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hours}:{minutes:02}:{seconds:02}.{:06}", self.0.subsec_micros())
    }
}

/// Reads what [`DurationText`] writes. The fraction may be shorter than six digits, or missing. Python writes days apart
/// (`1 day, 1:00:05.000008`). It can also write a negative duration (`-1 day, 23:59:59`), after a change of its clock: that
/// one is read as zero.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let Some((days, time)) = text.split_once(", ") else { return parse_time(text) };
    let days = days.strip_suffix(" days").or_else(|| days.strip_suffix(" day"))?;
    let time = parse_time(time)?;
    match days.strip_prefix('-') {
        Some(days) => digits(days).map(|_| Duration::ZERO),
        None => Duration::from_secs(digits(days)?.checked_mul(24 * 3600)?).checked_add(time),
    }
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn parse_time(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || minutes.len() != 2 || seconds.len() != 2 || fraction.len() > 6 {
        return None;
    }
    let (minutes, seconds) = (digits(minutes)?, digits(seconds)?);
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let whole = digits(hours)?.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?;
    let micros = digits(&format!("{fraction:0<6}"))?;
    Duration::from_secs(whole).checked_add(Duration::from_micros(micros))
}

pub(super) mod duration_text {
    use super::{Deserialize, Deserializer, Duration, DurationText, Serializer, de, parse_duration};

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&DurationText(*duration))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).ok_or_else(|| de::Error::custom("a duration is written H:MM:SS.ffffff"))
    }
}
