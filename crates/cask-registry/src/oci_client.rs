//! Conversions from and to the types of the `oci-client` crate, for programs that use both.
//!
//! They are functions, as both sides are of other crates. The types there say less: descriptors
//! have neither `data` nor a platform, documents keep only the fields that are known there, and
//! credentials know no identity token. So convert at the edge; what names content is its bytes,
//! which a [`RawManifest`] keeps.

use std::fmt;

use cask_auth::Credential;
use cask_image::{Descriptor, MediaType, RawManifest};
use cask_reference::{Reference, ReferenceError};
use oci_distribution::manifest::{OciDescriptor, OciManifest};
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{ParseError, Reference as TheirReference};

/// A value of one side that the other cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversionError {
    field: &'static str,
    detail: String,
}

impl ConversionError {
    fn new(field: &'static str, detail: impl fmt::Display) -> Self {
        Self { field, detail: detail.to_string() }
    }

    /// The field, as it is called in JSON; `manifest` for a whole document.
    pub fn field(&self) -> &str {
        self.field
    }
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

impl std::error::Error for ConversionError {}

/// The same name there. Without tag and digest it gets the tag `latest`, as all names there.
///
/// # Errors
/// What the other parser says: it takes no IPv6 address for a host.
pub fn to_reference(reference: &Reference) -> Result<TheirReference, ParseError> {
    reference.to_string().parse()
}

/// The same name here.
///
/// # Errors
/// What the parser says: names that are a digest without its algorithm are none here.
pub fn from_reference(reference: &TheirReference) -> Result<Reference, ReferenceError> {
    Reference::parse_normalized(&reference.whole())
}

/// The same credential there; `None` for an identity token, which is exchanged by a way that is
/// not known there.
pub fn to_auth(credential: Option<&Credential>) -> Option<RegistryAuth> {
    match credential {
        None => Some(RegistryAuth::Anonymous),
        Some(Credential::Basic { username, password }) => {
            Some(RegistryAuth::Basic(username.clone(), password.expose().to_owned()))
        }
        Some(Credential::RegistryToken(token)) => {
            Some(RegistryAuth::Bearer(token.expose().to_owned()))
        }
        Some(_) => None,
    }
}

/// The same credential here; `None` for who is anonymous.
pub fn from_auth(auth: &RegistryAuth) -> Option<Credential> {
    match auth {
        RegistryAuth::Anonymous => None,
        RegistryAuth::Basic(username, password) => {
            Some(Credential::basic(username.clone(), password.clone()))
        }
        RegistryAuth::Bearer(token) => Some(Credential::registry_token(token.clone())),
    }
}

/// The same descriptor there, without `data` and `platform`.
///
/// # Errors
/// If the size is more than 2^63 - 1 bytes.
pub fn to_descriptor(descriptor: &Descriptor) -> Result<OciDescriptor, ConversionError> {
    let size =
        i64::try_from(descriptor.size).map_err(|error| ConversionError::new("size", error))?;
    Ok(OciDescriptor {
        media_type: descriptor.media_type.to_string(),
        digest: descriptor.digest.to_string(),
        size,
        urls: Some(descriptor.urls.clone()).filter(|urls| !urls.is_empty()),
        annotations: Some(descriptor.annotations.clone()).filter(|all| !all.is_empty()),
        artifact_type: descriptor.artifact_type.as_ref().map(ToString::to_string),
    })
}

/// The same descriptor here.
///
/// # Errors
/// If the digest is none, or the size negative.
pub fn from_descriptor(descriptor: &OciDescriptor) -> Result<Descriptor, ConversionError> {
    let digest =
        descriptor.digest.parse().map_err(|error| ConversionError::new("digest", error))?;
    let size =
        u64::try_from(descriptor.size).map_err(|error| ConversionError::new("size", error))?;
    let media_type = MediaType::from(descriptor.media_type.as_str());
    let mut converted = Descriptor::new(media_type, digest, size);
    converted.urls = descriptor.urls.clone().unwrap_or_default();
    converted.annotations = descriptor.annotations.clone().unwrap_or_default();
    converted.artifact_type = descriptor.artifact_type.as_deref().map(MediaType::from);
    Ok(converted)
}

/// The document there, with the fields that are known there.
///
/// # Errors
/// If it is neither an OCI nor a Docker manifest or index, or not one by the rules there.
pub fn to_manifest(manifest: &RawManifest) -> Result<OciManifest, ConversionError> {
    // The type there is told by its fields, and knows no schema 1.
    if manifest.media_type().is_schema1() {
        return Err(ConversionError::new("manifest", "schema 1 is not known there"));
    }
    serde_json::from_slice(manifest.bytes())
        .map_err(|error| ConversionError::new("manifest", error))
}

/// A document here. Its bytes are made here: they, and their digest, need not be those that the
/// document was read from, nor those that `oci-client` would send.
///
/// # Errors
/// If it cannot be encoded.
pub fn from_manifest(manifest: &OciManifest) -> Result<RawManifest, ConversionError> {
    let bytes =
        serde_json::to_vec(manifest).map_err(|error| ConversionError::new("manifest", error))?;
    Ok(RawManifest::new(bytes, MediaType::from(manifest.content_type())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    #[test]
    fn names_go_there_and_come_back() {
        let check = |text: &str, there: &str| {
            let reference = Reference::parse_normalized(text).unwrap();
            let theirs = to_reference(&reference).unwrap();
            assert_eq!(theirs.whole(), there);
            let back = from_reference(&theirs).unwrap();
            assert_eq!(back, reference.with_default_tag());
        };
        check("busybox", "docker.io/library/busybox:latest");
        check("localhost:5000/a/b:x", "localhost:5000/a/b:x");
        check(&format!("a.example/b@{DIGEST}"), &format!("a.example/b@{DIGEST}"));
        let address = Reference::parse_normalized("[::1]:5000/a").unwrap();
        assert!(to_reference(&address).is_err());
    }

    #[test]
    fn credentials_go_there_and_come_back_where_they_can() {
        let check = |credential: Option<Credential>| {
            assert_eq!(from_auth(&to_auth(credential.as_ref()).unwrap()), credential);
        };
        check(None);
        check(Some(Credential::basic("user", "pass:word")));
        check(Some(Credential::registry_token("token")));
        assert!(to_auth(Some(&Credential::identity_token("token"))).is_none());
    }

    #[test]
    fn descriptors_go_there_and_come_back() {
        let layer = MediaType::from("application/vnd.oci.image.layer.v1.tar+gzip");
        let mut descriptor = Descriptor::new(layer, DIGEST.parse().unwrap(), 77);
        let check = |descriptor: &Descriptor| {
            let theirs = to_descriptor(descriptor).unwrap();
            assert_eq!(from_descriptor(&theirs).unwrap(), *descriptor);
        };
        check(&descriptor);
        descriptor.urls = vec!["https://a.example/x".to_owned()];
        descriptor.annotations.insert("a".to_owned(), "b".to_owned());
        descriptor.artifact_type = Some(MediaType::from("application/vnd.it"));
        check(&descriptor);
        descriptor.size = u64::MAX;
        assert_eq!(to_descriptor(&descriptor).unwrap_err().field(), "size");
        let mut theirs =
            OciDescriptor { digest: "sha256:../../x".to_owned(), ..Default::default() };
        assert_eq!(from_descriptor(&theirs).unwrap_err().field(), "digest");
        theirs = OciDescriptor { digest: DIGEST.to_owned(), size: -1, ..Default::default() };
        assert_eq!(from_descriptor(&theirs).unwrap_err().field(), "size");
    }
}
