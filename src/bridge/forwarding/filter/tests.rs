use super::*;

#[test]
fn a_name_matches_whole_a_star_matches_beginnings_however_the_name_is_cut() {
    let cases = [
        ("a.stop", "a.stop", true),
        ("a.stop", "a.stopped", false),
        ("a.stop", "a.sto", false),
        ("a.stop", "b.stop", false),
        ("a.*", "a.stop", true),
        ("a.*", "a.", true),
        ("a.*", "a", false),
        ("a.st*", "a.stop", true),
        ("a.stop*", "a.stop", true),
        ("a.stopp*", "a.stop", false),
        ("*", "a.stop", true),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("a*stop", "a.stop", false),
        ("ä*", "äö", true),
    ];
    for (pattern, name, admitted) in cases {
        for filter in [EventFilter::new([pattern]), [pattern.to_owned()].into_iter().collect()] {
            for cut in (0..=name.len()).filter(|cut| name.is_char_boundary(*cut)) {
                let (stem, suffix) = name.split_at(cut);
                assert_eq!(
                    filter.admits(stem, suffix, Severity::Info),
                    admitted,
                    "{pattern} admits {stem}|{suffix}"
                );
            }
        }
    }
}

#[test]
fn http_requests_and_queue_states_are_asked_for_by_default_by_our_names_and_tinkexs() {
    let filter = EventFilter::default();
    for prefix in ["", "tinkex."] {
        for suffix in [".start", ".stop", ".exception"] {
            assert!(
                filter.admits(&format!("{prefix}http.request"), suffix, Severity::Info),
                "{prefix}, {suffix}"
            );
        }
        assert!(filter.admits(&format!("{prefix}queue.state_change"), "", Severity::Info));
        assert!(!filter.admits(&format!("{prefix}retry"), ".start", Severity::Info));
    }
    assert!(!EventFilter::new(Vec::<String>::new()).admits("http.request", ".start", Severity::Info));
    assert!(EventFilter::all().admits("retry", ".start", Severity::Info));
}

#[test]
fn a_severity_and_exceptions_narrow_what_is_asked_for() {
    let filter = EventFilter::all().min_severity(Severity::Warning).except(["noisy*", "one"]);
    for (name, severity, admitted) in [
        ("a", Severity::Warning, true),
        ("a", Severity::Critical, true),
        ("a", Severity::Info, false),
        ("noisy::a", Severity::Critical, false),
        ("one", Severity::Error, false),
        ("one.other", Severity::Error, true),
    ] {
        assert_eq!(filter.admits(name, "", severity), admitted, "{name}, {severity:?}");
    }
    assert!(EventFilter::all().admits("a", "", Severity::Debug));
}
