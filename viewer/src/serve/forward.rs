//! Passes requests on to a real backend, and its answers back: bytes and headers unchanged, nothing of them kept.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderValue, Request, Response, Uri};
use ureq::{Agent, AsSendBody, Body as AnswerBody, SendBody};

use super::trust;
use crate::http::{Answer, Body, Connection, Head};

const CONNECT: Duration = Duration::from_secs(10);
/// Meant for this connection alone (RFC 9110, 7.6.1), or said anew for the next.
const OWN: [&str; 10] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const NOT_SECURE: &str = "no secure connection; SSL_CERT_FILE can name other authorities to trust";

pub struct Forward {
    base: String,
    agent: Agent,
}

/// The base alone: the agent's parts are of no interest.
impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A request's body.
pub enum Payload<'a, 'b> {
    Whole(&'a [u8]),
    Streamed(&'a mut Body<'b>),
}

/// The backend's answer, or ours where there is none.
pub enum Passed {
    Answered(Response<AnswerBody>),
    Failed(Answer),
}

impl Forward {
    pub fn new(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("--forward: {error}"))?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(
                "--forward: a URL such as https://tinker.example/services/tinker-prod is needed".into()
            );
        };
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(
                "--forward: the page shows this URL, so it may hold no user, password or query".into()
            );
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .timeout_connect(Some(CONNECT))
            .user_agent("")
            .accept("")
            .tls_config(trust::config()?);
        if matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]") {
            config = config.proxy(None);
        }
        Ok(Self { base: url.trim_end_matches('/').into(), agent: config.build().into() })
    }

    pub fn shown(&self) -> &str {
        &self.base
    }

    pub fn pass(&self, head: &Head, payload: Payload<'_, '_>) -> Passed {
        match self.request(head, payload) {
            Ok(response) => Passed::Answered(response),
            // The error may quote what was sent; its kind is enough.
            Err(error) => Passed::Failed(Answer::detail(
                502,
                &format!("{} did not answer: {}", self.base, kind(&error)),
            )),
        }
    }

    fn request(&self, head: &Head, payload: Payload<'_, '_>) -> Result<Response<AnswerBody>, ureq::Error> {
        let mut request =
            Request::builder().method(head.method.as_str()).uri(format!("{}{}", self.base, head.target));
        for (name, value) in &head.headers {
            let own = OWN.iter().any(|own| name.eq_ignore_ascii_case(own));
            if let (false, Ok(value)) = (own, HeaderValue::from_bytes(value)) {
                request = request.header(name, value);
            }
        }
        match payload {
            Payload::Whole(bytes) => self.send(request, bytes),
            Payload::Streamed(body)
                if body.is_empty() && matches!(head.method.as_str(), "GET" | "HEAD" | "DELETE") =>
            {
                Ok(self.agent.run(request.body(())?)?)
            }
            Payload::Streamed(body) => self.send(request, SendBody::from_reader(body)),
        }
    }

    fn send(
        &self,
        request: ureq::http::request::Builder,
        body: impl AsSendBody,
    ) -> Result<Response<AnswerBody>, ureq::Error> {
        let request =
            self.agent.configure_request(request.body(body)?).allow_non_standard_methods(true).build();
        self.agent.run(request)
    }
}

impl Passed {
    pub fn status(&self) -> u16 {
        match self {
            Self::Answered(response) => response.status().as_u16(),
            Self::Failed(answer) => answer.status(),
        }
    }

    /// Whether the client's connection is of further use.
    pub fn answer(&mut self, connection: &mut Connection, head: &Head) -> io::Result<bool> {
        let response = match self {
            Self::Answered(response) => response,
            Self::Failed(answer) => {
                connection.answer(answer, head)?;
                return Ok(true);
            }
        };
        let status = response.status();
        let mut bytes =
            format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default())
                .into_bytes();
        let bodiless = head.method == "HEAD" || matches!(status.as_u16(), 204 | 304);
        let sized = response.headers().contains_key("content-length");
        write_headers(response.headers(), &mut bytes);
        let chunked = !bodiless && !sized && head.keep_alive;
        bytes.extend_from_slice(match (chunked, head.keep_alive) {
            (true, _) => b"transfer-encoding: chunked\r\n\r\n",
            (false, true) => b"\r\n",
            (false, false) => b"connection: close\r\n\r\n",
        });
        connection.write(&bytes)?;
        if !bodiless {
            copy(&mut response.body_mut().as_reader(), connection, chunked)?;
        }
        Ok(true)
    }
}

fn write_headers(headers: &HeaderMap, into: &mut Vec<u8>) {
    for (name, value) in headers {
        if !OWN.contains(&name.as_str()) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                into.extend_from_slice(part);
            }
        }
    }
}

/// Passes each part on as it comes: an answer may be a stream.
fn copy(from: &mut impl Read, to: &mut Connection, chunked: bool) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if chunked {
            to.write(format!("{read:x}\r\n").as_bytes())?;
            to.write(&buffer[..read])?;
            to.write(b"\r\n")?;
        } else {
            to.write(&buffer[..read])?;
        }
        if read == 0 {
            return Ok(());
        }
    }
}

fn kind(error: &ureq::Error) -> String {
    match error {
        // Of a certificate that is not trusted, too.
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => NOT_SECURE.into(),
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Timeout(_) => "it took too long".into(),
        ureq::Error::HostNotFound => "its name is not known".into(),
        ureq::Error::ConnectionFailed => "it cannot be reached".into(),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => NOT_SECURE.into(),
        _ => "the request could not be passed on".into(),
    }
}
