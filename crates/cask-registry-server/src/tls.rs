//! The certificate of a server.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, ErrorKind, Result};

/// A certificate with its key, ready to be shown to clients of TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct TlsIdentity(Arc<rustls::ServerConfig>);

impl TlsIdentity {
    /// Reads a certificate, with those that it depends on, and its private key; both as PEM.
    ///
    /// # Errors
    /// `InvalidIdentity` if one of them is malformed or they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self> {
        let fail =
            |subject: &'static str| Error::new(ErrorKind::InvalidIdentity, "reading", subject);
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| fail("the certificate").with_source(error))?;
        if chain.is_empty() {
            return Err(fail("the certificate")
                .with_detail("there is none in it")
                .with_hint("the file should have lines -----BEGIN CERTIFICATE-----"));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| fail("the private key").with_source(error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fail("the certificate").with_source(error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| fail("the certificate and its key").with_source(error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Wraps a configuration of one's own. Its protocols should be `h2` and `http/1.1`.
    pub fn from_config(config: Arc<rustls::ServerConfig>) -> Self {
        Self(config)
    }

    pub(crate) fn config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity")
    }
}
