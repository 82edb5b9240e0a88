use super::*;

#[test]
fn a_scope_that_is_not_given_ends_no_other() {
    let scope = enter().unwrap();
    assert!(enter().is_none());
    assert!(enter().is_none() && is_inside());
    assert!(scope.end().is_ok());
    assert!(!is_inside());
}

#[test]
#[cfg(unix)]
fn a_child_forked_inside_a_scope_is_told_when_it_ends() {
    let scope = enter().unwrap();
    leave();
    assert_eq!(scope.end(), Err(RefusalReason::Reentrant));
    assert!(enter().is_some());
}
