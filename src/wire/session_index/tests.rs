use super::*;

#[test]
fn refused_events_use_their_numbers_up_and_no_number_is_given_twice() {
    let mut numbers = SessionIndex::from(0);
    assert_eq!([0, 0, 2, 2, 1, 5].map(|refused| numbers.next(refused)), [0, 1, 4, 5, 6, 10]);
}

#[test]
fn a_child_goes_on_from_where_the_session_was() {
    let mut child = SessionIndex::from(7);
    assert_eq!([0, 1].map(|refused| child.next(refused)), [7, 9]);
}
