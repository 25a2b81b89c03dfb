//! What a policy can ask of an image.

use std::path::PathBuf;

use cask_reference::Reference;

/// One thing that must hold before an image may be used.
///
/// Source: containers-policy.json(5), "Policy Requirements".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// `insecureAcceptAnything`: always holds.
    InsecureAcceptAnything,
    /// `reject`: never holds.
    Reject,
    /// `signedBy`: a simple signature by a trusted key.
    SignedBy(SignedBy),
    /// `signedBaseLayer`: a signed base image. Nobody implements it; it never holds.
    SignedBaseLayer(SignedBaseLayer),
    /// `sigstoreSigned`: a sigstore signature.
    SigstoreSigned(SigstoreSigned),
}

impl Requirement {
    /// The requirement's `type` in the file.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::InsecureAcceptAnything => "insecureAcceptAnything",
            Self::Reject => "reject",
            Self::SignedBy(_) => "signedBy",
            Self::SignedBaseLayer(_) => "signedBaseLayer",
            Self::SigstoreSigned(_) => "sigstoreSigned",
        }
    }
}

/// The contents of a `signedBy` requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedBy {
    /// What kind of keys [`keys`](Self::keys) holds.
    pub key_type: KeyType,
    /// The key rings. A signature by any key of any of them counts. The list may be empty, and
    /// then no signature counts.
    pub keys: Vec<KeySource>,
    /// Which identity the signature must claim.
    pub signed_identity: SignedIdentity,
}

/// The `keyType` of a `signedBy` requirement.
///
/// Only [`GpgKeys`](Self::GpgKeys) was ever implemented by the tools that share the format; the
/// others are valid, and accept no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyType {
    /// `GPGKeys`: the keys of a key ring.
    GpgKeys,
    /// `signedByGPGKeys`: keys that are signed by the keys of a key ring.
    SignedByGpgKeys,
    /// `X509Certificates`: the keys of some certificates.
    X509Certificates,
    /// `signedByX509CAs`: keys that are certified by some authorities.
    SignedByX509Cas,
}

/// Where a key or a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The contents of a file. The path is as it stands in the policy, never empty; a relative one
    /// is relative to the program's working directory.
    File(PathBuf),
    /// Bytes that stand in the policy itself, decoded.
    Data(Vec<u8>),
}

/// The contents of a `signedBaseLayer` requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedBaseLayer {
    /// Which identity the base image must have.
    pub base_layer_identity: SignedIdentity,
}

/// The contents of a `sigstoreSigned` requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigstoreSigned {
    /// Whose signature counts.
    pub signer: SigstoreSigner,
    /// Which identity the signature must claim.
    pub signed_identity: SignedIdentity,
}

/// Who must have made a sigstore signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigstoreSigner {
    /// The owner of one of some public keys.
    Keys(SigstoreKeys),
    /// An identity that a Fulcio instance certified.
    Fulcio(Fulcio),
    /// A subject that other authorities certified.
    Pki(Pki),
}

/// Public keys for sigstore signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigstoreKeys {
    /// The public keys, at least one. A signature by any of them counts.
    pub keys: Vec<KeySource>,
    /// The public keys of Rekor logs. If not empty, one of the logs must have recorded the
    /// signature.
    pub rekor_keys: Vec<KeySource>,
}

/// Short-lived certificates from a Fulcio instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fulcio {
    /// The instance's root certificates, in PEM.
    pub authorities: KeySource,
    /// The OpenID Connect issuer that the certificate must name. Not empty.
    pub oidc_issuer: String,
    /// The e-mail address that the certificate must name. Not empty.
    pub subject_email: String,
    /// The public keys of Rekor logs, at least one. One of the logs must have recorded the
    /// signature.
    pub rekor_keys: Vec<KeySource>,
}

/// Certificates from authorities other than Fulcio.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pki {
    /// Root certificates, in PEM.
    pub roots: KeySource,
    /// Intermediate certificates, in PEM.
    pub intermediates: Option<KeySource>,
    /// The e-mail address that the certificate must name. At least one of this and
    /// [`subject_hostname`](Self::subject_hostname) is there; none is empty.
    pub subject_email: Option<String>,
    /// The host that the certificate must name.
    pub subject_hostname: Option<String>,
}

/// Which identity a signature must claim for an image.
///
/// Source: containers-policy.json(5), `signedIdentity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignedIdentity {
    /// `matchExact`: the image's own reference.
    MatchExact,
    /// `matchRepoDigestOrExact`: the image's own reference; if that has a digest, any reference of
    /// its repository.
    #[default]
    MatchRepoDigestOrExact,
    /// `matchRepository`: any reference of the image's repository.
    MatchRepository,
    /// `exactReference`: this reference, which has a tag or a digest.
    ExactReference(Reference),
    /// `exactRepository`: any reference of this one's repository. A tag or digest may stand in the
    /// policy, and means nothing.
    ExactRepository(Reference),
    /// `remapIdentity`: as [`MatchRepoDigestOrExact`](Self::MatchRepoDigestOrExact), after one
    /// prefix of the image's reference was replaced.
    RemapIdentity {
        /// What is replaced: a host with optional port, a namespace, or a repository.
        prefix: String,
        /// What it is replaced with, of the same form.
        signed_prefix: String,
    },
}
