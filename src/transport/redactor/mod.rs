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
mod tests;
