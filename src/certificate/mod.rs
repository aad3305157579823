//! Whose certificates count, for the extension and for the verbs of `litevfs-cloud`: the CAs that are
//! trusted (`roots`), and what a server's certificate must be.
//!
//! rustls takes a certificate that one of the trusted ones signed. Here one counts as well that is itself
//! among them, as it does for curl: what `openssl req -x509` makes is its own CA. Nobody but the holder of
//! its key gets through a handshake with it. It must be valid now, for servers, and for the name.

mod roots;

pub use roots::{Source, load, source};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::fmt;

/// The extension that says what a certificate is for, as DER has its name; and two purposes.
const USE: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x25];
const FOR_SERVERS: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const FOR_ANYTHING: [u8; 6] = [0x06, 0x04, 0x55, 0x1d, 0x25, 0x00];

/// See the module.
pub struct Verifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Takes certificates that go back to one of these, by these algorithms.
    pub fn new(roots: RootCertStore, algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier { roots, algorithms }
    }

    /// Whether a certificate has the name and the key of a trusted one.
    fn is_trusted(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut alone = RootCertStore::empty();
        let _ = alone.add(certificate.clone().into_owned());
        let Some(this) = alone.roots.first() else { return false };
        self.roots.roots.iter().any(|root| {
            root.subject == this.subject
                && root.subject_public_key_info == this.subject_public_key_info
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        // Either is found after the certificate was found to be valid now.
        match signed {
            Err(Error::InvalidCertificate(error)) if is_unknown(&error) => {
                if !self.is_trusted(end_entity) {
                    return Err(CertificateError::UnknownIssuer.into());
                }
                if !is_for_servers(end_entity) {
                    return Err(CertificateError::InvalidPurpose.into());
                }
            }
            signed => signed?,
        }
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether nobody who is trusted signed a certificate, or it was not asked who did because it is a CA's.
fn is_unknown(error: &CertificateError) -> bool {
    match error {
        // The others where somebody of the issuer's name is trusted, with another key.
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
        CertificateError::Other(OtherError(error)) => {
            matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// Whether a trusted certificate says nothing of its use, or that it is for servers. What is trusted does
/// not deceive, so it is enough to look for the words.
fn is_for_servers(certificate: &[u8]) -> bool {
    let has = |words: &[u8]| certificate.windows(words.len()).any(|here| here == words);
    !has(&USE) || has(&FOR_SERVERS) || has(&FOR_ANYTHING)
}

/// What is wrong with the server's certificate, to be read behind these words; and whether it would help
/// to trust its issuer.
pub fn describe(error: &CertificateError) -> (&'static str, bool) {
    use CertificateError as C;
    match error {
        C::Expired | C::ExpiredContext { .. } => ("has expired", false),
        C::NotValidYet | C::NotValidYetContext { .. } => {
            ("is not valid yet; is the clock right?", false)
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            ("is for another host name", false)
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            ("is not for servers, as its extended key usage says", false)
        }
        C::UnknownIssuer => ("is signed by nobody whom this machine trusts", true),
        C::Revoked => ("was revoked", false),
        _ => ("can't be verified", false),
    }
}
