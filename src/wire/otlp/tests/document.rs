//! What `docs/fleet.md` shows of a record is what its event becomes.

use std::fmt::Write;

use opentelemetry_proto::tonic::common::v1::any_value::Value::{
    ArrayValue, BoolValue, DoubleValue, IntValue, StringValue,
};
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;

use super::*;

/// The block of this language behind the heading.
fn block<'a>(document: &'a str, heading: &str, language: &str) -> &'a str {
    let section = &document[document.find(heading).unwrap()..];
    let begin = section.find(&format!("```{language}\n")).unwrap() + 3 + language.len() + 1;
    let block = &section[begin..];
    block[..block.find("```").unwrap()].trim_end()
}

fn text_of(value: AnyValue) -> String {
    match value.value.unwrap() {
        StringValue(text) => format!("string_value: {text:?}"),
        IntValue(number) => format!("int_value: {number}"),
        DoubleValue(number) => format!("double_value: {number}"),
        BoolValue(value) => format!("bool_value: {value}"),
        ArrayValue(list) => {
            let values = list.values.into_iter().map(|element| format!("values {{ {} }}", text_of(element)));
            format!("array_value {{ {} }}", values.collect::<Vec<_>>().join(" "))
        }
        other => panic!("the document has no {other:?}"),
    }
}

/// The record in protobuf's text format, with each attribute in one line.
fn text_format(record: LogRecord) -> String {
    let severity = SeverityNumber::try_from(record.severity_number).unwrap().as_str_name();
    let mut text = format!(
        "time_unix_nano: {}\nseverity_number: {severity}\nseverity_text: {:?}\nbody {{ {} }}\n",
        record.time_unix_nano,
        record.severity_text,
        text_of(record.body.unwrap())
    );
    for KeyValue { key, value: attribute, .. } in record.attributes {
        writeln!(text, "attributes {{ key: {key:?} value {{ {} }} }}", text_of(attribute.unwrap())).unwrap();
    }
    write!(
        text,
        "observed_time_unix_nano: {}\nevent_name: {:?}",
        record.observed_time_unix_nano, record.event_name
    )
    .unwrap();
    text
}

#[test]
fn the_record_in_the_page_of_the_fleet_is_what_its_event_becomes() {
    let document = std::fs::read_to_string("docs/fleet.md").unwrap();
    let heading = "## How events are told apart";
    // The page has a line for each field, and spaces after the colons. An encoded event has neither.
    let event =
        block(&document, heading, "json").lines().map(str::trim).collect::<String>().replace("\": ", "\":");
    assert_eq!(text_format(record(&event)), block(&document, heading, "textproto"));
}
