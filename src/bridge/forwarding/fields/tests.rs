use super::*;

struct Given<'g>(&'g [(&'g str, Value<'g>)]);

impl Fields for Given<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, Value<'_>)) {
        for (name, value) in self.0 {
            take(name, *value);
        }
    }
}

fn encoded(fields: &[(&str, Value<'_>)]) -> String {
    let data = EventData { fields: &Given(fields), origin: None, room: 0, hides_session_id: true };
    serde_json::to_string(&data).unwrap()
}

struct Panics;

impl Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it, then ")?;
        panic!("while formatting, as the test wants it")
    }
}

#[test]
fn numbers_are_measurements_and_the_rest_is_metadata() {
    let fields = [
        ("message", Value::Str("saved")),
        ("step", Value::Number(Number::U64(7))),
        ("delta", Value::Number(Number::I64(-7))),
        ("huge", Value::Number(Number::U128(u128::MAX))),
        ("deep", Value::Number(Number::I128(i128::MIN))),
        ("loss", Value::Number(Number::F64(0.5))),
        ("ok", Value::Bool(true)),
        ("none", Value::Null),
        ("text", Value::Text(&"a \"text\"")),
    ];
    let expected = concat!(
        r#"{"measurements":{"step":7,"delta":-7,"huge":340282366920938463463374607431768211455,"#,
        r#""deep":-170141183460469231731687303715884105728,"loss":0.5},"#,
        r#""metadata":{"message":"saved","ok":true,"none":null,"text":"a \"text\""}}"#
    );
    assert_eq!(encoded(&fields), expected);
    assert_eq!(encoded(&[]), r#"{"measurements":{},"metadata":{}}"#);
}

#[test]
fn a_number_that_json_cannot_write_becomes_null() {
    let fields =
        [("nan", Value::Number(Number::F64(f64::NAN))), ("inf", Value::Number(Number::F64(f64::INFINITY)))];
    assert_eq!(encoded(&fields), r#"{"measurements":{"nan":null,"inf":null},"metadata":{}}"#);
}

#[test]
fn the_session_id_is_left_out_and_fields_named_like_the_parts_stay() {
    let fields = [
        ("session_id", Value::Str("session-0001")),
        ("session_id", Value::Number(Number::U64(1))),
        ("measurements", Value::Number(Number::U64(1))),
        ("metadata", Value::Str("m")),
        ("measurements", Value::Bool(true)),
    ];
    let expected = r#"{"measurements":{"measurements":1},"metadata":{"metadata":"m","measurements":true}}"#;
    assert_eq!(encoded(&fields), expected);
}

#[test]
fn of_fields_with_one_name_the_first_counts_in_each_part() {
    let fields = [
        ("a", Value::Number(Number::U64(1))),
        ("a", Value::Number(Number::U64(2))),
        ("a", Value::Str("x")),
        ("a", Value::Null),
    ];
    assert_eq!(encoded(&fields), r#"{"measurements":{"a":1},"metadata":{"a":"x"}}"#);
}

#[test]
fn a_text_that_panics_costs_only_itself() {
    let fields = [("bad", Value::Text(&Panics)), ("good", Value::Number(Number::U64(1)))];
    let expected = r#"{"measurements":{"good":1},"metadata":{"bad":"(panicked while formatting)"}}"#;
    assert_eq!(encoded(&fields), expected);
}

#[test]
fn a_text_without_end_is_cut() {
    struct Endless;
    impl Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("uu€r")?;
            }
        }
    }
    let cut = text(&Endless, MAX_TEXT);
    assert!(cut.len() <= MAX_TEXT && cut.len() > MAX_TEXT - 6, "{}", cut.len());
}
