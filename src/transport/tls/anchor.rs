//! Mozilla's roots as certificates.
//!
//! ureq trusts either Mozilla's roots or a list of certificates, not both. The roots are here as names and keys, because
//! nothing else of a trusted certificate is ever looked at. So each becomes the smallest certificate that has its name, its
//! key and its constraints. Its other fields are empty, and its signature too: a root is trusted because it is in the list.

use ureq::tls::Certificate;
use webpki_roots::TLS_SERVER_ROOTS;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// Fields 0 and 3 of a certificate's body.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The object identifier 2.5.29.30, with its tag.
const NAME_CONSTRAINTS: [u8; 5] = [0x06, 3, 0x55, 0x1d, 0x1e];

pub(super) fn mozilla() -> impl Iterator<Item = Certificate<'static>> {
    TLS_SERVER_ROOTS.iter().map(|root| {
        let constraints = root.name_constraints.as_deref();
        Certificate::from_der(&certificate(&root.subject, &root.subject_public_key_info, constraints))
            .to_owned()
    })
}

fn certificate(subject: &[u8], key: &[u8], name_constraints: Option<&[u8]>) -> Vec<u8> {
    let empty = der(SEQUENCE, &[]);
    let extensions = name_constraints.map(|constraints| {
        let value = der(OCTET_STRING, &der(SEQUENCE, constraints));
        let extension = der(SEQUENCE, &[&NAME_CONSTRAINTS[..], &value].concat());
        der(EXTENSIONS, &der(SEQUENCE, &extension))
    });
    let body = [
        der(VERSION, &der(INTEGER, &[2])), // the third version
        der(INTEGER, &[1]),                // the serial number
        empty.clone(),                     // the algorithm of the signature
        empty.clone(),                     // the issuer
        empty.clone(),                     // the dates
        der(SEQUENCE, subject),
        der(SEQUENCE, key),
        extensions.unwrap_or_default(),
    ];
    der(SEQUENCE, &[der(SEQUENCE, &body.concat()), empty, der(BIT_STRING, &[0])].concat())
}

/// A value with its tag and its length, which DER writes in as few bytes as it can.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match length {
        [] => out.push(0),
        [short @ ..0x80] => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(value);
    out
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;

    use super::*;

    #[test]
    fn every_root_of_mozilla_comes_out_as_it_went_in() {
        let mut store = RootCertStore::empty();
        let certificates: Vec<_> = mozilla().collect();
        let ders = certificates.iter().map(|certificate| certificate.der().into());
        assert_eq!(store.add_parsable_certificates(ders), (TLS_SERVER_ROOTS.len(), 0));
        assert_eq!(store.roots, TLS_SERVER_ROOTS);
    }

    #[test]
    fn constraints_of_names_are_kept() {
        let root = &TLS_SERVER_ROOTS[0];
        // Permitted: the names below `.example`.
        let constraints = [0xa0, 12, 0x30, 10, 0x82, 8, b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e'];
        let der = certificate(&root.subject, &root.subject_public_key_info, Some(&constraints));
        let mut store = RootCertStore::empty();
        assert_eq!(store.add_parsable_certificates([der.into()]), (1, 0));
        assert_eq!(store.roots[0].name_constraints.as_deref(), Some(&constraints[..]));
    }
}
