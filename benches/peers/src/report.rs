//! The printed report: markdown tables of medians, with the range of the rounds beside them.

use std::fmt;

use crate::quantile::Spread;

impl Spread {
    /// `median (least–most)`, in units of `unit`, with this number of decimals.
    pub(crate) fn show(self, unit: f64, decimals: usize) -> String {
        let show = |value: f64| grouped(value / unit, decimals);
        format!("{} ({}–{})", show(self.median), show(self.least), show(self.most))
    }
}

/// A number with a space between its thousands.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push('\u{202f}'); // a narrow space that does not break
        }
        out.push(digit);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    fraction.map_or_else(|| format!("{sign}{out}"), |fraction| format!("{sign}{out}.{fraction}"))
}

/// How many of the sent events the sink counted.
pub(crate) fn arrived(sent: f64, received: f64) -> String {
    if (sent - received).abs() < 0.5 {
        "all".to_owned()
    } else {
        format!("{} of {}", grouped(received, 0), grouped(sent, 0))
    }
}

/// A markdown table under a heading, with a sentence about the meaning of its rows.
pub(crate) struct Table {
    title: String,
    about: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, about: impl Into<String>, head: &[&'static str]) -> Self {
        Self { title: title.into(), about: about.into(), head: head.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n\n{}\n", self.title, self.about)?;
        writeln!(f, "| {} |", self.head.join(" | "))?;
        // Names are aligned to the left, figures to the right.
        writeln!(f, "|---|{}", "--:|".repeat(self.head.len().saturating_sub(1)))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_is_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!(spread, Spread { median: 3.0, least: 1.0, most: 10.0 });
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(grouped(1_234_567.25, 1), "1\u{202f}234\u{202f}567.2");
        assert_eq!(grouped(-999.0, 0), "-999");
    }

    #[test]
    fn missing_events_are_counted() {
        assert_eq!(arrived(50.0, 50.0), "all");
        assert_eq!(arrived(50.0, 49.0), "49 of 50");
    }
}
