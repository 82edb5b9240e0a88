//! Dates from seconds since 1970, by simple counting.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"]; // 1970 began on a Thursday

pub struct Moment {
    pub year: u64,
    month: usize,
    day: u64,
    weekday: &'static str,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Moment {
    pub fn at(seconds: u64) -> Self {
        let (days, clock) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970 + days / 366;
        while days_before(year + 1) <= days {
            year += 1;
        }
        let february = 28 + days_before(year + 1) - days_before(year) - 365;
        let mut day = days - days_before(year);
        let mut month = 0;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        Self {
            year,
            month,
            day: day + 1,
            weekday: WEEKDAYS[usize::try_from(days % 7).unwrap()],
            hour: clock / 3_600,
            minute: clock / 60 % 60,
            second: clock % 60,
        }
    }

    /// The text of RFC 3339, without fraction and zone.
    pub fn rfc3339(&self) -> String {
        format!("{:04}-{:02}-{:02}T{}", self.year, self.month + 1, self.day, self.clock())
    }

    /// The three date formats of HTTP (RFC 9110, 5.6.7).
    pub fn http(&self) -> [String; 3] {
        let (month, year, clock) = (MONTHS[self.month], self.year, self.clock());
        let (day, weekday, short) = (self.day, self.weekday, &self.weekday[..3]);
        [
            format!("{short}, {day:02} {month} {year:04} {clock} GMT"),
            format!("{weekday}, {day:02}-{month}-{:02} {clock} GMT", year % 100),
            format!("{short} {month} {day:2} {clock} {year:04}"),
        ]
    }

    fn clock(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

/// The days from 1970 to the first of January of the year.
fn days_before(year: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    365 * (year - 1970) + leap_days(year - 1) - leap_days(1969)
}
