//! Why an HTTP request got no answer, in the crate's own words: ureq's words may repeat a URL with a password in it.

use std::io::ErrorKind;

use ureq::Error;

/// The cause, for a log line or an event.
pub(crate) fn cause(error: &Error) -> String {
    let words = match error {
        // rustls reports a bad certificate as a failed read.
        #[cfg(feature = "tls")]
        Error::Io(error) if is_tls_error(error) => return format!("TLS: {error}"),
        Error::Io(error) => return error.kind().to_string(),
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

/// Whether the peer ended the connection.
pub(crate) fn is_broken_connection(error: &Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let Error::Io(error) = error else { return false };
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(feature = "tls")]
fn is_tls_error(error: &std::io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}
