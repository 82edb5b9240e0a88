//! Why an HTTP request got no answer, in the crate's own words: ureq's words may repeat a URL with a password in it.

use std::fmt;
use std::io::{self, ErrorKind};

use ureq::Error;

/// The cause, for a log line or an event.
pub(crate) fn cause(error: &Error) -> String {
    let words = match error {
        // rustls reports a bad certificate as a failed read.
        #[cfg(feature = "tls")]
        Error::Io(error) if is_tls_error(error) => return format!("TLS: {error}"),
        Error::Io(error) => return io_cause(error),
        Error::Timeout(_) => "timed out",
        Error::HostNotFound => "host not found",
        Error::Protocol(_) | Error::LargeResponseHeader(..) => "not an HTTP answer",
        Error::TooManyRedirects | Error::RedirectFailed => "redirected to nowhere",
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) => "not a request to be sent",
        // ureq's text is "proxy server responded 407/407", or states that the proxy did not answer.
        Error::ConnectProxyFailed(reason) => reason.split('/').next().unwrap_or_default(),
        Error::InvalidProxyUrl => "proxy failed",
        #[cfg(feature = "tls")]
        Error::Rustls(error) => return format!("TLS: {error}"),
        Error::Tls(_) | Error::TlsRequired => "TLS failed",
        _ => "connection failed",
    };
    words.to_owned()
}

/// An I/O error in the crate's own words.
#[derive(Debug)]
pub(crate) struct OwnWords(pub(crate) &'static str);

impl std::error::Error for OwnWords {}

impl fmt::Display for OwnWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The cause of an I/O error, without paths.
pub(crate) fn io_cause(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<OwnWords>()) {
        Some(words) => words.to_string(),
        None if has_no_kind(error) => error.to_string(),
        None => error.kind().to_string(),
    }
}

/// Whether this is an error of the system that the standard library has no name for: too many open files, for example. The
/// system's text names it, and shows no secret.
pub(crate) fn has_no_kind(error: &io::Error) -> bool {
    let unknown = io::Error::from_raw_os_error(i32::MAX);
    error.raw_os_error().is_some() && error.kind() == unknown.kind()
}

/// Whether the system does not allow the connection.
pub(crate) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::PermissionDenied)
}

/// Whether the peer ended the connection.
pub(crate) fn is_broken_connection(error: &Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let Error::Io(error) = error else { return false };
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(feature = "tls")]
fn is_tls_error(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}
