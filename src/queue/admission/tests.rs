use super::*;

fn admission(events: u64, bytes: u64) -> Admission {
    let threshold = Load { events: 3, bytes: 1_000 };
    Admission::new(Load { events, bytes }, threshold)
}

#[test]
fn limits_are_exact_and_released_room_is_used_again() {
    let admission = admission(2, 100);
    let sequence = |bytes| admission.admit(bytes, Lane::Ordinary).map(|grant| grant.sequence);
    assert_eq!(sequence(40), Ok(0));
    assert_eq!(sequence(61), Err(RefusalReason::QueueBytes));
    assert_eq!(sequence(60), Ok(1));
    assert_eq!(sequence(0), Err(RefusalReason::QueueFull));
    assert_eq!(admission.pending(), Load { events: 2, bytes: 100 });
    admission.release(Load { events: 1, bytes: 60 });
    assert_eq!((sequence(60), admission.admitted()), (Ok(2), 3), "a refused event draws no sequence");
}

#[test]
fn only_the_event_that_reaches_the_threshold_is_due() {
    let is_due = |admission: &Admission, bytes| admission.admit(bytes, Lane::Ordinary).unwrap().is_due;
    let by_count = admission(10, 10_000);
    let all = [(); 5].map(|()| (is_due(&by_count, 1), by_count.is_due()));
    let [before, reached, after] = [(false, false), (true, true), (false, true)];
    assert_eq!(all, [before, before, reached, after, after]);

    let by_bytes = admission(10, 10_000);
    assert_eq!([600; 3].map(|bytes| is_due(&by_bytes, bytes)), [false, true, false]);
}

#[test]
fn a_queue_that_refused_an_event_is_due_below_the_threshold_too() {
    let admission = admission(10, 500);
    assert!(admission.admit(300, Lane::Ordinary).is_ok() && !admission.is_due());
    assert_eq!(admission.admit(300, Lane::Ordinary), Err(RefusalReason::QueueBytes));
    assert!(admission.is_due());
    admission.release(Load { events: 1, bytes: 300 });
    assert!(!admission.is_due(), "nothing is pending");
    assert!(
        admission.admit(300, Lane::Ordinary).is_ok() && !admission.is_due(),
        "no event was refused since"
    );
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
fn after_the_close_every_lane_is_refused_and_the_count_stays() {
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
fn asking_whether_there_is_room_takes_none() {
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
fn released_room_is_seen_before_the_close_and_not_after_it() {
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
