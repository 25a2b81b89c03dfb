//! What is to be built: plain data.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cask_containerfile::{BuildArguments, Dialect, Tree};
use cask_image::{ImageFormat, PlatformWanted};

use super::run_options::RunOptions;

/// What is to be built, and how: plain data, without a handle to anything that does the work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildRequest {
    /// The Containerfile: one text, or several that make one together.
    pub files: Vec<BuildFile>,
    /// Whose results are wanted, where BuildKit and Buildah differ.
    pub dialect: Dialect,
    /// The stage to build, by name or number: `--target`. `None` for the last one.
    pub target: Option<String>,
    /// Builds stages before the target that it does not need too: `--skip-unused-stages=false`.
    pub unused_stages: bool,
    /// What it is built for.
    pub platforms: Platforms,
    /// `--build-arg`: with values. An argument without one in the caller's environment is left out.
    pub arguments: BuildArguments,
    /// The base of the first stage instead of the one in the file: `--from`.
    pub base: Option<String>,
    /// When base images are pulled.
    pub pull: PullPolicy,
    /// What the image says of itself, and how it is stored.
    pub image: ImageOptions,
    /// Which results of earlier builds are used.
    pub cache: CacheOptions,
    /// What commands get, and what they may do.
    pub run: RunOptions,
    /// How many stages are built at the same time; `None` for one per processor, up to four.
    pub jobs: Option<NonZeroUsize>,
}

impl BuildRequest {
    /// Builds a file in the default way: its last stage, for one platform.
    pub fn new(file: BuildFile, platform: PlatformWanted) -> Self {
        Self {
            files: vec![file],
            dialect: Dialect::default(),
            target: None,
            unused_stages: false,
            platforms: Platforms {
                build: platform.clone(),
                targets: vec![platform],
                are_named: false,
            },
            arguments: BuildArguments::new(),
            base: None,
            pull: PullPolicy::default(),
            image: ImageOptions::default(),
            cache: CacheOptions::default(),
            run: RunOptions::default(),
            jobs: None,
        }
    }
}

/// A text of the Containerfile.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildFile {
    /// Its name, for messages.
    pub name: String,
    /// It, parsed without an error.
    pub tree: Arc<Tree>,
}

impl BuildFile {
    /// A text and its name.
    pub fn new(name: impl Into<String>, tree: Tree) -> Self {
        Self { name: name.into(), tree: Arc::new(tree) }
    }
}

/// What is built for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Platforms {
    /// The platform that builds: BUILDPLATFORM.
    pub build: PlatformWanted,
    /// The platforms of the results, at least one; each gives an image of its own.
    pub targets: Vec<PlatformWanted>,
    /// Whether the caller named the targets: the images say then that they are for these, whatever FROM says of
    /// their bases.
    ///
    /// Source: BuildKit, `dockerfile2llb`, `implicitTarget`; buildah does so too.
    pub are_named: bool,
}

/// When a base image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PullPolicy {
    /// If it is not in the store.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Never: it must be in the store.
    Never,
    /// If the registry has another one; what is in the store serves where it cannot be asked.
    Newer,
}

impl PullPolicy {
    /// The word for it in `--pull`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Always => "always",
            Self::Never => "never",
            Self::Newer => "newer",
        }
    }
}

/// What the image says of itself, and how it is stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageOptions {
    /// The names that it gets in the store, with registry and tag. With several platforms the
    /// images get none: name the index that is made of them.
    pub names: Vec<String>,
    /// The format of the manifest and the config.
    pub format: ImageFormat,
    /// Whether a base of which nothing is changed stays what it is in another format, as nobody asked for this one.
    pub keeps_format_of_base: bool,
    /// Which layers it gets.
    pub layers: LayerMode,
    /// Changes of what the file says.
    pub edits: ConfigEdits,
    /// What dates the image, its history and its files have.
    pub dates: Dates,
    /// Leaves the history out of the config.
    pub omit_history: bool,
    /// Annotates the manifest with the date of the image: `--created-annotation`.
    pub created_annotation: bool,
    /// Whether the stages before the target become images without a name, and what these say: `--save-stages`.
    pub stages: SavedStages,
}

impl Default for ImageOptions {
    /// An OCI image without a name, with a layer for every instruction that changes files.
    fn default() -> Self {
        Self {
            names: Vec::new(),
            format: ImageFormat::Oci,
            keeps_format_of_base: false,
            layers: LayerMode::default(),
            edits: ConfigEdits::default(),
            dates: Dates::default(),
            omit_history: false,
            created_annotation: false,
            stages: SavedStages::default(),
        }
    }
}

/// Whether stages become images of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SavedStages {
    /// The target alone does; what else there is of layers is kept for later builds.
    #[default]
    No,
    /// All that the target needs.
    Saved,
    /// All of them, and labels of each say which stage it is and what it begins with: `--stage-labels`.
    Labelled,
}

/// Which layers an image gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LayerMode {
    /// One for every instruction that changes files.
    #[default]
    Each,
    /// One for each stage, above those that it begins with: `--layers=false`, and podman's `--squash`.
    SquashNew,
    /// One, with the files of the base: `--squash-all`, and buildah's `--squash`.
    SquashAll,
}

/// Changes of the config and the manifest that the caller wants. All but the environment hold for the target alone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConfigEdits {
    /// `--label`: as a last LABEL.
    pub labels: Vec<(String, String)>,
    /// `--unsetlabel`: labels of the base that go.
    pub remove_labels: Vec<String>,
    /// What becomes of the labels of the base.
    pub inherit_labels: InheritLabels,
    /// What becomes of the annotations of the base.
    pub inherit_annotations: InheritAnnotations,
    /// `--layer-label`: labels that stages before the target get too.
    pub layer_labels: Vec<(String, String)>,
    /// `--env`: as a first ENV.
    pub environment: Vec<(String, String)>,
    /// `--unsetenv`: variables that the image does not have.
    pub remove_environment: Vec<String>,
    /// `--annotation`, of the manifest. An OCI image has them; others are warned of.
    pub annotations: Vec<(String, String)>,
    /// `--unsetannotation`.
    pub remove_annotations: Vec<String>,
    /// `--os-version`: the version of the operating system that the image needs.
    pub os_version: Option<String>,
    /// `--os-feature`: features of the operating system that it needs; one that ends in `-` is not needed any more.
    pub os_features: Vec<String>,
    /// A label with the name and version of the builder: `--identity-label`.
    pub identity_label: Option<(String, String)>,
}

/// What becomes of the labels of the base image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InheritLabels {
    /// They stay: the default.
    #[default]
    Keep,
    /// They go: `--inherit-labels=false`.
    Drop,
}

/// What becomes of the annotations of the base image's manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InheritAnnotations {
    /// The image has them too: the default.
    ///
    /// Source: buildah, `--inherit-annotations`.
    #[default]
    Keep,
    /// They go: `--inherit-annotations=false`.
    Drop,
}

/// What dates the image, its history and its files have, in seconds since 1970.
///
/// Without any of them an image is dated by what it is made of: by the newest of its base and the
/// files that were copied. So the same input gives the same image, whenever it is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Dates {
    /// `--source-date-epoch`: the date of the image, of its history and of what commands write.
    pub source_date_epoch: Option<i64>,
    /// `--timestamp`: as that, and every file of new layers gets it.
    pub timestamp: Option<i64>,
    /// `--rewrite-timestamp`: files that are copied are not newer than the image either.
    pub rewrite: bool,
}

/// Which steps are made ready to be put elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheExport {
    /// Those of the target's own stage: `mode=min`.
    Target,
    /// Those of all stages: `mode=max`.
    All,
}

/// Which results of earlier builds are used.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CacheOptions {
    /// None of them: `--no-cache`. What is built is kept for later builds.
    pub none: bool,
    /// None of them for these stages, by name or number: `--no-cache-filter`.
    pub none_for: Vec<String>,
    /// None that is older: `--cache-ttl`.
    pub most_age: Option<Duration>,
    /// Which steps are made ready to be put elsewhere: `--cache-to`.
    pub export: Option<CacheExport>,
    /// Whether the image itself names the steps that its layers are of: `--cache-to type=inline`. Where all
    /// layers become one, there is nothing to name.
    pub inline: bool,
    /// What the names of cache mounts count with, to part them from those of other builds.
    pub namespace: String,
}
