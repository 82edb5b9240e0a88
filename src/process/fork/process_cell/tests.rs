use std::sync::Arc;
use std::thread;

use super::*;

/// A process that is not this one.
const PARENT: ForkGeneration = ForkGeneration(u64::MAX);

#[test]
fn a_slot_is_filled_once_and_drops_what_it_holds() {
    let (first, second) = (Arc::new(1), Arc::new(2));
    let slot = ProcessCell::new();
    assert_eq!(slot.get(), None);
    assert_eq!(**slot.fill(Arc::clone(&first)), 1);
    assert_eq!(**slot.fill(Arc::clone(&second)), 1);
    assert_eq!(slot.get(), Some(&first));
    assert_eq!(Arc::strong_count(&second), 1, "what came too late is gone");
    drop(slot);
    assert_eq!(Arc::strong_count(&first), 1);
}

#[test]
fn threads_that_fill_at_once_all_get_the_same() {
    for _ in 0..200 {
        let slot = ProcessCell::new();
        let slot = &slot;
        let got: Vec<u32> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|value| scope.spawn(move || *slot.fill(value))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(got.iter().all(|value| Some(value) == slot.get()), "{got:?}");
    }
}

#[test]
fn what_a_parent_made_is_neither_seen_nor_dropped() {
    let (parents, own) = (Arc::new("parent"), Arc::new("child"));
    let mut place = ProcessOwned::new(Arc::clone(&parents));
    place.process = PARENT;
    assert!(place.get().is_none());
    let make = |last: &Arc<_>| {
        assert_eq!(**last, "parent", "it may be looked at");
        Arc::clone(&own)
    };
    assert_eq!(**place.get_or_make(make), "child");
    assert_eq!(place.get(), Some(&own));
    drop(place);
    assert_eq!((Arc::strong_count(&parents), Arc::strong_count(&own)), (2, 1));
}
