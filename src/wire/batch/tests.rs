use super::*;

fn text(batch: &Batch) -> &str {
    std::str::from_utf8(batch.json()).unwrap()
}

#[test]
fn the_event_that_fills_a_batch_returns_it() {
    let mut batcher = Batcher::new(2, 100);
    assert!(batcher.push(b"{}", 1).is_none() && !batcher.is_empty());
    let full = batcher.push(b"[]", 2).unwrap();
    assert_eq!(text(&full), "{},[]");
    assert_eq!(full.load(), Load { events: 2, bytes: 3 });
    assert!(batcher.is_empty() && batcher.take().is_none());
}

#[test]
fn an_event_that_does_not_fit_opens_the_next_batch() {
    let mut batcher = Batcher::new(10, 5);
    assert!(batcher.push(b"12", 1).is_none());
    assert!(batcher.push(b"34", 1).is_none(), "2 + comma + 2 fit in 5");
    assert_eq!(text(&batcher.push(b"5", 1).unwrap()), "12,34");
    assert_eq!(text(&batcher.push(b"123456789", 1).unwrap()), "5");
    assert_eq!(text(&batcher.take().unwrap()), "123456789");
}

#[test]
fn halves_have_all_events_in_order_down_to_one() {
    let mut batcher = Batcher::new(5, 100);
    for event in [b"1", b"2", b"3", b"4"] {
        assert!(batcher.push(event, 10).is_none());
    }
    let five = batcher.push(b"5", 10).unwrap();
    let [two, three] = five.split().unwrap();
    assert_eq!((text(&two), text(&three)), ("1,2", "3,4,5"));
    assert_eq!((two.load().bytes, three.load().bytes), (20, 30));
    let [one, two] = three.split().unwrap();
    assert_eq!((text(&one), text(&two)), ("3", "4,5"));
    assert!(one.split().is_none());
}

#[test]
fn after_a_size_that_was_too_large_batches_have_half_of_it() {
    let mut batcher = Batcher::new(10, 100);
    batcher.learn(Some(8));
    assert!(batcher.push(b"12", 1).is_none());
    assert!(batcher.push(b"34", 1).is_some(), "5 bytes are more than 4");
    batcher.learn(Some(80));
    assert_eq!(batcher.max_bytes, 4, "a larger size that is too large changes nothing");
}

#[test]
fn after_a_hundred_batches_without_a_split_the_limit_doubles_up_to_the_setting() {
    let mut batcher = Batcher::new(10, 100);
    let mut after = |batches, too_large| {
        (0..batches).for_each(|_| batcher.learn(None));
        batcher.learn(too_large);
        batcher.max_bytes
    };
    assert_eq!(after(1_000, None), 100);
    assert_eq!(after(0, Some(60)), 30);
    assert_eq!(after(98, None), 30);
    assert_eq!(after(0, None), 60);
    assert_eq!(after(99, Some(60)), 30, "the limit is 30 again");
    assert_eq!(after(98, Some(70)), 30, "the count begins again");
    assert_eq!(after(98, None), 30);
    assert_eq!(after(0, None), 60);
    assert_eq!(after(99, None), 100);
}
