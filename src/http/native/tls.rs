//! TLS over a connection, as client: 1.2 and 1.3, by rustls with ring.

use super::socket::{Socket, cut, describe, lasting};
use crate::certificate::{self, Verifier};
use crate::http::TransportError;
use crate::sys;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, ClientConnection, Error};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Sessions that are remembered, of all servers together, eight of each.
const SESSIONS: usize = 256;

/// What connections have in common, and the certificates that it trusts.
static SHARED: sys::Mutex<Option<(certificate::Source, Arc<ClientConfig>)>> = sys::Mutex::new(None);

/// A connection whose handshake is over.
pub struct Tls {
    session: ClientConnection,
    /// What it runs on.
    pub socket: Socket,
}

/// What all connections of the process have in common: also the sessions, so that another token's first
/// connection to a server needs no new handshake. Made anew where other certificates are to be trusted.
pub fn config() -> Result<Arc<ClientConfig>, TransportError> {
    let source = certificate::source(sys::env_var);
    let mut shared = SHARED.lock();
    if let Some((known, config)) = &*shared
        && *known == source
    {
        return Ok(Arc::clone(config));
    }
    let config = read_config()?;
    *shared = Some((source, Arc::clone(&config)));
    Ok(config)
}

/// Reads the certificates that are trusted.
fn read_config() -> Result<Arc<ClientConfig>, TransportError> {
    let roots = certificate::load(sys::env_var).map_err(lasting)?;
    let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(describe_tls)?;
    let verifier = Verifier::new(roots, algorithms);
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// We show no certificate of our own: without ring's, the code that signs is left out.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::NoCertificatesPresented)
    }
}

impl Tls {
    /// Shakes hands with the server of that name.
    pub fn new(
        config: Arc<ClientConfig>,
        host: &str,
        socket: Socket,
    ) -> Result<Tls, TransportError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| lasting(format!("'{host}' can't be in a certificate")))?;
        let session = ClientConnection::new(config, name).map_err(describe_tls)?;
        let mut tls = Tls { session, socket };
        while tls.session.is_handshaking() {
            if tls.session.wants_write() { tls.send()? } else { tls.receive()? }
        }
        Ok(tls)
    }

    /// Whether nothing came since the last answer, not even the end of the connection.
    pub fn is_quiet(&mut self) -> bool {
        let state = self.session.process_new_packets();
        state.is_ok_and(|state| !state.peer_has_closed() && state.plaintext_bytes_to_read() == 0)
            && self.socket.is_quiet()
    }

    /// Reads bytes, 0 when the server said that it ends the connection.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, TransportError> {
        loop {
            match self.session.reader().read(bytes) {
                Ok(len) => return Ok(len),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.receive()?,
                Err(_) => return Err(cut()),
            }
        }
    }

    /// Writes all bytes.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), TransportError> {
        while !bytes.is_empty() {
            let len = self.session.writer().write(bytes).map_err(describe)?;
            bytes = bytes.get(len..).unwrap_or_default();
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), TransportError> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket).map_err(describe)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), TransportError> {
        let len = self.session.read_tls(&mut self.socket).map_err(describe)?;
        match self.session.process_new_packets() {
            Ok(_) if len == 0 && self.session.is_handshaking() => Err(cut()),
            Ok(_) => self.send(),
            Err(error) => {
                // The alert that tells the server; if it does not get there, so be it.
                let _ = self.send();
                Err(describe_tls(error))
            }
        }
    }
}

/// What does not hold now does not hold in a second either.
fn describe_tls(error: Error) -> TransportError {
    match error {
        Error::InvalidCertificate(error) => {
            let (what, would_trust_help) = certificate::describe(&error);
            let mut reason = format!("the server's certificate {what}");
            if would_trust_help {
                reason
                    .push_str("; to trust it, or a CA of your own, set SSL_CERT_FILE to its file");
            }
            lasting(reason)
        }
        Error::AlertReceived(alert) => {
            lasting(format!("TLS: the server gave up with alert {}", u8::from(alert)))
        }
        Error::PeerIncompatible(_) => lasting("TLS: the server has no TLS 1.2 or 1.3 that suits"),
        Error::InvalidMessage(_) => lasting("TLS: the answer is not TLS; is it an http:// server?"),
        _ => lasting("TLS: the server's messages can't be used"),
    }
}
