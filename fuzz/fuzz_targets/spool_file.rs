//! A spool's file: whatever a disk made of it, each event that comes out was put in, and damage costs at most the lines that
//! it touches. A file that nothing happened to gives exactly the events that have no fate.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tinker_telemetry::internals::{events_left, put_line};

#[derive(Arbitrary, Debug)]
enum Line<'a> {
    Event(&'a [u8]),
    /// Begins a batch of the events from here to there, counted from the first line.
    Batch {
        key: u8,
        first: u8,
        last: u8,
    },
    Done {
        key: u8,
    },
    Other(u8, &'a [u8]),
    /// What no writer writes.
    Raw(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    lines: Vec<Line<'a>>,
    flips: Vec<(u16, u8)>,
    cut: Option<u16>,
}

const HEADER: &[u8] = br#"{"v":1,"base_url":"https://host","born":"2026-11-28T00:00:00.000000Z","platform":"Linux","sdk_version":"0.1.0","session_id":"s","process_uuid":"p"}"#;

fuzz_target!(|input: Input<'_>| {
    let mut file = Vec::new();
    put_line(b'h', HEADER, &mut file);
    let header = file.len();
    let mut places = Vec::new();
    let (mut events, mut has_batches, mut is_plain) = (Vec::new(), false, true);
    for line in &input.lines {
        places.push(file.len());
        match line {
            Line::Event(event) => {
                put_line(b'e', event, &mut file);
                events.push(
                    event.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect::<Vec<_>>(),
                );
            }
            Line::Batch { key, first, last } => {
                let place = |at: &u8| places[usize::from(*at) % places.len()];
                let text = format!(r#"["{key}",{},{}]"#, place(first), place(last));
                put_line(b'b', text.as_bytes(), &mut file);
                has_batches = true;
            }
            Line::Done { key } => put_line(b'd', format!(r#""{key}""#).as_bytes(), &mut file),
            Line::Other(kind, text) => {
                put_line(*kind, text, &mut file);
                is_plain = false; // it may be an event
            }
            Line::Raw(bytes) => {
                file.extend_from_slice(bytes);
                is_plain = false;
            }
        }
    }
    let is_whole = input.flips.is_empty() && input.cut.is_none();
    let length = file.len();
    for (place, bits) in &input.flips {
        file[usize::from(*place) % length] ^= bits;
    }
    file.truncate(input.cut.map_or(length, |cut| usize::from(cut) % (length + 1)));

    let Some(left) = events_left(&file) else {
        let is_header_whole = is_whole && is_plain;
        return assert!(!is_header_whole, "the header is there: {header} bytes");
    };
    if !is_plain {
        return;
    }
    assert!(left.len() <= events.len(), "an event that was never put in");
    // In the order in which they were put in.
    let mut rest = events.iter();
    for event in &left {
        assert!(rest.any(|put| put == event), "{event:?} was never put in");
    }
    if !has_batches {
        let most = 2 * input.flips.len();
        let is_cut = input.cut.is_some();
        assert!(is_cut || left.len() + most >= events.len(), "{} of {}", left.len(), events.len());
    }
});
