use super::*;

#[test]
fn a_second_scope_is_refused_and_ends_nothing() {
    let scope = enter().unwrap();
    assert!(enter().is_none());
    assert!(enter().is_none() && is_inside());
    assert!(scope.end().is_ok());
    assert!(!is_inside());
}

#[test]
#[cfg(unix)]
fn a_scope_that_a_fork_ended_fails_at_its_end() {
    let scope = enter().unwrap();
    leave();
    assert_eq!(scope.end(), Err(RefusalReason::Reentrant));
    assert!(enter().is_some());
}
