use std::panic::panic_any;

use super::*;

#[test]
fn nothing_of_a_panic_comes_out() {
    struct PanicsAgain;
    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("in the payload's destructor, as the test wants it");
        }
    }
    assert_eq!(catch_panic(|| 1), Some(1));
    assert_eq!(catch_panic(|| panic_any(PanicsAgain)), None::<()>);
}
