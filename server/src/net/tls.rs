//! TLS, with a certificate and a key from two files that may be renewed while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::reload::Reloaded;

/// What a server proves its name with.
pub struct Tls {
    config: Reloaded<ServerConfig>,
}

impl Tls {
    /// Reads the certificate, followed by those that vouch for it, and the key, both PEM.
    pub fn new(cert: PathBuf, key: PathBuf) -> Result<Tls, String> {
        let paths = vec![cert.clone(), key.clone()];
        let load = move || config(&cert, &key);
        Ok(Tls { config: Reloaded::new("the TLS certificate", paths, load)? })
    }

    /// Takes handshakes, with the files as they are now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.get())
    }
}

fn config(cert: &Path, key: &Path) -> Result<ServerConfig, String> {
    let unreadable = |option: &str, path: &Path, what: &str, error: pem::Error| {
        let error = match error {
            pem::Error::Io(error) => error.to_string(),
            // Other errors may quote what is in the file.
            _ => format!("there is no {what} in it"),
        };
        format!("{option} {}: {error}", path.display())
    };
    let no_cert = |error| unreadable("--tls-cert", cert, "PEM certificate", error);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).map_err(no_cert)?.collect();
    let chain = chain.map_err(no_cert)?;
    if chain.is_empty() {
        return Err(no_cert(pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("--tls-key", key, "PEM private key", error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| {
            let (cert, key) = (cert.display(), key.display());
            format!("--tls-cert {cert} and --tls-key {key}: {error}")
        })?;
    // A client that comes back need not be proved the name again; nothing about it is kept here.
    config.ticketer = ring::Ticketer::new().map_err(|error| format!("TLS: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
