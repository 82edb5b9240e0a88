//! Which certificates an HTTPS endpoint may show.

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::model::error::StartError;

/// Trusts the certificates of the PEM text, or without a text those that Mozilla trusts.
pub(super) fn config(pem: Option<&[u8]>) -> Result<TlsConfig, StartError> {
    let roots = match pem {
        Some(pem) => parse(pem)?,
        None => RootCerts::WebPki,
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

fn parse(pem: &[u8]) -> Result<RootCerts, StartError> {
    let invalid = |reason| StartError::InvalidSetting { setting: "root_certificates", reason };
    let items: Result<Vec<_>, _> = parse_pem(pem).collect();
    let items = items.map_err(|_| invalid("is not PEM"))?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    // ureq leaves out what it cannot read, as is right for a system's bundle. If it can read none, nothing would be
    // trusted.
    let readable = certificates.iter().map(|certificate| certificate.der().into());
    if rustls::RootCertStore::empty().add_parsable_certificates(readable).0 == 0 {
        return Err(invalid("holds no certificate that can be read"));
    }
    Ok(certificates.into())
}
