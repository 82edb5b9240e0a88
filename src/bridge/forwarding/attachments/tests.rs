use super::attachment::SessionId;
use super::*;
use crate::bridge::forwarding::fields::{Number, Value};

#[test]
fn targets_of_this_crate_and_of_its_http_client_are_never_forwarded() {
    for target in ["ureq", "ureq::run", "ureq_proto::client", "rustls", "rustls::client::hs"] {
        assert!(is_never_forwarded(target), "{target}");
    }
    assert!(is_never_forwarded("tinker_telemetry::worker"));
    for target in ["", "ureq_other", "my_ureq", "my::ureq", "tinker_telemetry_tests", "rustls_pki_types"] {
        assert!(!is_never_forwarded(target), "{target}");
    }
}

#[test]
fn a_thread_sees_every_change_of_every_list() {
    let (one, other, disabled) = (Attachments::new(), Attachments::new(), Reporter::disabled());
    let asks_for =
        |name: &str| [&one, &other].map(|list| list.interested_in(name, &[""], Severity::Info).is_some());
    assert_eq!(asks_for("a"), [false, false]);
    one.attach("first", &disabled, EventFilter::new(["a"])).unwrap();
    assert_eq!((asks_for("a"), asks_for("b")), ([true, false], [false, false]));
    other.attach("first", &disabled, EventFilter::new(["b"])).unwrap();
    assert_eq!((asks_for("a"), asks_for("b")), ([true, false], [false, true]));
    let elsewhere = one.clone();
    std::thread::spawn(move || elsewhere.detach("first")).join().unwrap().unwrap();
    assert_eq!((asks_for("a"), asks_for("b")), ([false, false], [false, true]));
}

#[test]
fn a_session_id_is_compared_by_its_text() {
    let session = SessionId::new("12");
    assert!(session.is(&Value::Str("12")));
    assert!(session.is(&Value::Number(Number::U64(12))));
    assert!(session.is(&Value::Number(Number::I64(12))));
    assert!(session.is(&Value::Text(&12)));
    assert!(session.is(&Value::Text(&format_args!("{:?}", "12"))));
    for other in ["", "1", "123", "\"12", "12\"", " 12"] {
        assert!(!session.is(&Value::Str(other)), "{other}");
        assert!(!session.is(&Value::Text(&other)), "{other}");
    }
    assert!(!session.is(&Value::Null));
}
