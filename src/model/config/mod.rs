//! Where to send, and as whom: endpoint, credentials, environment, and their one validation.

mod environment;
#[cfg(feature = "otlp")]
mod otlp;
mod protocol;
mod validation;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::HeaderName;

#[cfg(feature = "spool")]
pub(crate) use environment::state_home;
pub(crate) use environment::{Mode, is_ci, mode, no_color};
pub(crate) use protocol::Protocol;
pub(crate) use validation::{Endpoint, secret_header};

use crate::model::proxy::{self, Proxy};

/// Where Tinker's backend listens.
const DEFAULT_BASE_URL: &str = "https://tinker.thinkingmachines.dev/services/tinker-prod";

/// Where to send, and as whom.
///
/// The setters only store their values. [`Builder::start`](crate::Builder::start) checks everything once, and names what is
/// wrong. `Debug` shows no secret.
///
/// ```
/// use tinker_telemetry::{Config, Reporter};
///
/// let config = Config::new("tml-example").base_url("http://127.0.0.1:8080");
/// let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").start()?;
/// # Ok::<(), tinker_telemetry::StartError>(())
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing until a reporter is started with it"]
pub struct Config {
    api_key: String,
    credentials: Option<CredentialSource>,
    base_url: String,
    headers: Vec<(String, String)>,
    cloudflare_access: Option<(String, String)>,
    proxy: Option<String>,
    no_proxy: Option<String>,
    root_certificates: Option<Vec<u8>>,
    added_root_certificates: Vec<Vec<u8>>,
    allow_insecure_http: bool,
    sdk_version: String,
    user_agent: String,
    /// `None` for Tinker's own protocol.
    #[cfg(feature = "otlp")]
    otlp: Option<otlp::OtlpSettings>,
    /// What the program says of itself to an OTLP endpoint. No key is in it twice.
    #[cfg(feature = "otlp")]
    resource: Vec<(String, String)>,
    #[cfg(feature = "gzip")]
    gzip: Option<bool>,
}

/// Where an API key comes from that is not known yet, or is no longer taken. Asked on a thread of its own.
#[derive(Clone)]
pub(crate) enum CredentialSource {
    Closure(Arc<dyn Fn() -> Option<String> + Send + Sync>),
    /// For the shell, which prints the key.
    Command(String),
    /// As `tinker auth login` writes it.
    File(PathBuf),
}

impl Config {
    /// Reports to Tinker's own backend with this API key.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// let config = Config::new("tml-example");
    /// assert!(!format!("{config:?}").contains("tml-example")); // no key in a log
    /// ```
    pub fn new(api_key: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            credentials: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            headers: Vec::new(),
            cloudflare_access: None,
            proxy: None,
            no_proxy: None,
            root_certificates: None,
            added_root_certificates: Vec::new(),
            allow_insecure_http: false,
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
            user_agent: concat!("tinker-telemetry/", env!("CARGO_PKG_VERSION")).to_owned(),
            #[cfg(feature = "otlp")]
            otlp: None,
            #[cfg(feature = "otlp")]
            resource: Vec::new(),
            #[cfg(feature = "gzip")]
            gzip: None,
        }
    }

    /// Reads the environment as the official SDK does. The key is that of `TINKER_API_KEY`, else what the command in
    /// `TINKER_CREDENTIAL_CMD` prints if it succeeds, else the default one in `~/.tinker/credentials.json`, which `tinker auth login` writes.
    /// The command runs, and the file is read, when the first batch is sent, and again when a token has expired and after a
    /// 401. A command has 5 s, and less if a `stop` has no time left. Then it is killed, with all that it has started.
    ///
    /// The others are `TINKER_BASE_URL`, and `CLOUDFLARE_ACCESS_CLIENT_ID` with
    /// `CLOUDFLARE_ACCESS_CLIENT_SECRET`, each without white space and quotes around it. A variable that is unset or empty leaves its
    /// default. If there is none of the three, `start` returns an error.
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let builder = Reporter::builder(Config::from_env(), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64");
    /// ```
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The API key, in place of one that the environment has or could get. Defaults to that one, or to the one that
    /// [`new`](Self::new) was given.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// let config = Config::from_env().api_key("tml-example"); // everything else as the environment says
    /// ```
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = api_key.into();
        self.credentials = None;
        self
    }

    /// Where to get an API key: for tokens that expire. The closure is asked when there is no key yet, once when a token
    /// (`eyJ…`) says that its time is over, and once after each batch that was answered 401, which is then sent again once with
    /// the new key. It runs on a thread of its own and has 5 s;
    /// it never holds up a caller or a [`stop`](crate::Reporter::stop). `None`, a panic and a text that cannot stand in a
    /// header mean that there is no key now; the batch is retried as if no server were there. Defaults to the environment's
    /// with [`from_env`](Self::from_env), else to none.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// # fn fetch_token() -> Option<String> { None }
    /// let config = Config::new("").credentials(fetch_token);
    /// ```
    pub fn credentials(mut self, source: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.credentials = Some(CredentialSource::Closure(Arc::new(source)));
        self
    }

    /// The URL before `/api/v1/telemetry`, or before `/v1/logs` for an OTLP endpoint. A trailing slash is dropped. Defaults to
    /// Tinker's own backend.
    ///
    /// `http://` is refused at `start` unless the host is loopback or
    /// [`allow_insecure_http`](Self::allow_insecure_http) says otherwise; so are user info and a query.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// let config = Config::new("tml-example").base_url("https://telemetry.example/team-a");
    /// ```
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        #[cfg(feature = "otlp")]
        self.add_path_of_logs();
        self
    }

    /// Adds a header to every request. May be called more than once. Headers that the reporter sets itself are
    /// refused at `start`, and so are more than 16 KiB of them. Defaults to none.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// let config = Config::new("tml-example").header("x-team", "samplers");
    /// ```
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
    /// certificate must be trusted too. It may also be `socks5://` or `socks4://`, or, for the proxy to look up the
    /// endpoint's name, `socks5h://` or `socks4a://`.
    ///
    /// Defaults to the environment's when the reporter starts, for [`Config::new`] as well: `HTTPS_PROXY`, else
    /// `ALL_PROXY`, the lower case spelling first, as curl reads them. For an `http://` endpoint it is `http_proxy`, in
    /// lower case only.
    ///
    /// Every request is tunnelled (`CONNECT` or SOCKS), so no proxy sees the API key of an `https://` endpoint. Loopback is
    /// always reached directly. A proxy that was set here and cannot be used is an error at `start`. One of the environment
    /// that cannot be used is a warning, and switches telemetry off: it belongs to the machine, which must not end the program.
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

    /// Trusts these certificate authorities (PEM, one or more) instead of the ones that Mozilla trusts, and instead of those
    /// in the file that `SSL_CERT_FILE` names. Defaults to both of these.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Trusts these certificate authorities (PEM, one or more) too. May be called more than once. Defaults to none.
    ///
    /// `SSL_CERT_FILE` does the same from outside the program, unless [`root_certificates`](Self::root_certificates) is set.
    /// It names a PEM file, which `start` reads. A file that cannot be read is a warning that names it, and nothing else.
    /// `SSL_CERT_DIR` is not read.
    pub fn add_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.added_root_certificates.push(pem.into());
        self
    }

    /// Allows `http://` to hosts other than loopback: the API key then crosses the network for anyone to read.
    /// Defaults to `false`.
    pub fn allow_insecure_http(mut self, allow: bool) -> Self {
        self.allow_insecure_http = allow;
        self
    }

    /// The version of the SDK that embeds this crate. The backend decides by it what the program may use, and this crate's
    /// own number is also one of the official SDK's. It is sent as `sdk_version` and `x-stainless-package-version`. Defaults
    /// to this crate's version.
    pub fn sdk_version(mut self, version: impl Into<String>) -> Self {
        self.sdk_version = version.into();
        self
    }

    /// The header `user-agent`, for example `my-sdk/1.2`. Defaults to `tinker-telemetry/` and this crate's version.
    ///
    /// ```
    /// use tinker_telemetry::Config;
    ///
    /// let config = Config::from_env().sdk_version("1.2.0").user_agent("my-sdk/1.2.0");
    /// ```
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    #[cfg(feature = "gzip")]
    /// Whether request bodies of at least 1 KB are compressed. A server that answers 400 or 415 to a compressed body gets the
    /// same body plain, at once, and no compressed one any more if that helped. Answers are never compressed. Defaults to
    /// `true` for an OTLP endpoint, unless the environment says otherwise, and to `false` for Tinker's.
    pub fn gzip(mut self, compress: bool) -> Self {
        self.gzip = Some(compress);
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only, and only texts that can be names: another text may be a value in the wrong place.
        let names = self.headers.iter().map(|(name, _)| HeaderName::from_bytes(name.as_bytes()).ok());
        let header_names: Vec<_> = names.collect();
        let mut config = f.debug_struct("Config");
        #[cfg(feature = "otlp")]
        config.field("resource", &self.resource.iter().map(|(key, _)| key).collect::<Vec<_>>());
        #[cfg(feature = "gzip")]
        config.field("gzip", &self.gzip);
        config
            // Not even the URL as it is: it may hold a password, which `start` would refuse.
            .field("has_api_key", &!self.api_key.is_empty())
            .field("has_credentials", &self.credentials.is_some())
            .field("endpoint", &self.valid_uri().map(|uri| uri.to_string()))
            .field("headers", &header_names)
            .field("cloudflare_access", &self.cloudflare_access.is_some())
            .field(
                "proxy",
                &self
                    .proxy
                    .as_ref()
                    .map(|url| Proxy::parse(proxy::SETTER, url).map(|proxy| proxy.place().to_owned())),
            )
            .field("no_proxy", &self.no_proxy)
            .field("sdk_version", &self.sdk_version)
            .field("user_agent", &self.user_agent)
            .field("root_certificates", &self.root_certificates.is_some())
            .field("added_root_certificates", &self.added_root_certificates.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
