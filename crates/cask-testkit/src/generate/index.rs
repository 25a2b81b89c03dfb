//! Indexes.

use cask_image::{Descriptor, MediaType, Platform};

use super::artifact::attestation;
use super::content::{Blob, Content};
use super::document::{Index, Link, Map, to_bytes};
use super::image::{Format, Image, ImageSpec};
use super::random::derived;

/// What to make an index of.
///
/// ```
/// use cask_testkit::generate::{ArtifactSpec, ImageSpec, IndexSpec};
///
/// let image = ImageSpec::new(1).build();
/// let inner = IndexSpec::new().image(&image).attestation(&image).build();
/// let sbom = ArtifactSpec::new(2, "application/spdx+json").subject(&inner.top).build();
/// let outer = IndexSpec::new().content(&inner).content(&sbom).build();
/// assert_eq!(outer.manifests.len(), 5);
/// assert!(outer.is_honest());
/// ```
#[derive(Clone, Debug, Default)]
pub struct IndexSpec {
    format: Format,
    entries: Vec<(Descriptor, Content)>,
    annotations: Map,
    subject: Option<Descriptor>,
}

impl IndexSpec {
    /// An OCI index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whose media type the index has: OCI's, or that of Docker's manifest lists.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds an image, with its platform.
    #[must_use]
    pub fn image(self, image: &Image) -> Self {
        let mut entry = image.manifest.descriptor.clone();
        entry.platform = Some(image.platform.clone());
        self.entry(entry, &image.content())
    }

    /// Adds the attestation of an image.
    #[must_use]
    pub fn attestation(self, image: &Image) -> Self {
        let content = attestation(image);
        let mut entry = content.top.clone();
        entry.platform = Some(Platform::new("unknown", "unknown"));
        entry.annotations.extend([
            ("vnd.docker.reference.digest".into(), image.digest().to_string()),
            ("vnd.docker.reference.type".into(), "attestation-manifest".into()),
        ]);
        self.entry(entry, &content)
    }

    /// Adds an index or an artifact, by the descriptor of its top.
    #[must_use]
    pub fn content(self, content: &Content) -> Self {
        self.entry(content.top.clone(), content)
    }

    /// Adds content, by whatever descriptor.
    #[must_use]
    pub fn entry(mut self, descriptor: Descriptor, content: &Content) -> Self {
        self.entries.push((descriptor, content.clone()));
        self
    }

    /// Adds an annotation to the index.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Says that the index is about another manifest.
    #[must_use]
    pub fn subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Makes the index, with all that lies below.
    pub fn build(&self) -> Content {
        let media_type = match self.format {
            Format::Oci => MediaType::OciIndex,
            Format::Docker => MediaType::DockerManifestList,
        };
        let document = to_bytes(&Index {
            schema_version: 2,
            media_type: media_type.as_str(),
            manifests: self.entries.iter().map(|(entry, _)| Link::from(entry)).collect(),
            subject: self.subject.as_ref().map(Link::from),
            annotations: &self.annotations,
        });
        let contents = || self.entries.iter().map(|(_, content)| content);
        Content::new(
            Blob::new(media_type, document),
            contents().flat_map(|content| content.manifests.clone()).collect(),
            contents().flat_map(|content| content.blobs.clone()).collect(),
        )
    }
}

/// Makes an index of images for linux on amd64, arm64/v8 and arm/v7 that share their lowest layer.
/// An OCI one has an attestation of each.
pub fn platforms_index(seed: u64, format: Format) -> Content {
    let platforms = [("amd64", None), ("arm64", Some("v8")), ("arm", Some("v7"))];
    let mut images = Vec::new();
    for (purpose, (architecture, variant)) in (1..).zip(platforms) {
        let mut platform = Platform::new("linux", architecture);
        platform.variant = variant.map(Into::into);
        images.push(
            ImageSpec::new(derived(seed, purpose))
                .format(format)
                .platform(platform)
                .layer(super::LayerSpec::new(seed))
                .layer(super::LayerSpec::new(derived(seed, 10 + purpose)))
                .build(),
        );
    }
    let index = images.iter().fold(IndexSpec::new().format(format), IndexSpec::image);
    match format {
        Format::Oci => images.iter().fold(index, IndexSpec::attestation).build(),
        Format::Docker => index.build(),
    }
}
