//! Whom to take for the daemon, and as whom to appear.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cask_transport::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::DockerDaemonOptions;

/// The most bytes of a file of certificates.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads the certificates that the options name.
pub(crate) fn config(options: &DockerDaemonOptions) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let folder = options.certificates.as_deref();
    let builder = if options.danger_accept_any_certificate {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(authorities(folder)?)
    };
    let Some((folder, certificate, key)) = folder.map(identity).transpose()?.flatten() else {
        return Ok(builder.with_no_client_auth());
    };
    builder.with_client_auth_cert(certificate, key).map_err(|error| {
        Error::new(ErrorKind::InvalidLocation, "using cert.pem and key.pem of", folder.display())
            .with_source(error)
    })
}

/// The system's authorities, and those of `ca.pem`.
fn authorities(folder: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let path = folder.map(|folder| folder.join("ca.pem"));
    if let Some(path) = path
        && let Some(pem) = read(&path)?
    {
        for certificate in certificates(&path, &pem)? {
            store.add(certificate).map_err(|error| malformed(&path).with_source(error))?;
        }
    }
    if store.is_empty() {
        let detail = "the system has no certificate authorities, and none were given";
        return Err(Error::new(ErrorKind::InvalidLocation, "preparing TLS", "").with_detail(detail));
    }
    Ok(store)
}

type Identity<'a> = (&'a Path, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate to show, and its key; neither if there is neither.
fn identity(folder: &Path) -> Result<Option<Identity<'_>>> {
    let (certificate_path, key_path) = (folder.join("cert.pem"), folder.join("key.pem"));
    let (certificate, key) = (read(&certificate_path)?, read(&key_path)?);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if folder.join("ca.pem").exists() => return Ok(None),
        (None, None) => {
            return Err(Error::new(ErrorKind::NotFound, "reading", folder.display())
                .with_detail("it has no ca.pem, and no cert.pem with key.pem"));
        }
        (Some(_), None) => return Err(missing(&key_path, "cert.pem")),
        (None, Some(_)) => return Err(missing(&certificate_path, "key.pem")),
    };
    let chain = certificates(&certificate_path, &certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| malformed(&key_path).with_source(error))?;
    Ok(Some((folder, chain, key)))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<std::result::Result<Vec<_>, _>>();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(malformed(path).with_detail("there is no certificate in it")),
        Err(error) => Err(malformed(path).with_source(error)),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error| Error::from_io(error, "reading", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE_BYTES + 1), &mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::new(ErrorKind::LimitExceeded, "reading", path.display())
            .with_detail(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

fn malformed(path: &Path) -> Error {
    Error::new(ErrorKind::Corrupt, "reading", path.display())
}

fn missing(path: &Path, other: &str) -> Error {
    Error::new(ErrorKind::NotFound, "reading", path.display())
        .with_detail(format!("there is no such file, but its other half, {other}"))
}

/// Takes any server for the daemon; who shows a certificate has its key, at least.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
