//! Whom to trust, and as whom to appear.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

use crate::Origin;

/// The certificate authorities that the system trusts, read when they are first needed and then
/// shared by all clones.
///
/// By default they are read where Linux distributions keep them. Environment variables such as
/// `SSL_CERT_FILE` have no say in that: programs that want it read them, and use [`at`](Self::at).
#[derive(Clone, Default)]
pub struct SystemRoots(Arc<Roots>);

#[derive(Default)]
struct Roots {
    /// Where the system keeps them, if both are `None`.
    file: Option<PathBuf>,
    directory: Option<PathBuf>,
    certificates: OnceLock<Vec<CertificateDer<'static>>>,
}

/// A certificate and its private key, to appear as a client.
#[derive(Clone)]
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Whom to trust, and as whom to appear.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The authorities that the system trusts. A certificate of a server that stands there itself is
    /// trusted as well.
    pub system_roots: SystemRoots,
    /// More authorities, each text one or several certificates in PEM. A certificate of a server
    /// that stands here itself is trusted as well.
    pub authorities_pem: Vec<Vec<u8>>,
    /// The certificates of which one may be shown: the first that was signed by an authority that
    /// the server names, or else the first.
    pub identities: Vec<ClientIdentity>,
    /// The one origin that they are shown to; without it they are shown to none.
    pub identities_for: Option<Origin>,
    /// Accepts any certificate of any server. Whoever controls the network can then read and change
    /// everything, passwords included.
    pub danger_accept_invalid_certificates: bool,
}

impl SystemRoots {
    /// The authorities of one file in PEM, of all files of one directory, or of both; without
    /// either, those of the system, as by default. Nothing is read yet.
    pub fn at(file: Option<PathBuf>, directory: Option<PathBuf>) -> Self {
        Self(Arc::new(Roots { file, directory, certificates: OnceLock::new() }))
    }

    fn load(&self) -> &[CertificateDer<'static>] {
        let Roots { file, directory, certificates } = &*self.0;
        certificates.get_or_init(|| {
            let loaded = match (file.as_deref(), directory.as_deref()) {
                (None, None) => {
                    let (file, directory) = (first(&SYSTEM_FILES), first(&SYSTEM_DIRECTORIES));
                    rustls_native_certs::load_certs_from_paths(
                        file,
                        directory.filter(|_| file.is_none()),
                    )
                }
                (file, directory) => rustls_native_certs::load_certs_from_paths(file, directory),
            };
            for error in &loaded.errors {
                tracing::debug!(%error, "reading the system's certificate authorities");
            }
            loaded.certs
        })
    }
}

/// Where distributions keep all authorities in one file: Debian, Fedora, SUSE, older Red Hat, newer
/// Red Hat, Alpine.
const SYSTEM_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where they keep them in a file each, if not in one.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

fn first(places: &[&'static str]) -> Option<&'static Path> {
    places.iter().copied().map(Path::new).find(|place| place.exists())
}

impl fmt::Debug for SystemRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemRoots")
    }
}

impl ClientIdentity {
    /// Reads a chain of certificates and the private key of the first of them.
    ///
    /// # Errors
    /// A text that says what is wrong, if there is no certificate or no key in the PEM.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = certificates_of(certificates)
            .map_err(|detail| format!("client certificate: {detail}"))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| format!("client key: no private key in PEM: {error}"))?;
        Ok(Self { chain, key: Arc::new(key) })
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

/// Checks that a text in PEM has certificates, and nothing that cannot be read.
///
/// # Errors
/// A text that says what is wrong.
pub fn check_certificates(pem: &[u8]) -> Result<(), String> {
    certificates_of(pem).map(drop)
}

fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("no certificate in PEM".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("malformed PEM: {error}")),
    }
}

impl TlsOptions {
    /// The same trust for a connection that this crate does not make, such as one that is no
    /// origin of a URL. The server is shown a certificate if there are any. No protocol is negotiated. Reads the authorities of the
    /// system, which takes milliseconds.
    ///
    /// # Errors
    /// A text that says which certificate is of no use, and why.
    pub fn client_config(&self) -> Result<ClientConfig, String> {
        self.config(true, true)
    }

    /// Everything of a connection, with an explicit provider: nothing is global to the process.
    pub(crate) fn config(&self, secure: bool, with_identity: bool) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let keys = Arc::clone(&provider);
        let verifier = self.verifier(&provider, secure)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        if self.identities.is_empty() || !with_identity {
            return Ok(builder.with_no_client_auth());
        }
        let identities = Identities::new(&self.identities, &keys)?;
        Ok(builder.with_client_cert_resolver(Arc::new(identities)))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        secure: bool,
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        if self.danger_accept_invalid_certificates || !secure {
            // A client of this kind without TLS never gets to verify anything.
            let (inner, pinned, system) = (None, Vec::new(), SystemRoots::default());
            return Ok(Arc::new(Verifier { inner, pinned, system, schemes, secure }));
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.system_roots.load().iter().cloned());
        let mut pinned = Vec::new();
        for pem in &self.authorities_pem {
            for certificate in
                certificates_of(pem).map_err(|detail| format!("certificate authority: {detail}"))?
            {
                store.add_parsable_certificates([certificate.clone()]);
                pinned.push(certificate);
            }
        }
        if store.is_empty() {
            return Err("no certificate authority is trusted: the system has none (package \
                        ca-certificates), and none was added"
                .to_owned());
        }
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
                .build()
                .map_err(|error| error.to_string())?;
        let system = self.system_roots.clone();
        Ok(Arc::new(Verifier { inner: Some(inner), pinned, system, schemes, secure }))
    }
}

/// The certificates of a client, of which a server gets to see one.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl Identities {
    fn new(identities: &[ClientIdentity], provider: &CryptoProvider) -> Result<Self, String> {
        let certified = |identity: &ClientIdentity| {
            let ClientIdentity { chain, key } = identity;
            CertifiedKey::from_der(chain.clone(), key.clone_key(), provider)
                .map(Arc::new)
                .map_err(|error| format!("client certificate: {error}"))
        };
        identities.iter().map(certified).collect::<Result<_, _>>().map(Self)
    }
}

impl ResolvesClientCert for Identities {
    /// Source: Go, `crypto/tls`, `CertificateRequestInfo.SupportsCertificate`; where none fits
    /// it shows none, but the authorities that a server names are often not all that it takes.
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut usable = self.0.iter().filter(|held| held.key.choose_scheme(schemes).is_some());
        let first = usable.clone().next();
        // The name of who signed a certificate stands in it as it stands in the question.
        let is_named = |certificate: &CertificateDer<'_>| {
            authorities.iter().any(|name| {
                !name.is_empty() && certificate.windows(name.len()).any(|part| part == *name)
            })
        };
        usable.find(|held| held.cert.iter().any(is_named)).or(first).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Trusts what the usual verifier trusts, and the very certificates that the user or the system
/// added.
///
/// Self-signed certificates as everybody makes them are authorities of themselves. The usual
/// verifier refuses authorities in a server's place; OpenSSL and Go accept them.
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    system: SystemRoots,
    schemes: Vec<SignatureScheme>,
    secure: bool,
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
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(inner) = &self.inner else {
            return if self.secure {
                Ok(ServerCertVerified::assertion())
            } else {
                Err(TlsError::General("this client does not speak TLS".to_owned()))
            };
        };
        let verified =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Names and times that do not fit have kinds of their own, and stay errors.
            Err(TlsError::InvalidCertificate(CertificateError::Other(_)))
                if self.pinned.iter().chain(self.system.load()).any(|own| own == end_entity) =>
            {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match &self.inner {
            Some(inner) => inner.verify_tls12_signature(message, certificate, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match &self.inner {
            Some(inner) => inner.verify_tls13_signature(message, certificate, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
