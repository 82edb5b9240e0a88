use std::sync::Arc;
use std::thread;

use super::*;

/// A process that is not this one.
const PARENT: ForkGeneration = ForkGeneration(u64::MAX);

#[test]
fn a_cell_is_filled_once_and_drops_its_value() {
    let (first, second) = (Arc::new(1), Arc::new(2));
    let cell = ProcessCell::new();
    assert_eq!(cell.get(), None);
    assert_eq!(**cell.fill(Arc::clone(&first)), 1);
    assert_eq!(**cell.fill(Arc::clone(&second)), 1);
    assert_eq!(cell.get(), Some(&first));
    assert_eq!(Arc::strong_count(&second), 1, "the second value is dropped");
    drop(cell);
    assert_eq!(Arc::strong_count(&first), 1);
}

#[test]
fn threads_that_fill_a_cell_at_the_same_time_all_get_the_same_value() {
    for _ in 0..200 {
        let cell = ProcessCell::new();
        let cell = &cell;
        let got: Vec<u32> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|value| scope.spawn(move || *cell.fill(value))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(got.iter().all(|value| Some(value) == cell.get()), "{got:?}");
    }
}

#[test]
fn a_child_neither_sees_nor_drops_its_parents_value() {
    let (parents, childs) = (Arc::new("parent"), Arc::new("child"));
    let mut owned = ProcessOwned::new(Arc::clone(&parents));
    owned.process = PARENT;
    assert!(owned.get().is_none());
    let make = |last: &Arc<_>| {
        assert_eq!(**last, "parent", "a child's value is made from its parent's");
        Arc::clone(&childs)
    };
    assert_eq!(**owned.get_or_make(make), "child");
    assert_eq!(owned.get(), Some(&childs));
    drop(owned);
    assert_eq!((Arc::strong_count(&parents), Arc::strong_count(&childs)), (2, 1));
}
