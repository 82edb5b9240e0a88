//! The lists of OpenTelemetry's variables: `key=value,key=value`, percent-encoded, as in W3C Baggage.
//!
//! A list with a fault is refused as a whole. OpenTelemetry asks for that for `OTEL_RESOURCE_ATTRIBUTES`. For headers it
//! says nothing; half of the headers could send events to another tenant than all of them.

/// Keys and values, decoded. Entries without a character are left out.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(parse_entry).collect()
}

fn parse_entry(entry: &str) -> Result<(String, String), &'static str> {
    let (key, value) = entry.split_once('=').ok_or("has an entry without `=`")?;
    let (key, value) = (decode(key.trim())?, decode(value.trim())?);
    if key.is_empty() {
        return Err("has an entry without a key");
    }
    Ok((key, value))
}

fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low).ok_or(NOT_ENCODED)?
            }
            (b'%', _) => return Err(NOT_ENCODED),
            (other, _) => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 where it is decoded")
}

const NOT_ENCODED: &str = "has a percent sign without two hexadecimal digits behind it";

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
