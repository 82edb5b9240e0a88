//! Keeps secrets out of the program's log.
//!
//! At level `TRACE` the HTTP client logs the requests that it sends, headers and all. So the client is given asterisks,
//! as many as the secret has bytes. The secrets take their places when the bytes leave for the connection, after they
//! were logged.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};

/// The headers of a request that are secret.
#[derive(Clone, Default)]
pub(in crate::transport) struct Secrets(Arc<[Secret]>);

/// A header's line as the client writes it, and as it is sent. Both have one length.
struct Secret {
    redacted: Vec<u8>,
    sent: Vec<u8>,
}

impl Secrets {
    /// Takes the values out of the headers that are marked as sensitive, and puts asterisks there.
    pub(in crate::transport) fn take_from(headers: &mut HeaderMap) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in headers.iter_mut().filter(|(_, value)| value.is_sensitive()) {
            let line = |value: &[u8]| [b"\r\n", name.as_str().as_bytes(), b": ", value, b"\r\n"].concat();
            let Ok(mut asterisks) = HeaderValue::from_bytes(&vec![b'*'; value.len()]) else { continue };
            asterisks.set_sensitive(true);
            secrets.push(Secret { redacted: line(asterisks.as_bytes()), sent: line(value.as_bytes()) });
            *value = asterisks;
        }
        Self(secrets.into())
    }
}

/// Puts the secrets back into bytes on their way to the network.
#[derive(Clone)]
pub(super) struct Redactor {
    secrets: Secrets,
}

impl Redactor {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone() }
    }

    /// Puts the secrets into the head of a request that is about to be sent.
    pub(super) fn restore(&self, bytes: &mut [u8]) {
        for Secret { redacted, sent } in &*self.secrets.0 {
            if let Some(at) = bytes.windows(redacted.len()).position(|window| window == redacted) {
                bytes[at..at + sent.len()].copy_from_slice(sent);
            }
        }
    }
}

/// The head of a request, if the bytes begin with one. The client sends a head at once, and a body apart from it.
pub(super) fn head_of(bytes: &mut [u8]) -> Option<&mut [u8]> {
    if !bytes.starts_with(b"POST ") {
        return None; // a body, a handshake, or the request for a tunnel
    }
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    Some(&mut bytes[..end])
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
