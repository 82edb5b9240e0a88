//! Which protocol an endpoint speaks, and what the configuration derives from that.

use super::Config;
use crate::model::error::StartError;

/// How requests are written, and what answers mean. A reporter has one endpoint, and an endpoint speaks one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON, as the official SDK sends it.
    Tinker {
        /// The version that requests name.
        sdk_version: String,
    },
    /// OTLP over HTTP, with bodies in protobuf.
    #[cfg(feature = "otlp")]
    Otlp {
        /// What the program says of itself in each request: keys and values.
        resource: Vec<(String, String)>,
    },
}

impl Protocol {
    pub(super) fn path(&self) -> AddedPath {
        match self {
            Self::Tinker { .. } => AddedPath {
                path: "/api/v1/telemetry",
                doubled: "ends with /api/v1/telemetry, which is added to it",
            },
            #[cfg(feature = "otlp")]
            Self::Otlp { .. } => {
                AddedPath { path: "/v1/logs", doubled: "ends with /v1/logs, which is added to it" }
            }
        }
    }

    pub(super) fn invalid_url(&self, reason: &'static str) -> StartError {
        match self {
            Self::Tinker { .. } => StartError::InvalidBaseUrl { reason },
            #[cfg(feature = "otlp")]
            Self::Otlp { .. } => StartError::InvalidOtlpEndpoint { reason },
        }
    }

    pub(super) fn insecure_url(&self, host: &str) -> StartError {
        let host = host.to_owned();
        match self {
            Self::Tinker { .. } => StartError::InsecureBaseUrl { host },
            #[cfg(feature = "otlp")]
            Self::Otlp { .. } => StartError::InsecureOtlpEndpoint { host },
        }
    }

    /// Whether requests have this header from the reporter itself. A server of OTLP may want one of Tinker's, with a meaning
    /// of its own.
    pub(super) fn sets_header(&self, name: &str) -> bool {
        ALWAYS_SET.contains(&name)
            || match self {
                Self::Tinker { .. } => TINKERS.contains(&name) || name.starts_with("x-stainless-"),
                #[cfg(feature = "otlp")]
                Self::Otlp { .. } => false,
            }
    }
}

impl Config {
    pub(super) fn protocol(&self) -> Protocol {
        #[cfg(feature = "otlp")]
        if self.otlp.is_some() {
            return Protocol::Otlp { resource: self.resource.clone() };
        }
        Protocol::Tinker { sdk_version: self.sdk_version.clone() }
    }

    /// What is added to the URL that was set.
    pub(super) fn added_path(&self) -> AddedPath {
        #[cfg(feature = "otlp")]
        if self.otlp.as_ref().is_some_and(|otlp| otlp.has_whole_url) {
            return AddedPath { path: "", doubled: "" };
        }
        self.protocol().path()
    }

    #[cfg(feature = "gzip")]
    pub(super) fn compresses(&self) -> bool {
        #[cfg(feature = "otlp")]
        if let Some(otlp) = &self.otlp {
            return self.gzip.or(otlp.compresses).unwrap_or(true);
        }
        self.gzip.unwrap_or(false)
    }
}

/// Headers that the reporter sets itself, or that frame the request. One of the user's would contradict them.
const ALWAYS_SET: [&str; 11] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
];

const TINKERS: [&str; 2] = ["x-api-key", "x-idempotency-key"];

/// Tinker's, from a program without an SDK of its own.
impl Default for Protocol {
    fn default() -> Self {
        Self::Tinker { sdk_version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// A path that is added to a URL. Empty: the URL is used as it is.
pub(super) struct AddedPath {
    pub(super) path: &'static str,
    /// What is wrong with a URL that has it already.
    pub(super) doubled: &'static str,
}
