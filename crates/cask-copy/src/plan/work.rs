//! How the manifests that are written come about.

use cask_image::{ImageManifest, Index};

/// How one manifest comes about.
#[derive(Clone, Debug)]
pub(crate) enum ManifestWork {
    /// The bytes of the source, and these of the plan's blobs as they are.
    Keep {
        /// The places of the blobs that it names.
        blobs: Vec<usize>,
    },
    /// An image, perhaps with other layers, config or format.
    Image(Box<ImageWork>),
    /// An index, perhaps with other entries.
    Index(Box<IndexWork>),
}

/// An image as it is written.
#[derive(Clone, Debug)]
pub(crate) struct ImageWork {
    /// The manifest, but for digests and sizes that are not known yet.
    pub(crate) manifest: ImageManifest,
    /// Its layers.
    pub(crate) layers: Vec<LayerWork>,
    /// The place of its config in the plan's blobs.
    pub(crate) config: usize,
    /// Whether the manifest is encoded anew.
    pub(crate) is_rewritten: bool,
}

/// A layer of an image as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerWork {
    /// Its place in the plan's blobs.
    pub(crate) blob: usize,
    /// Whether the manifest says something else of it than the source's.
    pub(crate) is_changed: bool,
}

/// An index as it is written.
#[derive(Clone, Debug)]
pub(crate) struct IndexWork {
    /// The index in its new format, with the entries of the source.
    pub(crate) index: Index,
    /// Whether entries go that are not copied.
    pub(crate) strips: bool,
    /// How many entries at its end are images of others, compressed otherwise.
    pub(crate) added: usize,
    /// Whether it is encoded anew.
    pub(crate) is_rewritten: bool,
}
