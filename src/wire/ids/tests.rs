use std::collections::HashSet;

use super::*;

#[test]
fn ids_are_of_version_4_and_never_the_same() {
    let mut ids = Ids::new();
    let made: HashSet<Uuid> = (0..1_000).map(|_| ids.next().unwrap()).collect();
    assert_eq!(made.len(), 1_000);
    assert!(made.iter().all(|id| id.get_version_num() == 4));
}
