//! An answer whose whole body is at hand.

/// Nothing but ourselves may run or load in the page, nothing may frame it, and nothing is guessed.
const SAFETY: &str = "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n\
    cross-origin-resource-policy: same-origin\r\ncache-control: no-cache\r\n";

#[derive(Debug)]
pub struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, body: body.into() }
    }

    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A refusal as the backend words it.
    pub fn detail(status: u16, detail: &str) -> Self {
        Self::json(status, serde_json::json!({ "detail": detail }).to_string())
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn bytes(&self, keep_alive: bool, with_body: bool) -> Vec<u8> {
        let mut bytes = head(
            self.status,
            &format!(
                "content-type: {}\r\ncontent-length: {}\r\n{}",
                self.content_type,
                self.body.len(),
                if keep_alive { "" } else { "connection: close\r\n" },
            ),
        );
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// The head of an answer that is written as it comes, until the connection ends.
    pub fn endless(content_type: &str, extra: &str) -> Vec<u8> {
        head(200, &format!("content-type: {content_type}\r\nconnection: close\r\n{extra}"))
    }
}

fn head(status: u16, headers: &str) -> Vec<u8> {
    let reason = ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    format!("HTTP/1.1 {status} {}\r\n{SAFETY}{headers}\r\n", reason.unwrap_or_default()).into_bytes()
}
