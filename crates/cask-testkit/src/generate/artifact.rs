//! Manifests of things that are no images.

use bytes::Bytes;
use cask_image::{Descriptor, MediaType};

use super::content::{Blob, Content};
use super::document::{Link, Manifest, Map, to_bytes};
use super::image::Image;
use super::random::random_bytes;

/// What to make an artifact of: a manifest with an `artifactType`, an empty config, and blobs.
///
/// Source: OCI image specification 1.1, `manifest.md`, "Guidelines for Artifact Usage".
#[derive(Clone, Debug)]
pub struct ArtifactSpec {
    artifact_type: String,
    blobs: Vec<Blob>,
    annotations: Map,
    subject: Option<Descriptor>,
}

impl ArtifactSpec {
    /// An artifact of this type with one small blob of random bytes.
    pub fn new(seed: u64, artifact_type: &str) -> Self {
        let blob = Blob::new("application/octet-stream".into(), random_bytes(seed, 100));
        Self {
            artifact_type: artifact_type.into(),
            blobs: vec![blob],
            annotations: Map::new(),
            subject: None,
        }
    }

    /// Adds a blob.
    #[must_use]
    pub fn blob(mut self, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        self.blobs.push(Blob::new(media_type.into(), bytes));
        self
    }

    /// Adds an annotation to the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Makes the artifact a referrer of the manifest with this descriptor.
    #[must_use]
    pub fn subject(mut self, subject: &Descriptor) -> Self {
        let Descriptor { media_type, digest, size, .. } = subject.clone();
        self.subject = Some(Descriptor::new(media_type, digest, size));
        self
    }

    /// Makes the artifact. The descriptor of its manifest tells the artifact's type.
    pub fn build(&self) -> Content {
        let config = Blob::new(MediaType::OciEmpty, "{}");
        let document = to_bytes(&Manifest {
            schema_version: 2,
            media_type: MediaType::OciManifest.as_str(),
            artifact_type: Some(&self.artifact_type),
            config: Link::from(&config.descriptor),
            layers: self.blobs.iter().map(|blob| Link::from(&blob.descriptor)).collect(),
            subject: self.subject.as_ref().map(Link::from),
            annotations: &self.annotations,
        });
        let mut top = Blob::new(MediaType::OciManifest, document);
        top.descriptor.artifact_type = Some(self.artifact_type.as_str().into());
        top.descriptor.annotations.clone_from(&self.annotations);
        let blobs = std::iter::once(config).chain(self.blobs.iter().cloned()).collect();
        Content::new(top, Vec::new(), blobs)
    }
}

/// Makes the statement about an image that builders put beside it in an index.
///
/// Its manifest is one of an image that runs nowhere, with a layer that is no tar. The index's
/// entry tells which image it is about: see
/// [`IndexSpec::attestation`](super::IndexSpec::attestation).
///
/// Source: BuildKit, `docs/attestations/attestation-storage.md`.
pub fn attestation(image: &Image) -> Content {
    let subject = image.digest();
    let statement = format!(
        "{{\"_type\":\"https://in-toto.io/Statement/v0.1\",\
         \"predicateType\":\"https://slsa.dev/provenance/v0.2\",\
         \"subject\":[{{\"name\":\"_\",\"digest\":{{\"{}\":\"{}\"}}}}],\"predicate\":{{}}}}",
        subject.algorithm(),
        subject.hex()
    );
    let mut layer = Blob::new("application/vnd.in-toto+json".into(), statement);
    let predicate = ("in-toto.io/predicate-type", "https://slsa.dev/provenance/v0.2");
    layer.descriptor.annotations.insert(predicate.0.into(), predicate.1.into());
    let config = format!(
        "{{\"architecture\":\"unknown\",\"os\":\"unknown\",\"config\":{{}},\
         \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{}\"]}}}}",
        layer.digest()
    );
    let config = Blob::new(MediaType::OciConfig, config);
    let document = to_bytes(&Manifest {
        schema_version: 2,
        media_type: MediaType::OciManifest.as_str(),
        artifact_type: None,
        config: Link::from(&config.descriptor),
        layers: vec![Link::from(&layer.descriptor)],
        subject: None,
        annotations: &Map::new(),
    });
    let top = Blob::new(MediaType::OciManifest, document);
    Content::new(top, Vec::new(), vec![config, layer])
}
