//! Reads the body of a telemetry request.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a telemetry request says, each value as it was written.
#[derive(Debug, Deserialize)]
pub struct Telemetry<'a> {
    #[serde(borrow)]
    pub events: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub session_id: &'a RawValue,
    #[serde(borrow)]
    pub process_uuid: Option<&'a RawValue>,
    #[serde(borrow)]
    pub platform: Option<&'a RawValue>,
    #[serde(borrow)]
    pub sdk_version: Option<&'a RawValue>,
}

/// The one field that every kind of event has.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "event")]
    _event: String,
}

/// Reads a body, or says why it is no telemetry.
pub fn parse(body: &[u8]) -> Result<Telemetry<'_>, String> {
    let telemetry: Telemetry<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if !telemetry.session_id.get().starts_with('"') {
        return Err("`session_id` is no string".into());
    }
    for (at, event) in telemetry.events.iter().enumerate() {
        serde_json::from_str::<Kind>(event.get()).map_err(|error| format!("events[{at}]: {error}"))?;
    }
    Ok(telemetry)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_process_may_be_absent() {
        let telemetry =
            parse(br#"{"events":[{"event":"SESSION_START"}],"session_id":"s"}"#).expect("telemetry");
        assert!(telemetry.process_uuid.is_none());
        assert_eq!(telemetry.events.len(), 1);
    }

    #[test]
    fn what_is_no_telemetry_is_refused_with_a_reason() {
        for (body, why) in [
            ("", "EOF"),
            ("{\"events\":[", "EOF"),
            ("[1]", "expected"),
            ("{\"events\":[{}],\"session_id\":\"s\"}", "events[0]: missing field `event`"),
            ("{\"events\":[],\"session_id\":7}", "`session_id` is no string"),
            ("{\"session_id\":\"s\"}", "missing field `events`"),
        ] {
            let error = parse(body.as_bytes()).expect_err(body);
            assert!(error.contains(why), "{body}: {error}");
        }
    }
}
