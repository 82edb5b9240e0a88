//! Which certificate authorities a backend's certificate may come from.

use std::{env, fs};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

const VARIABLE: &str = "SSL_CERT_FILE";

/// Those of the file that `SSL_CERT_FILE` names, as OpenSSL has it; else Mozilla's.
pub fn config() -> Result<TlsConfig, String> {
    let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
        return Ok(TlsConfig::default());
    };
    let roots = fs::read(&path).map_err(|error| error.to_string()).and_then(|pem| certificates(&pem));
    let roots = roots.map_err(|reason| format!("{VARIABLE} ({}): {reason}", path.to_string_lossy()))?;
    Ok(TlsConfig::builder().root_certs(RootCerts::from(roots)).build())
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| "it is not PEM")? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err("it holds no certificate".into()) } else { Ok(certificates) }
}
