use std::sync::mpsc;

use super::*;

#[test]
fn nothing_that_happens_on_a_thread_of_ours_is_reported() {
    let (said, heard) = mpsc::channel();
    start_thread("tinker-test", move || said.send(reentrancy::is_inside()).unwrap()).unwrap();
    assert!(heard.recv().unwrap());
}
