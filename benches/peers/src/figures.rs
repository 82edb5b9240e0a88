//! The measurements of one child process: named numbers on its standard output.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};

/// Named numbers. Between processes, each is a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Reads the output of `Display`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let figure = |line: &str| {
            let (name, value) = line.split_once(' ').with_context(|| format!("no figure: {line:?}"))?;
            Ok((name.to_owned(), value.parse().with_context(|| format!("no number: {line:?}"))?))
        };
        text.lines().map(figure).collect::<Result<_>>().map(Self)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            writeln!(f, "{name} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_the_written_figures() {
        let figures = Figures::default().with("p50", 341.25).with("sent", 50_000.0);
        assert_eq!(Figures::parse(&figures.to_string()).unwrap(), figures);
    }
}
