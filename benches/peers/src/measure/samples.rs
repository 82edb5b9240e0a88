//! Times of single calls, and their statistics.

use super::Overhead;
use crate::figures::Figures;
use crate::quantile;

/// Nanoseconds, in ascending order.
pub(super) struct Samples(Vec<u32>);

impl Samples {
    pub(super) fn new(mut nanoseconds: Vec<u32>) -> Self {
        nanoseconds.sort_unstable();
        Self(nanoseconds)
    }

    /// The value that this many of a thousand do not exceed.
    pub(super) fn quantile(&self, per_mille: usize) -> f64 {
        quantile::quantile(&self.0, per_mille)
    }

    fn mean(&self) -> f64 {
        self.0.iter().map(|&it| f64::from(it)).sum::<f64>() / self.0.len() as f64
    }

    /// Median, 99th percentile and mean, each less the cost of the timing.
    pub(super) fn figures(&self, Overhead { timed: timer, .. }: Overhead) -> Figures {
        Figures::default()
            .with("p50", self.quantile(500) - timer)
            .with("p99", self.quantile(990) - timer)
            .with("mean", self.mean() - timer)
            .with("timer", timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_the_timer_is_subtracted_from_the_figures() {
        let figures = Samples::new((0..=100).rev().collect()).figures(Overhead { timed: 10.0, looped: 2.0 });
        let get = |name| figures.get(name).unwrap();
        assert!((get("p50") - 40.0).abs() < 1e-9);
        assert!((get("p99") - 89.0).abs() < 1e-9);
        assert!((get("mean") - 40.0).abs() < 1e-9);
    }
}
