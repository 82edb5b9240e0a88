use std::panic::panic_any;

use super::*;

#[test]
fn a_panic_is_caught_and_so_is_one_of_its_payload() {
    struct PanicsAgain;
    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("in the destructor of a payload, on purpose");
        }
    }
    assert_eq!(catch_panic(|| 1), Some(1));
    assert_eq!(catch_panic(|| panic_any(PanicsAgain)), None::<()>);
}
