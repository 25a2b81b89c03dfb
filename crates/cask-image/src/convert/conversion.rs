//! What a conversion gives, and what it costs.

use std::fmt;

use bytes::Bytes;

use crate::ImageManifest;

/// A manifest or an index in another format, and what the change costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion<M = ImageManifest> {
    /// The new manifest.
    pub manifest: M,
    /// The new config, where it is another one than before. The manifest names it already.
    pub config: Option<Bytes>,
    /// What the new manifest and config do not say any more, in the order of the document.
    pub losses: Vec<Loss>,
}

/// Something that was said and has no place in the other format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The way to it in the manifest, or in the config.
    pub path: String,
    /// What it is.
    pub kind: LossKind,
}

/// The kinds of [`Loss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossKind {
    /// Annotations, of the manifest or of a descriptor.
    Annotations,
    /// What the manifest is about.
    Subject,
    /// The type of an artifact.
    ArtifactType,
    /// A copy of the content inside its descriptor.
    EmbeddedData,
    /// Processor features of a platform, or the whole platform of a descriptor that is not an
    /// index's entry.
    Platform,
    /// A field that neither format knows.
    UnknownField,
    /// A field of the config; [`Loss::path`] is one in the config.
    ConfigField,
}

impl fmt::Display for Loss {
    /// Writes a fragment such as `layers[2].annotations` or `config.Healthcheck of the config`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.kind == LossKind::ConfigField { f.write_str(" of the config") } else { Ok(()) }
    }
}
