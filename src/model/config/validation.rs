//! The one validation: what was set becomes what requests are made of, or an error that names what is wrong.

use std::ffi::OsString;
use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};

use super::environment::read_variable;
use super::protocol::AddedPath;
use super::{Config, CredentialSource, Protocol};
use crate::model::error::StartError;
use crate::model::proxy::{self, Proxy};

/// The size of all added headers together: more than any server takes, and small enough for the buffer that a request's
/// head is written in.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;

impl Config {
    /// Checks everything and puts it into the form that requests are made of.
    pub(crate) fn validate(&self) -> Result<Endpoint, StartError> {
        self.validate_in(|name| std::env::var_os(name))
    }

    /// The same in an environment of these variables.
    pub(crate) fn validate_in(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Endpoint, StartError> {
        let protocol = self.protocol();
        #[cfg(feature = "otlp")]
        self.validate_resource()?;
        let mut headers = HeaderMap::new();
        if let Some(key) = self.valid_api_key(&protocol)? {
            headers.insert("x-api-key", key);
        }
        let mut size = 0;
        for (place, (name, value)) in (1..).zip(&self.headers) {
            let invalid = |reason| StartError::InvalidHeader { place, reason };
            size += name.len() + value.len();
            if size > MAX_HEADER_BYTES {
                return Err(invalid("makes them more than 16 KiB together"));
            }
            let (name, value) = valid_header(name, value, &protocol).map_err(invalid)?;
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
        for (setting, text) in [("sdk_version", &self.sdk_version), ("user_agent", &self.user_agent)] {
            let reason = "is empty, or has a space at its end, or a character that cannot stand in a header";
            secret_header(text).ok_or(StartError::InvalidSetting { setting, reason })?;
        }
        let uri = self.valid_uri()?;
        let proxy = self.valid_proxy(&uri, &variable)?;
        Ok(Endpoint {
            #[cfg(feature = "tls")]
            root_certificates_file: self.root_certificates_file(&uri, proxy.as_ref(), &variable),
            #[cfg(all(feature = "otlp", feature = "tls"))]
            otlp_certificate: self.otlp_certificate(&uri, proxy.as_ref()),
            uri,
            headers,
            proxy,
            root_certificates: self.root_certificates.clone(),
            added_root_certificates: self.added_root_certificates.clone(),
            credentials: self.credentials.clone(),
            has_odd_key: is_odd(&self.api_key),
            #[cfg(feature = "gzip")]
            compresses: self.compresses(),
            #[cfg(feature = "otlp")]
            warnings: self.warnings(),
            protocol,
            user_agent: self.user_agent.clone(),
        })
    }

    /// The proxy on the way to the target. One that was set in code is checked even if it is not used. One in a variable
    /// belongs to the machine, and is checked only if it is used.
    fn valid_proxy(
        &self,
        target: &Uri,
        variable: &impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Proxy>, StartError> {
        let first_of = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, read_variable(variable, name)?)))
        };
        let set = self.proxy.as_deref().map(|url| Proxy::parse(proxy::SETTER, url)).transpose()?;
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

    /// The file of certificates that the environment names, if any of them will be asked for.
    #[cfg(feature = "tls")]
    fn root_certificates_file(
        &self,
        target: &Uri,
        proxy: Option<&Proxy>,
        variable: &impl Fn(&str) -> Option<OsString>,
    ) -> Option<String> {
        let is_wanted = asks_for_certificates(target, proxy) && self.root_certificates.is_none();
        is_wanted.then(|| read_variable(variable, "SSL_CERT_FILE")).flatten()
    }

    /// `None` if it is still to be got, or if the protocol has none.
    fn valid_api_key(&self, protocol: &Protocol) -> Result<Option<HeaderValue>, StartError> {
        if !matches!(protocol, Protocol::Tinker { .. }) {
            let reason = "has no place in an OTLP request: add the header that the server asks for";
            return match (self.api_key.is_empty(), &self.credentials) {
                (true, None) => Ok(None),
                (false, _) => Err(StartError::InvalidSetting { setting: "api_key", reason }),
                (true, Some(_)) => Err(StartError::InvalidSetting { setting: "credentials", reason }),
            };
        }
        if self.api_key.is_empty() {
            return if self.credentials.is_some() { Ok(None) } else { Err(StartError::MissingApiKey) };
        }
        secret_header(&self.api_key).map(Some).ok_or(StartError::InvalidApiKey)
    }

    pub(super) fn valid_uri(&self) -> Result<Uri, StartError> {
        let protocol = self.protocol();
        let invalid = |reason| protocol.invalid_url(reason);
        let AddedPath { path, doubled } = self.added_path();
        let base = self.base_url.as_str();
        let base = if path.is_empty() { base } else { base.trim_end_matches('/') };
        if base.contains(['?', '#']) {
            return Err(invalid("has a query or a fragment, which telemetry has no use for"));
        }
        if !base.contains("://") {
            return Err(invalid("begins with neither http:// nor https://"));
        }
        if !path.is_empty() && base.ends_with(path) {
            return Err(invalid(doubled));
        }
        let not_a_url =
            "is not a URL: it has a space, or a character that is not ASCII, or something is missing";
        let uri: Uri = format!("{base}{path}").parse().map_err(|_| invalid(not_a_url))?;
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
            Some(_) => Err(protocol.insecure_url(host)),
            None => Err(invalid("begins with neither http:// nor https://")),
        }
    }
}

/// A configuration that has been checked.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) uri: Uri,
    pub(crate) protocol: Protocol,
    /// The user's headers and the credentials. Secret ones are marked, so that no `Debug` shows them.
    pub(crate) headers: HeaderMap,
    /// `None` if the endpoint is reached directly.
    pub(crate) proxy: Option<Proxy>,
    /// PEM, in place of Mozilla's. The transport reads it, and says what is wrong with it.
    pub(crate) root_certificates: Option<Vec<u8>>,
    /// PEM, besides.
    pub(crate) added_root_certificates: Vec<Vec<u8>>,
    /// Where to get a key if there is none, or none that is taken.
    pub(crate) credentials: Option<CredentialSource>,
    /// Whether the key does not begin as Tinker's do.
    pub(crate) has_odd_key: bool,
    pub(crate) user_agent: String,
    /// Whether bodies are compressed.
    #[cfg(feature = "gzip")]
    pub(crate) compresses: bool,
    /// Lines for the program's log.
    #[cfg(feature = "otlp")]
    pub(crate) warnings: Vec<String>,
    /// A file of more that the environment names. The transport reads it.
    #[cfg(feature = "tls")]
    pub(crate) root_certificates_file: Option<String>,
    /// A file that OpenTelemetry's environment names, in place of Mozilla's, and the variable that names it.
    #[cfg(all(feature = "otlp", feature = "tls"))]
    pub(crate) otlp_certificate: Option<(&'static str, String)>,
}

/// Whether a server on the way shows certificates.
#[cfg(feature = "tls")]
pub(super) fn asks_for_certificates(target: &Uri, proxy: Option<&Proxy>) -> bool {
    target.scheme() == Some(&Scheme::HTTPS) || proxy.is_some_and(|proxy| proxy.url().starts_with("https://"))
}

#[cfg(all(feature = "spool", unix))]
impl Endpoint {
    /// The URL without the path that was added to it.
    pub(crate) fn base_url(&self) -> String {
        let uri = self.uri.to_string();
        uri.strip_suffix(self.protocol.path().path).unwrap_or(&uri).to_owned()
    }

    /// The account: the key, or, if a source renews the keys, the source. All keys of one source are of one account.
    /// For OTLP any header may be a credential, so all of them together are the account.
    pub(crate) fn account(&self) -> Vec<u8> {
        #[cfg(feature = "otlp")]
        if matches!(self.protocol, Protocol::Otlp { .. }) {
            return self
                .headers
                .iter()
                .flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()].concat())
                .collect();
        }
        match (self.headers.get("x-api-key"), &self.credentials) {
            (Some(key), _) => key.as_bytes().to_vec(),
            (None, Some(CredentialSource::Command(command))) => command.as_bytes().to_vec(),
            (None, Some(CredentialSource::File(path))) => path.as_os_str().as_encoded_bytes().to_vec(),
            (None, Some(CredentialSource::Closure(_)) | None) => Vec::new(),
        }
    }
}

/// Whether a key begins as none of Tinker's does: `tml-`, or a token.
fn is_odd(key: &str) -> bool {
    !key.is_empty() && !key.starts_with("tml-") && !key.starts_with("eyJ")
}

/// Whether the host can only be this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

pub(super) fn valid_header(
    name: &str,
    value: &str,
    protocol: &Protocol,
) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "has a name that is not a header name")?;
    if protocol.sets_header(name.as_str()) {
        return Err("is one that the reporter sets itself");
    }
    // A header that a user adds is likely to be a credential.
    let error =
        "has a value that is empty, or has a space at its end, or a character that cannot stand in a header";
    let value = secret_header(value).ok_or(error)?;
    Ok((name, value))
}

/// A header value that no `Debug` shows. `None` if it is empty or has a character that cannot be sent.
pub(crate) fn secret_header(text: &str) -> Option<HeaderValue> {
    let printable = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let padded = text.starts_with(' ') || text.ends_with(' '); // would not arrive as it was sent
    let mut value = HeaderValue::from_str(text).ok().filter(|_| printable && !padded)?;
    value.set_sensitive(true);
    Some(value)
}
