use std::thread;

use super::*;

fn write(part: &[u8]) -> Vec<u8> {
    let mut buffer = Buffer::take();
    buffer.put(part);
    let bytes = buffer.bytes().to_vec();
    buffer.give_back();
    bytes
}

/// Runs on a thread that has no buffer yet.
fn on_a_new_thread(run: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(run).join().unwrap());
}

#[test]
fn a_thread_keeps_a_grown_buffer_up_to_a_size() {
    on_a_new_thread(|| {
        for (len, kept) in [
            (1, FIRST_SIZE),
            (1_000, 2_000),
            (1, 2_000),
            (LARGEST_KEPT / 2, LARGEST_KEPT),
            (LARGEST_KEPT + 1, 0),
            (1, FIRST_SIZE),
        ] {
            let event = vec![b'x'; len];
            assert_eq!(write(&event), event);
            let own = OWN.take().unwrap();
            assert_eq!(own.bytes.len(), kept, "after one of {len}");
            OWN.set(Some(own));
        }
    });
}

#[test]
fn a_returned_buffer_is_empty() {
    on_a_new_thread(|| {
        let mut buffer = Buffer::take();
        buffer.put(b"secret");
        buffer.give_back();
        assert_eq!(write(b"next"), b"next"[..]);
    });
}

#[test]
fn a_part_is_inserted_at_a_position() {
    let mut buffer = Buffer::default();
    buffer.put(b"head:value");
    buffer.insert(5, b"the ");
    assert_eq!(buffer.bytes(), b"head:the value");
    buffer.truncate(4);
    buffer.truncate(9);
    assert_eq!(buffer.bytes(), b"head");
}
