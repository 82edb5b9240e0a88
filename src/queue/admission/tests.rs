use super::*;

fn admission(events: u64, bytes: u64) -> Admission {
    let threshold = Load { events: 3, bytes: 1_000 };
    Admission::new(Load { events, bytes }, threshold)
}

#[test]
fn room_is_exact_and_comes_back() {
    let admission = admission(2, 100);
    let sequence = |bytes| admission.admit(bytes, Lane::Ordinary).map(|admitted| admitted.sequence);
    assert_eq!(sequence(40), Ok(0));
    assert_eq!(sequence(61), Err(RefusalReason::QueueBytes));
    assert_eq!(sequence(60), Ok(1));
    assert_eq!(sequence(0), Err(RefusalReason::QueueFull));
    assert_eq!(admission.pending(), Load { events: 2, bytes: 100 });
    admission.release(Load { events: 1, bytes: 60 });
    assert_eq!((sequence(60), admission.admitted()), (Ok(2), 3), "who is turned away draws no sequence");
}

#[test]
fn the_event_that_reaches_the_threshold_is_told_so_once() {
    let told = |admission: &Admission, bytes| admission.admit(bytes, Lane::Ordinary).unwrap().is_due;
    let by_count = admission(10, 10_000);
    let all = [(); 5].map(|()| (told(&by_count, 1), by_count.is_due()));
    let [before, reached, after] = [(false, false), (true, true), (false, true)];
    assert_eq!(all, [before, before, reached, after, after]);

    let by_bytes = admission(10, 10_000);
    assert_eq!([600; 3].map(|bytes| told(&by_bytes, bytes)), [false, true, false]);
}

#[test]
fn what_leaves_no_room_for_an_event_is_worth_a_request_below_the_threshold_too() {
    let admission = admission(10, 500);
    assert!(admission.admit(300, Lane::Ordinary).is_ok() && !admission.is_due());
    assert_eq!(admission.admit(300, Lane::Ordinary), Err(RefusalReason::QueueBytes));
    assert!(admission.is_due());
    admission.release(Load { events: 1, bytes: 300 });
    assert!(!admission.is_due(), "nothing is pending");
    assert!(admission.admit(300, Lane::Ordinary).is_ok() && !admission.is_due(), "nobody was refused since");
}

#[test]
fn reserved_room_is_there_when_the_queue_is_full() {
    let admission = admission(1, 10);
    assert!(admission.admit(10, Lane::Ordinary).is_ok());
    for _ in 0..RESERVED_EVENTS {
        assert!(admission.admit(100, Lane::Fatal).is_ok());
    }
    assert_eq!(admission.admit(0, Lane::Fatal), Err(RefusalReason::QueueFull));
    for _ in 0..SESSION_EVENTS {
        assert!(admission.admit(100, Lane::Session).is_ok());
    }
}

#[test]
fn a_closed_door_refuses_every_lane_and_keeps_its_count() {
    let admission = admission(10, 100);
    assert!(admission.admit(7, Lane::Ordinary).is_ok());
    admission.close();
    for lane in [Lane::Ordinary, Lane::Fatal, Lane::Session] {
        assert_eq!(admission.admit(1, lane), Err(RefusalReason::Stopped));
    }
    assert!(admission.is_closed());
    assert_eq!(admission.pending(), Load { events: 1, bytes: 7 });
}

#[test]
fn fatal_events_have_four_mebibytes_of_their_own_and_session_events_as_many_past_them() {
    const MIB: u64 = 1024 * 1024;
    let admission = admission(10, 10);
    assert!(admission.admit(10, Lane::Ordinary).is_ok());
    for lane in [Lane::Fatal, Lane::Session] {
        assert!(admission.admit(4 * MIB, lane).is_ok());
        assert_eq!(admission.admit(1, lane), Err(RefusalReason::QueueBytes));
    }
    assert_eq!(admission.pending(), Load { events: 3, bytes: 10 + 8 * MIB });
}

#[test]
fn whether_the_door_is_open_can_be_asked_without_passing_it() {
    let admission = admission(1, 10);
    assert_eq!(admission.is_open(Lane::Ordinary), Ok(()));
    assert!(admission.admit(10, Lane::Ordinary).is_ok());
    assert_eq!(admission.is_open(Lane::Ordinary), Err(RefusalReason::QueueFull));
    assert_eq!(admission.is_open(Lane::Fatal), Ok(()));
    admission.close();
    assert_eq!(admission.is_open(Lane::Fatal), Err(RefusalReason::Stopped));
    assert_eq!(admission.pending(), Load { events: 1, bytes: 10 });
}

#[test]
fn room_that_was_given_back_is_there_for_whoever_asks_unless_the_door_was_closed() {
    let admission = admission(1, 10);
    for _ in 0..3 {
        assert_eq!(admission.is_open(Lane::Ordinary), Ok(()));
        assert!(admission.admit(10, Lane::Ordinary).is_ok());
        assert_eq!(admission.is_open(Lane::Ordinary), Err(RefusalReason::QueueFull));
        admission.release(Load { events: 1, bytes: 10 });
    }
    assert!(admission.admit(10, Lane::Ordinary).is_ok());
    admission.close();
    admission.release(Load { events: 1, bytes: 10 });
    assert_eq!(admission.is_open(Lane::Ordinary), Err(RefusalReason::Stopped));
}
