//! TLS to PostgreSQL as libpq's `sslmode` asks for it.

#![forbid(unsafe_code)]

use super::postgres_error::PostgresError;
use crate::config::{Tls, Verify};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What makes TLS connections.
pub fn connector(tls: &Tls) -> Result<MakeRustlsConnect, PostgresError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong = |error: Error| PostgresError::RootCertificate {
        text: error.to_string(),
    };
    let authorities = tls.root_certificate.as_deref().map(authorities);
    let authorities = authorities
        .transpose()?
        .unwrap_or_else(RootCertStore::empty);
    let config = ClientConfig::builder_with_provider(provider.clone());
    let config = config
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let config = match tls.verify {
        Verify::Name => config.with_root_certificates(authorities),
        Verify::Authority | Verify::Nothing => {
            let known = (tls.verify == Verify::Authority).then(|| {
                WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
                    .build()
                    .map_err(|error| PostgresError::RootCertificate {
                        text: error.to_string(),
                    })
            });
            let known = known.transpose()?;
            let verifier = Arc::new(OfAnyName { provider, known });
            config
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<RootCertStore, PostgresError> {
    let wrong = |text: String| PostgresError::RootCertificate {
        text: format!(
            "{}: expected certificates in PEM form, found: {text}",
            path.display()
        ),
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in found {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| wrong(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong("none".to_owned())),
        false => Ok(roots),
    }
}

/// Takes certificates for whatever host: those of known authorities (`verify-ca`), or any (`prefer` and `require`, where
/// nobody listens, but whoever answers counts).
#[derive(Debug)]
struct OfAnyName {
    provider: Arc<CryptoProvider>,
    /// The authorities, where they count.
    known: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for OfAnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(known) = &self.known else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name comes last: whatever else is wrong has been found before.
        match known.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let schemes = &self.provider.signature_verification_algorithms;
        schemes.supported_schemes()
    }
}
