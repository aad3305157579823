//! The certificates that are trusted: those of the system, or those that the user names.
//!
//! As OpenSSL reads them: `SSL_CERT_FILE` (certificates in PEM, one after the other), `SSL_CERT_DIR`
//! (folders of such files with names like `5ed36f99.0`, with colons between); without these, the first of
//! the places where systems keep them.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::ffi::OsStr;
use std::fs;
use std::time::SystemTime;

/// Where systems keep them.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// Where certificates are read from, and when that was written last.
pub type Source = ([Option<String>; 2], Option<SystemTime>);

/// What [`load`] would read now, by the variables of the environment.
pub fn source(var: impl Fn(&str) -> Option<String>) -> Source {
    let (file, folders) = (var("SSL_CERT_FILE"), var("SSL_CERT_DIR"));
    let written = |path: &str| fs::metadata(path).and_then(|file| file.modified()).ok();
    let when = match &file {
        Some(path) => written(path),
        None => BUNDLES.iter().find_map(|path| written(path)),
    };
    ([file, folders], when)
}

/// Reads all of them, by the variables of the environment; or says why there is none.
pub fn load(var: impl Fn(&str) -> Option<String>) -> Result<RootCertStore, String> {
    let named = |name: &str| var(name).filter(|value| !value.is_empty());
    let mut roots = RootCertStore::empty();
    let (file, folders) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
    let is_named = file.is_some() || folders.is_some();
    if let Some(path) = file {
        let pem = fs::read(&path).map_err(|e| format!("SSL_CERT_FILE: {path}: {e}"))?;
        add(&mut roots, &pem);
    }
    let folders = folders.unwrap_or_default();
    for folder in folders.split(':').filter_map(|folder| fs::read_dir(folder).ok()) {
        let entries = folder.filter_map(core::result::Result::ok);
        for entry in entries.filter(|entry| is_hash(&entry.file_name())) {
            if let Ok(pem) = fs::read(entry.path()) {
                add(&mut roots, &pem);
            }
        }
    }
    if !is_named && let Some(pem) = BUNDLES.iter().find_map(|path| fs::read(path).ok()) {
        add(&mut roots, &pem);
    }
    match roots.is_empty() {
        false => Ok(roots),
        true if is_named => Err("SSL_CERT_FILE and SSL_CERT_DIR name no certificates".into()),
        true => Err("this machine has no certificates to trust: \
                     install its package ca-certificates, or set SSL_CERT_FILE to a file of them (PEM)"
            .into()),
    }
}

/// Adds the certificates of a file; what is none, or has forms that nobody reads any more, is left out.
fn add(roots: &mut RootCertStore, pem: &[u8]) {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(core::result::Result::ok);
    roots.add_parsable_certificates(certificates);
}

/// Whether a file has the name that `openssl rehash` gives: other files beside it have the same contents.
fn is_hash(name: &OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('.'));
    parts.is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|b| b.is_ascii_hexdigit())
            && number.parse::<u32>().is_ok()
    })
}
