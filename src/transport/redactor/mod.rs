//! Keeps secrets out of the program's log: at level `TRACE` the HTTP client logs the requests that it sends, headers
//! and all. It is given veils, asterisks as many as the secret has letters, and the secrets take their places where
//! the bytes leave for the connection, after they were logged.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::process::fork::Process;

/// The headers of a request that are secret.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<[Secret]>);

/// A header's line as the client writes it, and as it is sent. Both are of one length.
struct Secret {
    veiled: Vec<u8>,
    sent: Vec<u8>,
}

impl Secrets {
    /// Veils the headers that are marked as sensitive.
    pub(super) fn veil(headers: &mut HeaderMap) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in headers.iter_mut().filter(|(_, value)| value.is_sensitive()) {
            let line = |value: &[u8]| [b"\r\n", name.as_str().as_bytes(), b": ", value, b"\r\n"].concat();
            let Ok(mut veil) = HeaderValue::from_bytes(&vec![b'*'; value.len()]) else { continue };
            veil.set_sensitive(true);
            secrets.push(Secret { veiled: line(veil.as_bytes()), sent: line(value.as_bytes()) });
            *value = veil;
        }
        Self(secrets.into())
    }
}

/// Stands over the secrets of one process's connections.
#[derive(Clone)]
pub(super) struct Veil {
    secrets: Secrets,
    home: Process,
}

impl Veil {
    pub(super) fn over(secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone(), home: Process::current() }
    }

    /// Puts the secrets into bytes that are about to be sent. No body is mistaken for a head: JSON has line breaks
    /// between its tokens at most, where no header can stand.
    fn lift(&self, bytes: &mut [u8]) {
        if !bytes.contains(&b'\r') {
            return; // a body, which may be large
        }
        for Secret { veiled, sent } in &*self.secrets.0 {
            if let Some(at) = bytes.windows(veiled.len()).position(|window| window == veiled) {
                bytes[at..at + sent.len()].copy_from_slice(sent);
            }
        }
    }
}

impl<In: Transport> Connector<In> for Veil {
    type Out = Veiled<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Veiled<In>>, Error> {
        Ok(chained.map(|connection| Veiled { connection, veil: self.clone() }))
    }
}

/// A connection that sends what is behind the veil.
#[derive(Debug)]
pub(super) struct Veiled<In> {
    connection: In,
    veil: Veil,
}

impl<In: Transport> Transport for Veiled<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.veil.home.exit_if_forked(); // the client has logged since, and a logger may have forked
        self.veil.lift(&mut self.connection.buffers().output()[..amount]);
        self.connection.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Veil").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(secrets: &[(&'static str, &'static str)]) -> HeaderMap {
        let value = |text| {
            let mut value = HeaderValue::from_static(text);
            value.set_sensitive(true);
            value
        };
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("*/*"));
        for (name, text) in secrets {
            headers.append(*name, value(text));
        }
        headers
    }

    /// The head as the client would write it.
    fn head(headers: &HeaderMap) -> Vec<u8> {
        let mut head = b"POST / HTTP/1.1\r\n".to_vec();
        for (name, value) in headers {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        [head, b"\r\n".to_vec()].concat()
    }

    #[test]
    fn what_is_written_shows_no_secret_and_what_is_sent_has_them_all_in_place() {
        // Two of one name and length, side by side, and one that begins as another ends.
        let secrets = [("x-api-key", "tml-1"), ("x-team", "ab"), ("x-team", "cd"), ("key", "efghi")];
        let mut veiled = headers(&secrets);
        let veil = Veil::over(&Secrets::veil(&mut veiled));
        let mut bytes = head(&veiled);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(secrets.iter().all(|(_, secret)| !text.contains(secret)), "{text}");
        assert!(text.contains("accept: */*"));
        veil.lift(&mut bytes);
        assert_eq!(bytes, head(&headers(&secrets)));
    }

    #[test]
    fn bytes_without_a_veil_are_sent_as_they_are() {
        let veil = Veil::over(&Secrets::veil(&mut headers(&[("x-api-key", "tml-1")])));
        let body = br#"{"events":["x-api-key: *****\r\n"]}"#;
        let mut bytes = body.to_vec();
        veil.lift(&mut bytes);
        assert_eq!(bytes, body);
        veil.lift(&mut []);
    }

    #[test]
    fn debug_shows_no_secret() {
        let veil = Veil::over(&Secrets::veil(&mut headers(&[("x-api-key", "tml-1")])));
        assert!(!format!("{veil:?}").contains("tml"));
    }
}
