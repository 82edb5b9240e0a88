use super::*;

#[test]
fn fractions_are_spread_from_0_to_1() {
    let fractions: Vec<_> = std::iter::repeat_with(random_fraction).take(1_000).collect();
    assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
    // Fails by chance once in 10^45 runs.
    let has = |range: std::ops::Range<f64>| fractions.iter().any(|fraction| range.contains(fraction));
    assert!(has(0.0..0.1) && has(0.9..1.0));
}
