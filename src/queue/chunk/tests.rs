use super::*;
use crate::model::event::Severity;
use crate::payload::record::{EventBody, EventHeader};

fn generic(len: usize) -> Record {
    let header = EventHeader::now(0, Severity::Info);
    Record::generic(header, "step", &"x".repeat(len), 10_000).unwrap()
}

fn session_start() -> Record {
    Record::other(EventHeader::now(0, Severity::Info), EventBody::SessionStart)
}

#[test]
fn events_come_out_in_the_order_they_were_put_in_and_with_the_same_weight() {
    let mut chunk = Chunk::default();
    assert!(chunk.sequence().is_none() && chunk.take().is_none());
    let records = [generic(1), session_start(), generic(5_000), generic(0), session_start(), generic(100)];
    let mut weights = Vec::new();
    for (sequence, record) in (7..).step_by(3).zip(records) {
        weights.push((sequence, record.weight()));
        chunk.put(sequence, record);
    }
    for (sequence, weight) in weights {
        assert_eq!(chunk.sequence(), Some(sequence));
        assert_eq!(chunk.take().unwrap().weight(), weight);
    }
    assert!(chunk.sequence().is_none() && chunk.take().is_none());
}

#[test]
fn a_generic_event_comes_out_as_it_was_packed_inline_or_out_of_line() {
    for len in [1, 900, 1_000, 5_000] {
        let Record::Generic(packed) = generic(1) else { panic!("not inline") };
        let expected = packed.bytes().to_vec();
        let mut chunk = Chunk::default();
        chunk.put(0, generic(len));
        chunk.put(1, Record::Generic(packed));
        assert_eq!(matches!(chunk.take(), Some(QueuedEvent::OutOfLine(_))), len > 900, "{len}");
        assert!(matches!(chunk.take(), Some(QueuedEvent::Generic(same)) if same == expected));
    }
}

#[test]
fn a_chunk_is_full_by_events_or_by_bytes_and_the_next_one_has_room_for_a_sixteenth_more() {
    for (len, events) in [(10, 100), (900, 18), (5_000, 100)] {
        let mut chunk = Chunk::default();
        for sequence in 0..events {
            assert!(!chunk.is_full(), "{sequence} events of {len}");
            chunk.put(sequence, generic(len));
        }
        assert!(chunk.is_full(), "{events} events of {len}");
        let held = chunk.inline.len();
        let full = chunk.replace();
        assert_eq!((full.sequence(), chunk.sequence(), chunk.is_full()), (Some(0), None, false));
        assert_eq!(chunk.replace().inline.size(), held * 17 / 16, "for events of {len}");
        assert_eq!(chunk.inline.size(), 0, "no event was put in");
    }
}
