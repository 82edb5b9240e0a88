use super::*;
use crate::model::event::Severity;
use crate::payload::record::{Body, Head};

fn generic(len: usize) -> Record {
    let head = Head::now(0, Severity::Info);
    Record::generic(head, "step", &"x".repeat(len), 10_000).unwrap()
}

fn session_start() -> Record {
    Record::other(Head::now(0, Severity::Info), Body::SessionStart)
}

#[test]
fn what_is_put_in_comes_out_in_the_same_order_and_of_the_same_weight() {
    let mut run = Run::default();
    assert!(run.ticket().is_none() && run.take().is_none());
    let records = [generic(1), session_start(), generic(5_000), generic(0), session_start(), generic(100)];
    let mut weights = Vec::new();
    for (ticket, record) in (7..).step_by(3).zip(records) {
        weights.push((ticket, record.weight()));
        run.put(ticket, record);
    }
    for (ticket, weight) in weights {
        assert_eq!(run.ticket(), Some(ticket));
        assert_eq!(run.take().unwrap().weight(), weight);
    }
    assert!(run.ticket().is_none() && run.take().is_none());
}

#[test]
fn a_generic_event_is_what_was_packed_in_line_or_apart() {
    for len in [1, 900, 1_000, 5_000] {
        let Record::Generic(packed) = generic(1) else { panic!("in line") };
        let expected = packed.bytes().to_vec();
        let mut run = Run::default();
        run.put(0, generic(len));
        run.put(1, Record::Generic(packed));
        assert_eq!(matches!(run.take(), Some(Queued::Apart(_))), len > 900, "{len}");
        assert!(matches!(run.take(), Some(Queued::Generic(same)) if same == expected));
    }
}

#[test]
fn a_run_is_full_of_so_many_events_or_bytes_and_the_next_has_room_for_as_many_and_some_more() {
    for (len, events) in [(10, 100), (900, 18), (5_000, 100)] {
        let mut run = Run::default();
        for ticket in 0..events {
            assert!(!run.is_full(), "{ticket} events of {len}");
            run.put(ticket, generic(len));
        }
        assert!(run.is_full(), "{events} events of {len}");
        let held = run.line.len();
        let full = run.renew();
        assert_eq!((full.ticket(), run.ticket(), run.is_full()), (Some(0), None, false));
        assert_eq!(run.renew().line.size(), held * 17 / 16, "for events of {len}");
        assert_eq!(run.line.size(), 0, "none was put in");
    }
}
