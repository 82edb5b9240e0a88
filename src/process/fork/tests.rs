use std::sync::mpsc;

use super::*;

#[test]
fn a_thread_of_the_crate_is_inside_the_reentrancy_scope() {
    let (sender, receiver) = mpsc::channel();
    start_thread("tinker-test", move || sender.send(reentrancy::is_inside()).unwrap()).unwrap();
    assert!(receiver.recv().unwrap());
}
