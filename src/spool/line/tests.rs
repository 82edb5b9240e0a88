use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::config::Protocol;

const URL: &str = "https://tinker.example/prod";

fn header() -> Vec<u8> {
    let mut file = Vec::new();
    put_header(URL, &Envelope::new(&Protocol::default(), "session-\"ä\"", Uuid::max()), &mut file);
    file
}

fn event(number: usize) -> Vec<u8> {
    format!(r#"{{"event_id":"{number}"}}"#).into_bytes()
}

/// A file of two batches, of which the first has its fate, and an event that was never sent.
fn file() -> (Vec<u8>, Vec<Place>) {
    let mut file = header();
    let mut places = Vec::new();
    for number in 0..5 {
        places.push(file.len() as Place);
        put(b'e', &event(number), &mut file);
        if number == 1 {
            put_batch("first", places[0], places[1], &mut file);
        }
    }
    put_batch("second", places[2], places[3], &mut file);
    put_done("first", &mut file);
    put_try(503, &mut file);
    (file, places)
}

/// The events that are left, by what they say.
fn left(file: &[u8]) -> Option<BTreeSet<Vec<u8>>> {
    let contents = read(file)?;
    Some(contents.left.iter().flat_map(|left| &left.events).map(|(_, event)| event.to_vec()).collect())
}

#[test]
fn a_file_says_what_is_left_of_it_and_who_sent_it() {
    let (file, places) = file();
    let contents = read(&file).unwrap();
    assert_eq!((contents.base_url.as_str(), contents.tries, contents.end), (URL, 1, file.len() as Place));
    let events = [event(2), event(3), event(4)];
    let second = Left {
        key: Some("second".to_owned()),
        events: vec![(places[2], &events[0][..]), (places[3], &events[1][..])],
    };
    assert_eq!(contents.left, [second, Left { key: None, events: vec![(places[4], &events[2][..])] }]);
    assert_eq!(
        Envelope::of(&contents.sender, &Protocol::default()).sender(),
        Envelope::new(&Protocol::default(), "session-\"ä\"", Uuid::max()).sender()
    );
}

#[test]
fn every_truncation_costs_only_what_was_cut_off() {
    let (file, places) = file();
    let whole: BTreeSet<_> = (0..5).map(event).collect();
    for length in 0..file.len() {
        let Some(left) = left(&file[..length]) else {
            assert!(length < header().len());
            continue;
        };
        assert!(left.is_subset(&whole));
        for (number, place) in places.iter().enumerate().skip(2) {
            let end = usize::try_from(*place).unwrap() + HEAD + event(number).len() + 1;
            assert_eq!(left.contains(&event(number)), end <= length, "event {number} of {length} bytes");
        }
    }
}

#[test]
fn every_flipped_bit_costs_at_most_the_lines_that_it_touches() {
    let (file, _) = file();
    let (all, undone) =
        ((0..5).map(event).collect::<BTreeSet<_>>(), (2..5).map(event).collect::<BTreeSet<_>>());
    for place in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[place] ^= 1 << bit;
            let Some(left) = left(&flipped) else {
                assert!(place < header().len());
                continue;
            };
            assert!(left.is_subset(&all), "an event that was never written");
            // A line break that is gone costs the line before it and the one after it.
            let lost = undone.difference(&left).count();
            assert!(lost <= if file[place] == b'\n' { 2 } else { 1 }, "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn an_event_is_of_the_last_batch_that_names_it() {
    let (mut file, places) = file();
    put_batch("half", places[2], places[2], &mut file);
    put_done("second", &mut file);
    let contents = read(&file).unwrap();
    let keys: Vec<_> = contents.left.iter().map(|left| (left.key.as_deref(), left.events.len())).collect();
    assert_eq!(keys, [(Some("half"), 1), (None, 1)]);
}

/// A batch is written in two parts if events join it after it was written. Another batch may be written in between.
#[test]
fn a_batch_written_in_two_parts_has_no_event_of_one_between_them() {
    let mut file = header();
    let mut places = Vec::new();
    for number in 0..4 {
        places.push(file.len() as Place);
        put(b'e', &event(number), &mut file);
        if number == 2 {
            put_batch("between", places[1], places[2], &mut file);
        }
    }
    put_batch("in two parts", places[0], places[3], &mut file);
    put_done("in two parts", &mut file);
    let events = [event(1), event(2)];
    let between = Left {
        key: Some("between".to_owned()),
        events: vec![(places[1], &events[0][..]), (places[2], &events[1][..])],
    };
    assert_eq!(read(&file).unwrap().left, [between]);
}

#[test]
fn a_batch_that_was_cut_up_is_sent_under_a_new_key() {
    let (mut file, places) = file();
    put_batch("half", places[2], places[2], &mut file);
    let keys: Vec<_> = read(&file).unwrap().left.into_iter().map(|left| left.key).collect();
    assert_eq!(keys, [Some("half".to_owned()), None, None]);
}

#[test]
fn a_batch_that_was_cut_up_in_its_middle_is_sent_under_a_new_key() {
    let mut file = header();
    let mut places = Vec::new();
    for number in 0..4 {
        places.push(file.len() as Place);
        put(b'e', &event(number), &mut file);
    }
    put_batch("whole", places[0], places[3], &mut file);
    put_batch("middle", places[1], places[2], &mut file);
    put_done("middle", &mut file);
    let left = read(&file).unwrap().left;
    let keys: Vec<_> = left.iter().map(|left| (left.key.as_deref(), left.events.len())).collect();
    assert_eq!(keys, [(None, 2)]);
}

#[test]
fn another_version_is_left_alone_and_an_unknown_line_is_skipped() {
    let (mut file, _) = file();
    put(b'z', b"of a later version", &mut file);
    assert_eq!(left(&file).unwrap().len(), 3);
    let mut other = Vec::new();
    put(b'h', br#"{"v":2,"base_url":""}"#, &mut other);
    assert!(read(&other).is_none());
    assert!(read(&[]).is_none());
}

#[test]
fn of_two_headers_the_first_counts() {
    let (mut file, _) = file();
    put_header("https://other", &Envelope::new(&Protocol::default(), "other", Uuid::nil()), &mut file);
    let contents = read(&file).unwrap();
    assert_eq!((contents.base_url.as_str(), contents.left.len()), (URL, 2));
}

#[test]
fn a_line_break_in_an_event_does_not_end_its_line() {
    let mut file = header();
    put(b'e', b"{\"a\":\n1}", &mut file);
    assert_eq!(left(&file).unwrap().into_iter().collect::<Vec<_>>(), [b"{\"a\": 1}"]);
}

proptest! {
    #[test]
    fn what_was_written_and_has_no_fate_is_what_is_read(
        batches in prop::collection::vec((1_usize..6, any::<bool>(), any::<bool>()), 0..12),
    ) {
        let mut file = header();
        let (mut number, mut expected) = (0, BTreeSet::new());
        for (batch, (events, is_begun, is_done)) in batches.into_iter().enumerate() {
            let first = file.len() as Place;
            let mut last = first;
            for _ in 0..events {
                last = file.len() as Place;
                put(b'e', &event(number), &mut file);
                if !(is_begun && is_done) {
                    expected.insert(event(number));
                }
                number += 1;
            }
            if is_begun {
                put_batch(&batch.to_string(), first, last, &mut file);
            }
            if is_done {
                put_done(&batch.to_string(), &mut file);
            }
        }
        prop_assert_eq!(left(&file).unwrap(), expected);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let mut file = header();
        file.extend_from_slice(&bytes);
        prop_assert!(read(&file).unwrap().left.is_empty());
    }
}
