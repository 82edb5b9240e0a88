//! Writes random events as requests to Tinker's backend and as requests to an OpenTelemetry collector, for
//! `.ci/otlp_judge.py` to compare: `<n>.json` and `<n>.pb` in the folder that is named.

use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};
use tinker_telemetry::Severity;
use tinker_telemetry::internals::{EventHeader, OtlpResource, Payload, otlp_request, request};
use uuid::Uuid;

const REQUESTS: u64 = 200;
const EVENTS: u64 = 100;
const SESSION: &str = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64";

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder");
    let process = Uuid::from_u128(7);
    let resource = OtlpResource::new(vec![("service.name".to_owned(), "judged".to_owned())], process);
    let (mut json_bytes, mut otlp_bytes) = (0, 0);
    for number in 1..=REQUESTS {
        let events = || {
            let mut random = Random(number);
            (0..1 + number % EVENTS).map(|index| event(index, &mut random)).collect()
        };
        let json = request(SESSION, events(), process)?;
        let otlp = otlp_request(SESSION, events(), &resource)?;
        (json_bytes, otlp_bytes) = (json_bytes + json.len(), otlp_bytes + otlp.len());
        std::fs::write(Path::new(&folder).join(format!("{number}.json")), json)?;
        std::fs::write(Path::new(&folder).join(format!("{number}.pb")), otlp)?;
    }
    println!("{json_bytes} bytes of JSON, {otlp_bytes} bytes of OTLP");
    Ok(())
}

fn event(index: u64, random: &mut Random) -> Payload {
    let severities =
        [Severity::Debug, Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
    let severity = severities[random.below(5)];
    let micros = random.next() >> 13; // up to the year 2041
    let time = UNIX_EPOCH + Duration::from_micros(micros) + Duration::from_nanos(random.next() % 1_000);
    let header = EventHeader { refused: 0, severity, time };
    match index % 10 {
        0 => Payload::session_start(header),
        1 => Payload::session_end(header, Duration::from_micros(random.next() >> 24)),
        2 => Payload::exception(header, &io::Error::other(random.text()), None, 10_000),
        3 => Payload::generic(header, &random.text(), &nested(random.below(100)), usize::MAX)
            .expect("depth 100"),
        _ => Payload::generic(header, &random.text(), &random.object(4), usize::MAX).expect("valid data"),
    }
}

fn nested(levels: usize) -> Value {
    let in_one = |value, level| if level % 2 == 0 { Value::from(vec![value]) } else { in_object(value) };
    in_object((0..levels.saturating_sub(1)).fold(Value::from(1.5), in_one))
}

fn in_object(value: Value) -> Value {
    Value::Object(Map::from_iter([("deep".to_owned(), value)]))
}

/// The splitmix64 generator: the same events for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn text(&mut self) -> String {
        let alphabet: Vec<char> = "abcdefghij._\"\\\n\u{1}\u{7f}ä€😀".chars().collect();
        let longest = if self.below(50) == 0 { 20_000 } else { 24 };
        (0..self.below(longest)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn key(&mut self) -> String {
        match self.below(30) {
            0 => "session.id".to_owned(),
            1 => "log.record.uid".to_owned(),
            2 => "tinker.event.index".to_owned(),
            _ => format!("k{}", self.text()),
        }
    }

    fn object(&mut self, levels: usize) -> Value {
        (0..self.below(6)).map(|_| (self.key(), self.value(levels - 1))).collect::<Map<_, _>>().into()
    }

    fn value(&mut self, levels: usize) -> Value {
        match self.below(if levels == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => (self.next() % 2 == 0).into(),
            2 => self.next().into(),
            3 => (self.next() as i64 >> self.below(64)).into(),
            4 => f64::from_bits(self.next()).into(), // null, if it is not finite
            5 => ((self.next() as i32) as f64 / 256.0).into(),
            6 => self.text().into(),
            7 => (0..self.below(5)).map(|_| self.value(levels - 1)).collect::<Vec<_>>().into(),
            _ => self.object(levels),
        }
    }
}
