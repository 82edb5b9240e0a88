//! Medians and percentiles, by one rule for every table: linear interpolation between the two nearest ranks, the
//! default of R and `NumPy`. The package `peers` uses this file too.

#![expect(clippy::cast_precision_loss, reason = "figures for a table")]

/// The value that this many of a thousand values do not exceed. `values` is sorted and not empty.
pub(crate) fn quantile<T: Copy + Into<f64>>(values: &[T], per_mille: usize) -> f64 {
    quantile_by_rank(values.len(), per_mille, |rank| values[rank].into())
}

/// The same for values that are not in a list: `nth` returns the value of a rank. Rank 0 is the lowest value.
pub(crate) fn quantile_by_rank(count: usize, per_mille: usize, nth: impl Fn(usize) -> f64) -> f64 {
    let place = count.saturating_sub(1) * per_mille;
    let (rank, rest) = (place / 1_000, place % 1_000);
    let below = nth(rank);
    if rest == 0 { below } else { below + (nth(rank + 1) - below) * rest as f64 / 1_000.0 }
}

/// The spread of one figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` if there is no value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { least: *values.first()?, most: *values.last()?, median: quantile(&values, 500) })
    }
}
