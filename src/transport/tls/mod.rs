//! Which certificates an HTTPS endpoint may show.

mod anchor;

use std::fs::{self, File};
use std::io::{self, Read};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::failure::http_error::io_cause;
use crate::model::config::Endpoint;
use crate::model::error::StartError;
use crate::process::program_log;

/// Some thirty times what a system's whole bundle has. More is another file.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Trusts what was set in place of Mozilla's roots, or these, and whatever was added.
pub(super) fn config(endpoint: &Endpoint) -> Result<TlsConfig, StartError> {
    let invalid = |setting| move |reason| StartError::InvalidSetting { setting, reason };
    let mut added = Vec::new();
    for pem in &endpoint.added_root_certificates {
        added.extend(parse(pem).map_err(invalid("add_root_certificates"))?);
    }
    #[cfg(feature = "otlp")]
    if let Some((variable, path)) = &endpoint.otlp_certificate {
        let pem = read(path).map_err(|_| invalid(variable)("names a file that cannot be read"))?;
        added
            .extend(parse(&pem).map_err(|_| invalid(variable)("names a file without a certificate in PEM"))?);
        return Ok(TlsConfig::builder().root_certs(added.into()).build());
    }
    added.extend(endpoint.root_certificates_file.as_deref().map(from_file).unwrap_or_default());
    let roots = match &endpoint.root_certificates {
        None if added.is_empty() => RootCerts::WebPki,
        None => anchor::mozilla().chain(added).collect::<Vec<_>>().into(),
        Some(pem) => {
            let mut roots = parse(pem).map_err(invalid("root_certificates"))?;
            roots.extend(added);
            roots.into()
        }
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

/// Those of the file that the environment names. It belongs to the machine, so a fault of it must not end the program.
fn from_file(path: &str) -> Vec<Certificate<'static>> {
    let certificates = read(path).and_then(|pem| parse(&pem).map_err(str::to_owned));
    certificates.unwrap_or_else(|reason| {
        program_log::write(|| {
            log::warn!("telemetry does without the certificates of SSL_CERT_FILE ({path}): it {reason}");
        });
        Vec::new()
    })
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {}", io_cause(&error));
    // To open a named pipe would wait for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut pem = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(MAX_FILE + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if length as u64 > MAX_FILE { Err("is larger than 8 MiB".to_owned()) } else { Ok(pem) }
}

fn parse(pem: &[u8]) -> Result<Vec<Certificate<'static>>, &'static str> {
    let items: Result<Vec<_>, _> = parse_pem(pem).collect();
    let items = items.map_err(|_| "is not PEM")?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    // ureq leaves out what it cannot read, as is right for a system's bundle. If it can read none, nothing would be
    // trusted.
    let readable = certificates.iter().map(|certificate| certificate.der().into());
    if rustls::RootCertStore::empty().add_parsable_certificates(readable).0 == 0 {
        return Err("holds no certificate that can be read");
    }
    Ok(certificates)
}
