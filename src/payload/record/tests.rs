use super::*;

#[test]
fn unpacking_reverses_packing() {
    for (severity, name) in Severity::ALL.into_iter().zip(["checkpoint.saved", "größe", "", "a\"b", "x"]) {
        let header = EventHeader::now(u64::MAX, severity);
        let record = Record::generic(header, name, &[1, 2], 100).unwrap();
        assert_eq!(record.weight(), TAG + 29 + name.len() + r#"{"value":[1,2]}"#.len());
        let Record::Generic(packed) = record else { panic!("a generic event") };
        let (unpacked, same_name, data) = unpack(packed.bytes()).unwrap();
        assert_eq!(
            (unpacked.refused, unpacked.time, unpacked.severity),
            (header.refused, header.time, severity)
        );
        assert_eq!((same_name, data), (name, &br#"{"value":[1,2]}"#[..]));
    }
}

#[test]
fn a_discarded_event_returns_its_memory_to_its_thread() {
    let record = Record::generic(EventHeader::now(0, Severity::Info), "step", &(), 100).unwrap();
    assert_eq!(Buffer::take().size(), 0, "the buffer is in the record");
    record.discard();
    assert!(Buffer::take().size() > 0);
}

#[test]
fn the_weight_of_an_exception_counts_its_texts_and_its_stack() {
    let weight = |body| Record::other(EventHeader::now(0, Severity::Error), body).weight();
    let exception = |error_type: &str, message: &str, causes: &str, stack| {
        let traceback = Traceback { causes: causes.to_owned(), stack, max: 100 };
        let (error_type, message) = (error_type.to_owned(), message.to_owned());
        weight(EventBody::Exception(Exception { error_type, message, traceback }))
    };
    let empty = weight(EventBody::SessionStart);
    assert_eq!(empty, weight(EventBody::SessionEnd(Duration::MAX)));
    assert!(empty >= TAG + size_of::<EventBody>());
    assert_eq!(exception("", "", "", None), empty);
    assert_eq!(exception("Error", "of some kind", "Error: of some kind", None), empty + 5 + 12 + 19);
    let stack = Some(Stack::empty());
    assert_eq!(exception("", "", "x", stack), empty + 1 + 4_096);
}

#[test]
fn the_limit_holds_for_name_and_data_together() {
    let empty = serde_json::Map::new();
    let sized = |limit| Record::generic(EventHeader::now(0, Severity::Info), "name", &empty, limit).map(drop);
    assert_eq!(sized("name{}".len()), Ok(()));
    assert_eq!(sized("name".len()), Err(RefusalReason::TooLarge));
    assert_eq!(sized("nam".len()), Err(RefusalReason::TooLarge));
}
