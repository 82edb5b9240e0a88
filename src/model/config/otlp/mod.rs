//! Where to send in place of Tinker's backend: an endpoint that speaks OTLP, the protocol of OpenTelemetry.
//!
//! [`Config`] holds this for a reporter of such an endpoint, and nothing of it for one of Tinker's. The invariants: what
//! the environment says is read once, when the configuration is made; a variable that cannot be used is a warning that
//! names it, and is otherwise taken for unset; no warning has a variable's value, which may be a credential.

mod environment;
mod list;

use std::time::Duration;

#[cfg(feature = "tls")]
use http::uri::Uri;

use super::Config;
#[cfg(feature = "tls")]
use super::validation::asks_for_certificates;
use crate::model::error::StartError;
#[cfg(feature = "tls")]
use crate::model::proxy::Proxy;

/// The size of the resource. It is in every request.
const MAX_RESOURCE: usize = 16 * 1024;

/// What a configuration has for an OTLP endpoint only. But for the URL's form, all of it is from the environment.
#[derive(Clone, Default)]
pub(super) struct OtlpSettings {
    /// Whether the URL is used as it is. Else the path of logs is added.
    pub(super) has_whole_url: bool,
    is_disabled: bool,
    timeout: Option<Duration>,
    /// A file of certificates to trust in place of Mozilla's, and the variable that names it.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no server shows a certificate"))]
    certificate: Option<(&'static str, String)>,
    #[cfg_attr(not(feature = "gzip"), expect(dead_code, reason = "nothing can be compressed"))]
    pub(super) compresses: Option<bool>,
    /// What could not be used, as lines for the program's log.
    warnings: Vec<String>,
}

impl Config {
    /// Reports to an OpenTelemetry collector, or to any other server that takes OTLP over HTTP, in place of Tinker's
    /// backend. `endpoint` is the URL before `/v1/logs`, which is added: `http://localhost:4318` for a collector on this
    /// machine. Needs no API key. The credentials that a server asks for are headers ([`header`](Self::header)).
    ///
    /// Bodies are protobuf, compressed with the feature `gzip`. Reads no variable of the environment but those of proxies
    /// and `SSL_CERT_FILE`, as [`Config::new`] does; [`otlp_from_env`](Self::otlp_from_env) reads OpenTelemetry's.
    ///
    /// `http://` is refused at `start` unless the host is loopback or
    /// [`allow_insecure_http`](Self::allow_insecure_http) says otherwise. So are user info and a query, which may be
    /// credentials, and would be in logs. (By its specification an exporter may ignore a query. That would send events
    /// elsewhere than was asked.)
    ///
    /// ```
    /// use tinker_telemetry::{Config, Reporter};
    ///
    /// let config = Config::otlp("http://localhost:4318").resource("service.name", "trainer");
    /// let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").start()?;
    /// # Ok::<(), tinker_telemetry::StartError>(())
    /// ```
    pub fn otlp(endpoint: impl Into<String>) -> Self {
        let mut config = Self::new("").base_url(endpoint);
        config.otlp = Some(OtlpSettings::default());
        config
    }

    /// Reads the environment as OpenTelemetry's exporters of logs do. Each variable with `OTLP` in its name has a second form
    /// for logs alone, such as `OTEL_EXPORTER_OTLP_LOGS_HEADERS`, which wins:
    ///
    /// - `OTEL_EXPORTER_OTLP_ENDPOINT`: the URL before `/v1/logs`. `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT` is used as it is:
    ///   nothing is added. Defaults to `http://localhost:4318`.
    /// - `OTEL_EXPORTER_OTLP_HEADERS`: headers as `key=value,key=value`, percent-encoded.
    /// - `OTEL_EXPORTER_OTLP_TIMEOUT`: milliseconds for one attempt, unless the builder's
    ///   [`http_timeout`](crate::Builder::http_timeout) is set. `0` is no limit, which is 24 h here.
    /// - `OTEL_EXPORTER_OTLP_CERTIFICATE`: a PEM file of certificate authorities to trust in place of Mozilla's and of
    ///   those in `SSL_CERT_FILE`, unless [`root_certificates`](Self::root_certificates) is set. `start` reads it for an
    ///   `https://` endpoint. If it cannot be used, there is a warning, and telemetry is off: other authorities were not
    ///   asked for.
    /// - `OTEL_EXPORTER_OTLP_COMPRESSION`: `gzip`, which needs the feature `gzip`, or `none`.
    /// - `OTEL_EXPORTER_OTLP_PROTOCOL`: any other than `http/protobuf` is a warning, since nothing else is spoken.
    ///
    /// The others have one form. `OTEL_RESOURCE_ATTRIBUTES` (`key=value,key=value`, percent-encoded) is what the program says
    /// of itself, as [`resource`](Self::resource) does, which wins. `OTEL_SERVICE_NAME` wins over a `service.name` in it.
    /// `OTEL_SDK_DISABLED=true` switches telemetry off as `DO_NOT_TRACK=1` does. `TINKER_TELEMETRY` and `DO_NOT_TRACK` hold
    /// too.
    ///
    /// A variable that is unset or empty leaves its default. So does one that cannot be read, such as a list with an entry
    /// without `=`: `start` writes one warning, which names the variable and never shows its value. A list is taken as a
    /// whole or not at all. Only an endpoint that cannot be used is an error of `start`, as with `TINKER_BASE_URL`.
    pub fn otlp_from_env() -> Self {
        Self::otlp_from_variables(|name| std::env::var_os(name))
    }

    /// An attribute of the resource: what the program says of itself in each request to an OTLP endpoint, such as
    /// `service.name`, `service.version` or `deployment.environment.name`. A later call with the same key replaces an
    /// earlier one. An error at `start` if the key is empty, if all are more than 16 KiB, or if the endpoint is not an OTLP
    /// endpoint. Defaults to what the environment says with [`otlp_from_env`](Self::otlp_from_env), else to none, beside
    /// what the reporter knows by itself.
    pub fn resource(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let key = key.into();
        self.resource.retain(|(other, _)| *other != key);
        self.resource.push((key, value.into()));
        self
    }

    /// The URL is another than the environment's.
    pub(super) fn add_path_of_logs(&mut self) {
        if let Some(otlp) = &mut self.otlp {
            otlp.has_whole_url = false;
        }
    }

    /// Whether OpenTelemetry's own switch is off.
    pub(crate) fn is_disabled(&self) -> bool {
        self.otlp.as_ref().is_some_and(|otlp| otlp.is_disabled)
    }

    /// How long the environment allows an attempt to take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.otlp.as_ref()?.timeout
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.otlp.as_ref().map(|otlp| otlp.warnings.clone()).unwrap_or_default()
    }

    pub(super) fn validate_resource(&self) -> Result<(), StartError> {
        let rules = [
            (self.resource.is_empty() || self.otlp.is_some(), "needs an OTLP endpoint: see Config::otlp"),
            (self.resource.iter().all(|(key, _)| !key.is_empty()), "has an attribute without a key"),
            (size_of(&self.resource) <= MAX_RESOURCE, "must be at most 16 KiB in all"),
        ];
        let broken = rules.into_iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, reason)| Err(StartError::InvalidSetting { setting: "resource", reason }))
    }

    /// The file of certificates that the environment names, if any of them will be asked for.
    #[cfg(feature = "tls")]
    pub(super) fn otlp_certificate(
        &self,
        target: &Uri,
        proxy: Option<&Proxy>,
    ) -> Option<(&'static str, String)> {
        let is_wanted = asks_for_certificates(target, proxy) && self.root_certificates.is_none();
        self.otlp.as_ref()?.certificate.clone().filter(|_| is_wanted)
    }
}

/// The bytes of keys and values.
fn size_of(list: &[(String, String)]) -> usize {
    list.iter().map(|(key, value)| key.len() + value.len()).sum()
}

#[cfg(test)]
mod tests;
