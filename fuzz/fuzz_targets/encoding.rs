//! Events as JSON and as OTLP. Another parser reads exactly the given values in the JSON, and the typed events read them too.
//! The official types of OTLP read the same.

#![no_main]

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tinker_telemetry::RefusalReason;
use tinker_telemetry::event::{Event, Severity, TelemetrySendRequest, Timestamp};
use tinker_telemetry::internals::{
    EventHeader, OtlpResource, Payload, otlp_partial_success, otlp_request, request,
};
use tinker_telemetry_fuzz::calendar::Moment;
use tinker_telemetry_fuzz::document::{Token, assert_reads, depth};
use tinker_telemetry_fuzz::otlp::assert_records;
use tinker_telemetry_fuzz::value::Value;
use uuid::Uuid;

#[derive(Arbitrary, Debug)]
struct Input {
    session_id: String,
    process: u128,
    events: Vec<Offered>,
}

#[derive(Arbitrary, Debug)]
struct Offered {
    refused: u64,
    severity: u8,
    time: Time,
    kind: Kind,
}

#[derive(Arbitrary, Debug)]
struct Time {
    seconds: u64,
    /// Makes likely years more frequent.
    shift: u8,
    nanos: u32,
    before_1970: bool,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Generic { name: String, data: Value, limit: u16 },
    Exception { type_name: Option<String>, error: Layer, limit: u16 },
    SessionStart,
    SessionEnd { seconds: u64, nanos: u32 },
}

/// An error with any texts and causes.
#[derive(Arbitrary)]
struct Layer {
    debug: String,
    message: String,
    cause: Option<Box<Layer>>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &dyn Error)
    }
}

impl Time {
    fn system(&self) -> SystemTime {
        let since = Duration::new(self.seconds >> (self.shift % 64), self.nanos % 1_000_000_000);
        let time =
            if self.before_1970 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// The time in RFC 3339. A time before 1970 becomes 1970, and one after the year 9999 the end of that year.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    match since.as_secs() {
        seconds @ ..=253_402_300_799 => {
            format!("{}.{:06}Z", Moment::at(seconds).rfc3339(), since.subsec_micros())
        }
        _ => "9999-12-31T23:59:59.999999Z".to_owned(),
    }
}

/// The text, cut to at most `max` bytes of JSON.
fn cut(text: &str, max: usize) -> String {
    const MARK: &str = "… (cut)";
    if wide(text) <= max {
        return text.to_owned();
    }
    let mark = if max < MARK.len() { "" } else { MARK };
    let mut room = max - mark.len();
    let fits = |letter: &char| {
        let left = room.checked_sub(wide(&letter.to_string()));
        room = left.unwrap_or(0);
        left.is_some()
    };
    text.chars().take_while(fits).chain(mark.chars()).collect()
}

/// How many bytes of JSON a text takes between the quotes.
fn wide(text: &str) -> usize {
    serde_json::to_string(text).expect("a text").len() - 2
}

/// The name that a derived `Debug` begins with.
fn debug_name(debug: &str) -> Option<String> {
    let is_name = |letter: char| letter == '_' || letter == ':' || letter.is_alphanumeric();
    let end = debug.find(|letter| !is_name(letter)).unwrap_or(debug.len());
    let (name, rest) = debug.split_at(end);
    let is_derived = name.len() <= LONGEST_NAME
        && (rest.is_empty() || rest.starts_with('(') || rest.starts_with(" {"))
        && name.split("::").all(|part| !part.is_empty() && !part.contains(':'))
        && name.rsplit("::").next().is_some_and(|last| last.starts_with(char::is_uppercase));
    let is_io = ["Os {", "Custom {", "Kind("].iter().any(|form| debug.starts_with(form));
    (is_derived && !is_io && name != "Error").then(|| name.to_owned())
}

/// Whether the message has this text already, as whole words.
fn is_said(message: &str, text: &str) -> bool {
    (0..=message.len()).filter(|at| message.is_char_boundary(*at)).any(|at| {
        let (before, rest) = message.split_at(at);
        rest.strip_prefix(text).is_some_and(|after| {
            let joins = |left: Option<char>, right: Option<char>| {
                left.is_some_and(char::is_alphanumeric) && right.is_some_and(char::is_alphanumeric)
            };
            let (first, last) = (text.chars().next(), text.chars().next_back());
            !joins(before.chars().next_back(), first) && !joins(last, after.chars().next())
        })
    })
}

/// The expected type, message and traceback.
fn exception_texts(error: &Layer, type_name: Option<&str>, limit: usize) -> [String; 3] {
    let max = (64 * 1024).min(limit / 2);
    let last =
        |name: &Option<String>| name.as_deref().map(|name| name.rsplit("::").next().map(str::to_owned));
    let mut links: Vec<(Option<String>, String)> = Vec::new();
    let mut room = max;
    let mut layer = Some(error);
    for _ in 0..DEEPEST_CHAIN {
        let Some(Layer { debug, message, cause }) = layer else { break };
        let text = cut(message, room);
        room -= wide(&text);
        let name = type_name.filter(|_| links.is_empty()).map(str::to_owned).or_else(|| debug_name(debug));
        let is_new = links
            .last()
            .is_none_or(|(before, said)| *said != text || (name.is_some() && last(&name) != last(before)));
        if is_new {
            links.push((name, text));
        }
        layer = cause.as_deref();
    }
    let named = match type_name {
        Some(name) => Some(name.to_owned()),
        None => links.iter().rev().find_map(|(name, _)| name.clone()),
    };
    let error_type = cut(named.as_deref().unwrap_or("Error"), LONGEST_NAME.min(limit / 8));
    let mut message = String::new();
    let mut lines = Vec::new();
    for (name, text) in &links {
        let words = text.trim();
        if !is_said(&message, words) {
            message = if message.is_empty() { words.to_owned() } else { format!("{message}: {words}") };
        }
        lines.push(name.as_ref().map_or_else(|| text.clone(), |name| format!("{name}: {text}")));
    }
    let message = cut(&message, (16 * 1024).min(limit / 4));
    [error_type, message, cut(&lines.join("\nCaused by: "), max)]
}

/// The number of errors in a traceback.
const DEEPEST_CHAIN: usize = 64;

/// A longer name is cut, and none if it is read from a `Debug`.
const LONGEST_NAME: usize = 256;

impl Offered {
    fn head(&self) -> EventHeader {
        use Severity::{Critical, Debug, Error, Info, Warning};
        let severity = [Debug, Info, Warning, Error, Critical][usize::from(self.severity) % 5];
        EventHeader { refused: self.refused, severity, time: self.time.system() }
    }

    /// The payload, its kind, and its tokens after the header. `None` where the event is refused.
    fn payload(&self, head: EventHeader) -> Option<(Payload, &'static str, Vec<Token>)> {
        let text = |name: &str, text: &str| [Token::key(name), Token::text(text)];
        Some(match &self.kind {
            Kind::Generic { name, data, limit } => {
                let payload = accepted(head, name, data, usize::from(*limit))?;
                let mut tokens = text("event_name", name).to_vec();
                tokens.push(Token::key("event_data"));
                tokens.extend(object(data));
                (payload, "GENERIC_EVENT", tokens)
            }
            Kind::Exception { type_name, error, limit } => {
                let (type_name, limit) = (type_name.as_deref(), usize::from(*limit));
                let [error_type, message, traceback] = exception_texts(error, type_name, limit);
                let fields =
                    [("error_type", error_type), ("error_message", message), ("traceback", traceback)];
                let tokens = fields.iter().flat_map(|(name, value)| text(name, value)).collect();
                (Payload::exception(head, error, type_name, limit), "UNHANDLED_EXCEPTION", tokens)
            }
            Kind::SessionStart => (Payload::session_start(head), "SESSION_START", Vec::new()),
            Kind::SessionEnd { seconds, nanos } => {
                let (seconds, nanos) = (*seconds, nanos % 1_000_000_000);
                let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
                let shown = format!("{hours}:{minutes:02}:{:02}.{:06}", seconds % 60, nanos / 1000);
                let duration = Duration::new(seconds, nanos);
                (Payload::session_end(head, duration), "SESSION_END", text("duration", &shown).to_vec())
            }
        })
    }
}

/// Deeper data is refused.
const DEEPEST_DATA: usize = 100;

/// The payload of a generic event. `None` where the data is refused for a valid reason.
fn accepted(head: EventHeader, name: &str, data: &Value, limit: usize) -> Option<Payload> {
    let mut tokens = Vec::new();
    data.tokens(&mut tokens);
    let is_too_deep = depth(&tokens) > DEEPEST_DATA;
    match Payload::generic(head, name, data, limit) {
        Ok(payload) => {
            assert!(!is_too_deep, "accepted at depth {}", depth(&tokens));
            Some(payload)
        }
        Err(RefusalReason::TooLarge) => {
            let size = serde_json::to_string(data).expect("data that can be encoded").len();
            assert!(size.max(2) + r#"{"value":}"#.len() > limit, "{size} bytes are too large for {limit}");
            let payload = Payload::generic(head, name, data, usize::MAX).ok();
            assert_eq!(payload.is_none(), is_too_deep);
            payload
        }
        Err(reason) => {
            assert!(reason == RefusalReason::InvalidData && is_too_deep, "refused as {reason:?}");
            None
        }
    }
}

/// The data as an object. An object stays, nothing becomes an empty object, and any other data becomes the field `value`.
fn object(data: &Value) -> Vec<Token> {
    let mut tokens = Vec::new();
    data.tokens(&mut tokens);
    match tokens[0] {
        Token::OpenObject => tokens,
        _ if data.is_nothing() => vec![Token::OpenObject, Token::CloseObject],
        _ => {
            tokens.splice(0..0, [Token::OpenObject, Token::key("value")]);
            tokens.push(Token::CloseObject);
            tokens
        }
    }
}

fn assert_is_typed(event: &Event, index: u64, head: &EventHeader, kind: &Kind) {
    assert_eq!((event.session_index(), event.severity()), (index, head.severity));
    assert_eq!(event.id().get_version_num(), 4);
    let timestamp = match (event, kind) {
        (Event::Generic(event), Kind::Generic { name, .. }) => {
            assert_eq!(event.event_name, *name);
            event.timestamp
        }
        (Event::UnhandledException(event), Kind::Exception { type_name, error, limit }) => {
            let texts = exception_texts(error, type_name.as_deref(), usize::from(*limit));
            let read =
                [&event.error_type, &event.error_message, event.traceback.as_ref().expect("a traceback")];
            assert_eq!(read, texts.each_ref());
            event.timestamp
        }
        (Event::SessionStart(event), Kind::SessionStart) => event.timestamp,
        (Event::SessionEnd(event), Kind::SessionEnd { seconds, nanos }) => {
            assert_eq!(event.duration, Duration::new(*seconds, nanos % 1_000_000_000 / 1000 * 1000));
            event.timestamp
        }
        _ => panic!("{event:?} of another kind"),
    };
    assert_eq!(timestamp, Timestamp::from(head.time));
}

fuzz_target!(|input: Input| {
    let mut events = Vec::new();
    let mut sent = Vec::new();
    let mut tokens = vec![Token::OpenObject, Token::key("events"), Token::OpenList];
    let mut left_out = 0;
    for offered in &input.events {
        let head = offered.head();
        let Some((payload, kind, fields)) = offered.payload(head) else { continue };
        left_out = head.refused.max(left_out);
        let index = left_out.wrapping_add(sent.len() as u64);
        tokens.extend([
            Token::OpenObject,
            Token::key("event"),
            Token::text(kind),
            Token::key("event_id"),
            Token::AnyText,
            Token::key("event_session_index"),
            Token::Integer(index.into()),
            Token::key("severity"),
            Token::text(head.severity.as_str()),
            Token::key("timestamp"),
            Token::text(rfc3339(head.time)),
        ]);
        tokens.extend(fields);
        tokens.push(Token::CloseObject);
        events.push(payload);
        sent.push((index, head, &offered.kind));
    }
    let process = Uuid::from_u128(input.process);
    tokens.extend([
        Token::CloseList,
        Token::key("platform"),
        Token::AnyText,
        Token::key("sdk_version"),
        Token::AnyText,
        Token::key("session_id"),
        Token::text(&input.session_id),
        Token::key("process_uuid"),
        Token::text(process.to_string()),
        Token::CloseObject,
    ]);

    let body = request(&input.session_id, events, process).expect("encoding");
    assert_reads(&body, &tokens);

    let typed: TelemetrySendRequest = serde_json::from_slice(&body).expect("the typed request");
    assert_eq!((&typed.session_id, typed.process_uuid), (&input.session_id, Some(process)));
    assert_eq!(typed.events.len(), sent.len());
    for (event, (index, head, kind)) in typed.events.iter().zip(&sent) {
        assert_is_typed(event, *index, head, kind);
    }

    let payload = |offered: &Offered| offered.payload(offered.head()).map(|(payload, ..)| payload);
    let events = input.events.iter().filter_map(payload).collect();
    let body =
        otlp_request(&typed.session_id, events, &OtlpResource::new(Vec::new(), process)).expect("encoding");
    assert_records(&body, &typed.session_id, &typed.events);
    let _ = otlp_partial_success(&body); // a body of any bytes is read
});
