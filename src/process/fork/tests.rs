#[cfg(unix)]
use std::mem::MaybeUninit;
#[cfg(unix)]
use std::ptr;
use std::sync::mpsc;

use super::*;

/// Measures on a thread of either kind: that of a first process and that of a forked child.
#[cfg(unix)]
fn on_threads_of_both_kinds<T: Send + 'static>(measure: fn() -> T) -> [T; 2] {
    let (sender, receiver) = mpsc::channel();
    let again = sender.clone();
    start_thread("tinker-test", move || sender.send(measure()).unwrap()).unwrap();
    let first = receiver.recv().unwrap();
    let _inherited = block_signals();
    start_bare_thread(Box::new(move || again.send(measure()).unwrap())).unwrap();
    [first, receiver.recv().unwrap()]
}

#[test]
#[cfg(target_os = "linux")]
fn every_thread_has_a_stack_of_2_mib_whatever_the_platforms_default_is() {
    fn stack_size() -> usize {
        let mut attributes = MaybeUninit::uninit();
        let mut size = 0;
        unsafe {
            assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()), 0);
            assert_eq!(libc::pthread_attr_getstacksize(attributes.as_ptr(), &raw mut size), 0);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        size
    }
    let guard = 64 * 1024; // it may be part of the size or not
    for size in on_threads_of_both_kinds(stack_size) {
        assert!(size.abs_diff(STACK_SIZE) <= guard, "{size}");
    }
}

/// The signals that the calling thread blocks, of those that can be blocked and have a name.
#[cfg(unix)]
fn blocked_signals() -> Vec<i32> {
    let mut mask = MaybeUninit::uninit();
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr()) };
    (1..32).filter(|signal| unsafe { libc::sigismember(mask.as_ptr(), *signal) } == 1).collect()
}

#[test]
#[cfg(unix)]
fn every_thread_blocks_all_signals_but_those_of_its_own_faults_and_its_creator_blocks_none() {
    let before = blocked_signals();
    let can_be_blocked = |signal: &i32| ![libc::SIGKILL, libc::SIGSTOP].contains(signal);
    let expected: Vec<_> =
        (1..32).filter(can_be_blocked).filter(|signal| !signals::FAULTS.contains(signal)).collect();
    assert_eq!(expected.len(), 22);
    for blocked in on_threads_of_both_kinds(blocked_signals) {
        assert_eq!(blocked, expected);
    }
    assert_eq!(blocked_signals(), before);
}

#[test]
fn a_thread_of_the_crate_is_inside_the_reentrancy_scope() {
    let (sender, receiver) = mpsc::channel();
    start_thread("tinker-test", move || sender.send(reentrancy::is_inside()).unwrap()).unwrap();
    assert!(receiver.recv().unwrap());
}
