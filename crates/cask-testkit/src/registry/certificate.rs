//! Certificates for loopback.

use cask_registry_server::TlsIdentity;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority of its own, and a certificate by it for `127.0.0.1`, `::1` and `localhost`.
pub(super) struct Certificate {
    pub(super) identity: TlsIdentity,
    /// The certificate of the authority.
    pub(super) authority_pem: String,
}

pub(super) fn make() -> Certificate {
    let mut params = CertificateParams::new(Vec::new()).expect("no name is a valid list");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key can be made");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority can be made");
    let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    let params = CertificateParams::new(names).expect("these are names");
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = params.signed_by(&key, &authority).expect("a certificate can be made");
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let identity = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes());
    let identity = identity.unwrap_or_else(|error| panic!("{error:?}"));
    Certificate { identity, authority_pem: authority.pem() }
}
