//! What came of a build.

use std::sync::Arc;
use std::time::Duration;

use cask_image::{ImageConfig, Platform, RawManifest};
use cask_storage::Id;

use super::event::{Step, StepOutcome};
use super::remote::CachedStep;
use super::tools::BaseImage;

/// What came of a build.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildReport {
    /// The images, one for each platform, in the order of the request.
    pub images: Vec<BuiltImage>,
    /// The steps in the order in which they ended.
    pub steps: Vec<StepReport>,
    /// What was warned of, in order.
    pub warnings: Vec<String>,
    /// The steps that shall go elsewhere, where the request wants that.
    pub cached: Vec<CachedStep>,
    /// The base images that it took, by name.
    pub bases: Vec<UsedBase>,
    /// What ADD got from elsewhere, sorted.
    pub materials: Vec<Material>,
    /// The date that was given for the images, in seconds since 1970.
    pub date: Option<i64>,
    /// How long it took.
    pub wall: Duration,
}

/// Something from elsewhere that a build took, and that is no base image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Material {
    /// Its URL, without a user and a password; that of a repository has the reference behind `#`.
    pub uri: String,
    /// `algorithm:hex` of a file; of a repository, `sha1:` or `sha256:` and the commit.
    pub digest: String,
}

/// A base image that a build took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsedBase {
    /// What it was asked for: `os/architecture` and perhaps a variant.
    pub platform: String,
    /// The image.
    pub image: BaseImage,
}

/// An image that was built, and is in the store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuiltImage {
    /// What it is for.
    pub platform: Platform,
    /// Its ID in the store: the digest of its config.
    pub id: Id,
    /// Its manifest.
    pub manifest: RawManifest,
    /// Its config.
    pub config: ImageConfig,
    /// The names that it got.
    pub names: Vec<String>,
    /// Its layers in the store, the base first.
    pub layers: Vec<Id>,
}

/// A step that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepReport {
    /// The step.
    pub step: Arc<Step>,
    /// What came of it.
    pub outcome: StepOutcome,
}
