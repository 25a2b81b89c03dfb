//! Looking at an image without copying it.

use bytes::Bytes;
use cask_image::{
    ImageConfig, ImageManifest, Index, MAX_CONFIG_BYTES, Manifest, PlatformWanted, RawManifest,
    Schema1,
};
use cask_transport::{Error, ErrorKind, Location, Result, Selector, VerifiedSource};

use crate::check_policy;
use crate::graph::choose_image;

/// An image, opened for a look. Its layers are not read.
#[derive(Debug)]
pub struct Inspected {
    source: VerifiedSource,
    top: RawManifest,
}

/// What a location holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Description {
    /// An image.
    Image {
        /// Its manifest.
        manifest: ImageManifest,
        /// The exact bytes of its config.
        config_bytes: Bytes,
        /// What the bytes mean.
        config: Box<ImageConfig>,
    },
    /// An image of the oldest kind, whose manifest is its config.
    Schema1(Schema1),
    /// Something else with a config and blobs.
    Artifact(ImageManifest),
    /// A list of manifests.
    Index(Index),
}

/// Opens an image for a look, once the policy lets it pass.
///
/// # Errors
/// `PolicyRejected`, `NotFound`, and what the place says.
pub async fn inspect(
    from: &dyn Location,
    policy: &cask_trust::Policy,
    require_signed: bool,
) -> Result<Inspected> {
    check_policy(policy, from, require_signed)?;
    let source = from.source().await?;
    let descriptor = source.resolve(&Selector::Chosen).await?;
    let top = source.manifest(&descriptor).await?;
    Ok(Inspected { source, top })
}

impl Inspected {
    /// The manifest or index that the location names.
    pub fn top(&self) -> &RawManifest {
        &self.top
    }

    /// What the location names, an index as it stands.
    ///
    /// # Errors
    /// `Corrupt` if the manifest or the config is malformed, and what reading says.
    pub async fn describe(&self) -> Result<Description> {
        self.describe_manifest(&self.top).await
    }

    /// The image for a platform: of an index the one that fits, else what there is. The index that
    /// was read is used, whatever the name means meanwhile.
    ///
    /// # Errors
    /// As [`describe`](Self::describe), and `NotFound` if an index has nothing that fits.
    pub async fn describe_for(&self, platform: &PlatformWanted) -> Result<Description> {
        if !self.top.media_type().is_index() {
            return self.describe().await;
        }
        let chosen = choose_image(&self.source, &self.top, platform).await?;
        self.describe_manifest(&self.source.manifest(&chosen).await?).await
    }

    async fn describe_manifest(&self, raw: &RawManifest) -> Result<Description> {
        let corrupt = |operation, digest, source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Corrupt, operation, digest).with_source(source)
        };
        let parsed =
            raw.parse().map_err(|error| corrupt("parsing manifest", raw.digest(), error.into()))?;
        match parsed {
            Manifest::Index(index) => Ok(Description::Index(index)),
            Manifest::Schema1(schema1) => Ok(Description::Schema1(schema1)),
            Manifest::Image(manifest) if manifest.is_artifact() => {
                Ok(Description::Artifact(manifest))
            }
            Manifest::Image(manifest) => {
                let config_bytes =
                    self.source.blob_bytes(&manifest.config, MAX_CONFIG_BYTES).await?;
                let config = ImageConfig::parse(config_bytes.clone()).map_err(|error| {
                    corrupt("reading config", &manifest.config.digest, error.into())
                })?;
                Ok(Description::Image { manifest, config_bytes, config: Box::new(config) })
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "inspecting", raw.digest())
                .with_detail(format!("{} manifests are unknown", raw.media_type()))),
        }
    }
}
