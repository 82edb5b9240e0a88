use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::*;

/// Longer than anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Returns once the gate is in this state.
fn wait_until(gate: &Gate, is_reached: impl Fn(&Passages) -> bool) {
    while !is_reached(&gate.lock()) {
        thread::yield_now();
    }
}

#[test]
fn a_capture_gives_up_at_its_deadline_while_symbols_are_resolved() {
    let gate = Gate::new();
    let resolution = gate.begin_resolution(LIMIT);
    assert!(gate.begin_capture(Duration::ZERO).is_none());
    assert!(gate.begin_capture(Duration::from_millis(1)).is_none());
    drop(resolution);
    let capture = gate.begin_capture(Duration::ZERO);
    assert!(capture.is_some() && gate.begin_capture(Duration::ZERO).is_some(), "captures pass together");
}

#[test]
fn a_capture_that_waits_passes_as_soon_as_the_resolution_ends_and_before_the_next_one() {
    let gate = &Gate::new();
    let resolution = gate.begin_resolution(LIMIT);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || {
            let capture = gate.begin_capture(LIMIT);
            sender.send(capture.is_some()).unwrap();
        });
        wait_until(gate, |passages| passages.waiting_captures == 1);
        drop(resolution);
        let _next = gate.begin_resolution(LIMIT);
        assert_eq!(receiver.try_recv(), Ok(true));
    });
}

#[test]
fn a_resolution_waits_for_the_captures_beyond_the_gate_and_lets_no_more_pass() {
    let gate = Gate::new();
    let capture = gate.begin_capture(LIMIT);
    thread::scope(|scope| {
        let resolution = scope.spawn(|| gate.begin_resolution(LIMIT));
        wait_until(&gate, |passages| passages.resolutions == 1);
        assert!(gate.begin_capture(Duration::ZERO).is_none());
        assert!(!resolution.is_finished());
        drop(capture);
        drop(resolution.join().unwrap());
    });
    assert!(gate.begin_capture(Duration::ZERO).is_some());
}

#[test]
fn a_resolution_that_is_to_be_alone_gives_up_at_its_deadline_and_passes_as_soon_as_the_other_ends() {
    let gate = Gate::new();
    let other = gate.begin_resolution(LIMIT);
    assert!(gate.begin_resolution_alone(Duration::from_millis(1)).is_none());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| gate.begin_resolution_alone(LIMIT).is_some());
        drop(other);
        assert!(waiting.join().unwrap());
    });
    assert!(gate.begin_capture(Duration::ZERO).is_some());
}

#[test]
fn captures_and_resolutions_of_many_threads_never_overlap() {
    let gate = Gate::new();
    let (captures, resolutions) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let _passage = gate.begin_capture(LIMIT).unwrap();
                    captures.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(resolutions.load(Ordering::SeqCst), 0);
                    captures.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let _passage = gate.begin_resolution(Duration::ZERO);
                    resolutions.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(captures.load(Ordering::SeqCst), 0);
                    resolutions.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
}
