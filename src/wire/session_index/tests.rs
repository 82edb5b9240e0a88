use super::*;

#[test]
fn refused_events_use_numbers_and_no_number_is_used_twice() {
    let mut index = SessionIndex::from(0);
    assert_eq!([0, 0, 2, 2, 1, 5].map(|refused| index.next(refused)), [0, 1, 4, 5, 6, 10]);
}

#[test]
fn a_child_continues_the_numbers_of_the_session() {
    let mut child = SessionIndex::from(7);
    assert_eq!([0, 1].map(|refused| child.next(refused)), [7, 9]);
}
