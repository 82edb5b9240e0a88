//! When a key expires. Tokens (`eyJ…`) say it themselves: they are JSON Web Tokens, and the claim `exp` is a Unix time.
//!
//! The signature is the server's to check. A wrong claim costs one question to the key's source.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::HeaderValue;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

/// When the key expires, if it is a token that says so.
pub(in crate::transport) fn expiry(key: &HeaderValue) -> Option<SystemTime> {
    let payload = key.to_str().ok().filter(|key| key.starts_with("eyJ"))?.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(claims.exp).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry_of(payload: &str) -> Option<SystemTime> {
        let token = format!("eyJhbGciOiJub25lIn0.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload));
        expiry(&HeaderValue::from_str(&token).unwrap())
    }

    #[test]
    fn a_token_says_when_it_expires() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(expiry_of(r#"{"sub": "ü", "exp": 1700000000}"#), Some(expected));
        assert_eq!(expiry_of(r#"{"exp": 1700000000.0}"#), Some(expected));
    }

    #[test]
    fn a_token_that_says_no_time_and_any_other_key_do_not_expire() {
        for payload in
            ["", "{}", "[]", r#"{"exp": null}"#, r#"{"exp": "soon"}"#, r#"{"exp": -1}"#, r#"{"exp": 1e300}"#]
        {
            assert_eq!(expiry_of(payload), None, "{payload}");
        }
        for key in ["tml-a.b.c", "eyJ", "eyJ.", "eyJ.*.", "eyJ..", "tml-\u{e9}"] {
            assert_eq!(expiry(&HeaderValue::from_bytes(key.as_bytes()).unwrap()), None, "{key}");
        }
    }
}
