//! Where to send, and as whom: endpoint, credentials, environment, and their one validation. The environment is read here and
//! nowhere else.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
#[cfg(all(feature = "spool", unix))]
use std::path::PathBuf;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};

use crate::model::error::StartError;
use crate::model::proxy::{self, Proxy};

/// Where Tinker's backend listens.
const DEFAULT_BASE_URL: &str = "https://tinker.thinkingmachines.dev/services/tinker-prod";
const TELEMETRY_PATH: &str = "/api/v1/telemetry";

/// The size of all added headers together: more than any server takes, and small enough for the buffer that a request's
/// head is written in.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Headers that the reporter sets itself, or that frame the request. One of the user's would contradict them.
const RESERVED_HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
    "x-api-key",
    "x-idempotency-key",
];

/// Where to send, and as whom.
///
/// The setters only store their values. [`Builder::start`](crate::Builder::start) checks everything once, and names what is
/// wrong. `Debug` shows no secret.
///
/// ```
/// use tinker_telemetry::{Config, Reporter};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let reporter = Reporter::builder(config, "session-0001").start()?;
/// # Ok::<(), tinker_telemetry::StartError>(())
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing until a reporter is started with it"]
pub struct Config {
    api_key: String,
    base_url: String,
    headers: Vec<(String, String)>,
    cloudflare_access: Option<(String, String)>,
    proxy: Option<String>,
    no_proxy: Option<String>,
    root_certificates: Option<Vec<u8>>,
    allow_insecure_http: bool,
}

impl Config {
    /// Reports to Tinker's own backend with this API key.
    pub fn new(api_key: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            base_url: DEFAULT_BASE_URL.to_owned(),
            headers: Vec::new(),
            cloudflare_access: None,
            proxy: None,
            no_proxy: None,
            root_certificates: None,
            allow_insecure_http: false,
        }
    }

    /// Reads the environment: `TINKER_API_KEY`, `TINKER_BASE_URL`, and `CLOUDFLARE_ACCESS_CLIENT_ID` with
    /// `CLOUDFLARE_ACCESS_CLIENT_SECRET`, each without white space around it. A variable that is unset or empty leaves its
    /// default. If there is no key, `start` returns an error.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let read = |name: &str| read_variable(&variable, name);
        let mut config = Self::new(read("TINKER_API_KEY").unwrap_or_default());
        if let Some(url) = read("TINKER_BASE_URL") {
            config = config.base_url(url);
        }
        let (id, secret) = (read("CLOUDFLARE_ACCESS_CLIENT_ID"), read("CLOUDFLARE_ACCESS_CLIENT_SECRET"));
        if id.is_some() || secret.is_some() {
            config = config.cloudflare_access(id.unwrap_or_default(), secret.unwrap_or_default());
        }
        config
    }

    /// The URL before `/api/v1/telemetry`. A trailing slash is dropped. Defaults to Tinker's own backend.
    ///
    /// `http://` is refused at `start` unless the host is loopback or
    /// [`allow_insecure_http`](Self::allow_insecure_http) says otherwise; so are user info and a query.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Adds a header to every request. May be called more than once. Headers that the reporter sets itself are
    /// refused at `start`, and so are more than 16 KiB of them. Defaults to none.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The service token for an endpoint behind Cloudflare Access, sent as `CF-Access-Client-Id` and
    /// `CF-Access-Client-Secret`. Defaults to none.
    pub fn cloudflare_access(
        mut self,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        self.cloudflare_access = Some((client_id.into(), client_secret.into()));
        self
    }

    /// The proxy to send through: `http://user:password@host:port`. Only the host is required; the port defaults to
    /// 1080. User and password are percent-encoded. With the feature `tls` the proxy may be `https://` (port 443), and its
    /// certificate must be trusted too.
    ///
    /// Defaults to the environment's when the reporter starts, for [`Config::new`] as well: `HTTPS_PROXY`, else
    /// `ALL_PROXY`, the lower case spelling first, as curl reads them. For an `http://` endpoint it is `http_proxy`, in
    /// lower case only.
    ///
    /// Every request is tunnelled (`CONNECT`), so no proxy sees the API key of an `https://` endpoint. Loopback is
    /// always reached directly. A proxy that cannot be used is refused at `start`.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// let config = Config::new("tml-example").proxy("http://proxy.example:3128").no_proxy("localhost, .example");
    /// ```
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// The hosts that are reached without a proxy, separated by commas or white space: names, which stand for all
    /// names below them too, IP addresses, and networks as `10.0.0.0/8`. `*` is every host: no proxy at all; an empty
    /// list exempts no host. Defaults to the variable `NO_PROXY`, the lower case spelling first.
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = Some(hosts.into());
        self
    }

    /// Trusts these certificate authorities (PEM, one or more) instead of the ones that Mozilla trusts. Defaults to
    /// Mozilla's.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Allows `http://` to hosts other than loopback: the API key then crosses the network for anyone to read.
    /// Defaults to `false`.
    pub fn allow_insecure_http(mut self, allow: bool) -> Self {
        self.allow_insecure_http = allow;
        self
    }

    /// Checks everything and puts it into the form that requests are made of.
    pub(crate) fn validate(&self) -> Result<Endpoint, StartError> {
        self.validate_in(|name| std::env::var_os(name))
    }

    /// The same in an environment of these variables.
    pub(crate) fn validate_in(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Endpoint, StartError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", self.valid_api_key()?);
        let mut size = 0;
        for (place, (name, value)) in (1..).zip(&self.headers) {
            let invalid = |reason| StartError::InvalidHeader { place, reason };
            size += name.len() + value.len();
            if size > MAX_HEADER_BYTES {
                return Err(invalid("makes them more than 16 KiB together"));
            }
            let (name, value) = valid_header(name, value).map_err(invalid)?;
            headers.append(name, value);
        }
        if let Some((id, secret)) = &self.cloudflare_access {
            let secret_value = |text: &str| {
                secret_header(text).ok_or(StartError::InvalidSetting {
                    setting: "cloudflare_access",
                    reason: "(CLOUDFLARE_ACCESS_CLIENT_ID and _SECRET) needs both id and secret, \
                             of characters that can stand in a header",
                })
            };
            headers.insert("cf-access-client-id", secret_value(id)?);
            headers.insert("cf-access-client-secret", secret_value(secret)?);
        }
        let uri = self.valid_uri()?;
        let proxy = self.valid_proxy(&uri, variable)?;
        Ok(Endpoint { uri, headers, proxy, root_certificates: self.root_certificates.clone() })
    }

    /// The proxy on the way to the target. One that was set in code is checked even if it is not used. One in a variable
    /// belongs to the machine, and is checked only if it is used.
    fn valid_proxy(
        &self,
        target: &Uri,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Proxy>, StartError> {
        let first_of = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, read_variable(&variable, name)?)))
        };
        let set = self.proxy.as_deref().map(|url| Proxy::parse("proxy", url)).transpose()?;
        let host = target.host().unwrap_or_default();
        let no_proxy = self.no_proxy.clone().or_else(|| first_of(&proxy::EXCEPT).map(|(_, list)| list));
        if is_loopback(host) || no_proxy.is_some_and(|list| proxy::is_exempt(host, &list)) {
            return Ok(None);
        }
        if set.is_some() {
            return Ok(set);
        }
        let is_https = target.scheme() == Some(&Scheme::HTTPS);
        let named = if is_https { first_of(&proxy::FOR_HTTPS) } else { first_of(&proxy::FOR_HTTP) };
        named.map(|(name, url)| Proxy::parse(name, &url)).transpose()
    }

    fn valid_api_key(&self) -> Result<HeaderValue, StartError> {
        if self.api_key.is_empty() {
            return Err(StartError::MissingApiKey);
        }
        secret_header(&self.api_key).ok_or(StartError::InvalidApiKey)
    }

    fn valid_uri(&self) -> Result<Uri, StartError> {
        let invalid = |reason| StartError::InvalidBaseUrl { reason };
        let base = self.base_url.trim_end_matches('/');
        if base.contains(['?', '#']) {
            return Err(invalid("has a query or a fragment, which telemetry has no use for"));
        }
        if !base.contains("://") {
            return Err(invalid("begins with neither http:// nor https://"));
        }
        if base.ends_with(TELEMETRY_PATH) {
            return Err(invalid("ends with /api/v1/telemetry, which is added to it"));
        }
        let not_a_url =
            "is not a URL: it has a space, or a character that is not ASCII, or something is missing";
        let uri: Uri = format!("{base}{TELEMETRY_PATH}").parse().map_err(|_| invalid(not_a_url))?;
        let authority = uri.authority().ok_or_else(|| invalid("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("has a user name or a password in it"));
        }
        let host = authority.host();
        proxy::check_host(host).map_err(invalid)?;
        let behind_host = authority.as_str().strip_prefix(host).unwrap_or_default();
        if !behind_host.is_empty() && behind_host.strip_prefix(':').and_then(proxy::parse_port).is_none() {
            return Err(invalid("has an invalid port"));
        }
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS && !cfg!(feature = "tls") => {
                Err(invalid("is https, and this program was built without the feature `tls`"))
            }
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
            Some(scheme) if *scheme != Scheme::HTTP => Err(invalid("is neither http:// nor https://")),
            Some(_) if self.allow_insecure_http || is_loopback(host) => Ok(uri),
            Some(_) => Err(StartError::InsecureBaseUrl { host: host.to_owned() }),
            None => Err(invalid("begins with neither http:// nor https://")),
        }
    }
}

/// A configuration that has been checked.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) uri: Uri,
    /// The user's headers and the credentials. Secret ones are marked, so that no `Debug` shows them.
    pub(crate) headers: HeaderMap,
    /// `None` if the endpoint is reached directly.
    pub(crate) proxy: Option<Proxy>,
    /// PEM. The transport reads it, and says what is wrong with it.
    pub(crate) root_certificates: Option<Vec<u8>>,
}

#[cfg(all(feature = "spool", unix))]
impl Endpoint {
    /// The URL before `/api/v1/telemetry`.
    pub(crate) fn base_url(&self) -> String {
        let uri = self.uri.to_string();
        uri.strip_suffix(TELEMETRY_PATH).unwrap_or(&uri).to_owned()
    }

    pub(crate) fn api_key(&self) -> &[u8] {
        self.headers.get("x-api-key").map(HeaderValue::as_bytes).unwrap_or_default()
    }
}

/// Whether the host can only be this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn valid_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "has a name that is not a header name")?;
    if RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-stainless-") {
        return Err("is one that the reporter sets itself");
    }
    // A header that a user adds is likely to be a credential.
    let error =
        "has a value that is empty, or has a space at its end, or a character that cannot stand in a header";
    let value = secret_header(value).ok_or(error)?;
    Ok((name, value))
}

/// A header value that no `Debug` shows. `None` if it is empty or has a character that cannot be sent.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let printable = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let padded = text.starts_with(' ') || text.ends_with(' '); // would not arrive as it was sent
    let mut value = HeaderValue::from_str(text).ok().filter(|_| printable && !padded)?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether this is a job of continuous integration: its machine has no next run.
#[cfg(all(feature = "spool", unix))]
pub(crate) fn is_ci() -> bool {
    let wish = read_variable(&|name: &str| std::env::var_os(name), "CI");
    wish.is_some_and(|wish| !matches!(wish.to_ascii_lowercase().as_str(), "0" | "false"))
}

/// Where programs keep what they need again at their next run: `XDG_STATE_HOME`, else `~/.local/state`. A path that does
/// not begin at the root counts as none.
#[cfg(all(feature = "spool", unix))]
pub(crate) fn state_home() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    path("XDG_STATE_HOME").or_else(|| path("HOME").map(|home| home.join(".local/state")))
}

/// Whether the environment wants telemetry.
pub(crate) fn is_wanted() -> bool {
    wanted_by(|name| std::env::var_os(name))
}

fn wanted_by(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let read = |name| read_variable(&variable, name).unwrap_or_default().to_ascii_lowercase();
    let is_no = |wish: &str| matches!(wish, "0" | "false" | "no" | "off");
    let (telemetry, do_not_track) = (read("TINKER_TELEMETRY"), read("DO_NOT_TRACK"));
    let wanted = match telemetry.as_str() {
        "" | "1" | "true" | "yes" | "on" => true,
        unclear if !is_no(unclear) => {
            log::warn!("TINKER_TELEMETRY is neither on nor off, so telemetry is off");
            false
        }
        _ => false,
    };
    wanted && (do_not_track.is_empty() || is_no(&do_not_track))
}

/// A variable's text without surrounding white space. `None` if it is unset or empty. Text that is not Unicode keeps a
/// character that no header or URL may have, so the validation finds it.
fn read_variable(variable: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<String> {
    let text = variable(name)?.to_string_lossy().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only, and only texts that can be names: another text may be a value in the wrong place.
        let names = self.headers.iter().map(|(name, _)| HeaderName::from_bytes(name.as_bytes()).ok());
        let header_names: Vec<_> = names.collect();
        f.debug_struct("Config")
            // Not even the URL as it is: it may hold a password, which `start` would refuse.
            .field("endpoint", &self.valid_uri().map(|uri| uri.to_string()))
            .field("headers", &header_names)
            .field("cloudflare_access", &self.cloudflare_access.is_some())
            .field(
                "proxy",
                &self
                    .proxy
                    .as_ref()
                    .map(|url| Proxy::parse("proxy", url).map(|proxy| proxy.place().to_owned())),
            )
            .field("no_proxy", &self.no_proxy)
            .field("root_certificates", &self.root_certificates.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
