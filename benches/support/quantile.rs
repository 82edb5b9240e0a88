//! Medians and percentiles, by one rule for every table: between two ranks, as much of the way as the share asks for, which
//! is what R and `NumPy` do unless told otherwise. The peers' package reads this file too.

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

/// What so many of a thousand values do not exceed. They are in ascending order, and at least one.
pub(crate) fn quantile<T: Copy + Into<f64>>(values: &[T], per_mille: usize) -> f64 {
    quantile_by_rank(values.len(), per_mille, |rank| values[rank].into())
}

/// The same of values that are not in a list: `nth` gives the one of a rank, the least of them at 0.
pub(crate) fn quantile_by_rank(count: usize, per_mille: usize, nth: impl Fn(usize) -> f64) -> f64 {
    let place = count.saturating_sub(1) * per_mille;
    let (rank, rest) = (place / 1_000, place % 1_000);
    let below = nth(rank);
    if rest == 0 { below } else { below + (nth(rank + 1) - below) * rest as f64 / 1_000.0 }
}

/// One figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` where there is no value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { least: *values.first()?, most: *values.last()?, median: quantile(&values, 500) })
    }
}
