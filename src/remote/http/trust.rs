//! Whose certificates are believed.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Why no HTTP client could be made; the file is the one that `--ca-file` names.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    #[error("--ca-file holds no certificate: it must be PEM, with at least one block that begins -----BEGIN CERTIFICATE-----")]
    Empty,
    #[error("--ca-file is not well-formed PEM after certificate {after}: {reason}")]
    Pem { after: usize, reason: String },
    #[error("--ca-file holds a certificate that cannot be read, number {number}: {reason}")]
    Certificate { number: usize, reason: String },
    #[error("failed to set up the HTTP client: {0}")]
    Client(String),
}

/// TLS 1.2 and 1.3, with the machine's certificate authorities and those of `ca_pem`.
///
/// Made here rather than by reqwest, which refuses to work at all on a machine without certificate authorities, where plain HTTP and a `--ca-file` still serve.
pub fn client_config(ca_pem: Option<&[u8]>) -> Result<ClientConfig, CaFileError> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = ca_pem {
        add_pem(&mut roots, pem)?;
    }
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "failed to read a certificate authority of this machine");
    }
    let (added, ignored) = roots.add_parsable_certificates(native.certs);
    tracing::debug!(added, ignored, "read the certificate authorities of this machine");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| CaFileError::Client(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn add_pem(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), CaFileError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| CaFileError::Pem {
            after: count,
            reason: pem_reason(&error),
        })?;
        count += 1;
        roots.add(certificate).map_err(|error| CaFileError::Certificate {
            number: count,
            reason: error.to_string(),
        })?;
    }
    if count == 0 { Err(CaFileError::Empty) } else { Ok(()) }
}

/// The content of the file is not repeated: it may be a private key.
fn pem_reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no -----END line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is malformed".to_owned(),
        pem::Error::Base64Decode(_) => "a block is not base64".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}
