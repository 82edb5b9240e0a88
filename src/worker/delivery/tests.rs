use super::*;

#[test]
fn chance_is_anywhere_from_0_to_1() {
    let chances: Vec<_> = std::iter::repeat_with(random_fraction).take(1_000).collect();
    assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
    // One in 10^45 runs has none in a tenth.
    assert!(chances.iter().any(|chance| *chance < 0.1) && chances.iter().any(|chance| *chance > 0.9));
}
