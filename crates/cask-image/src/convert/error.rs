//! Why a manifest does not convert.

use std::fmt;

use crate::ManifestError;

/// Why a manifest cannot be changed or converted as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversionError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ConversionErrorKind,
    subject: String,
    detail: String,
    source: Option<ManifestError>,
}

/// The kinds of [`ConversionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConversionErrorKind {
    /// The manifest is an artifact's, and the format has images only.
    Artifact,
    /// An OCI manifest with Docker's config: neither format allows it.
    MixedFormats,
    /// The format has no media type for layers of this compression. Another compression helps.
    UnsupportedCompression,
    /// The format has no media type for encrypted layers, or the layer's type has no encrypted
    /// or decrypted counterpart.
    UnsupportedEncryption,
    /// A layer has a media type that is not one of its format's layers.
    UnknownLayerType,
    /// There are not as many layers as the manifest has.
    LayerCount,
    /// The config is not the one that the manifest names.
    WrongConfig,
    /// The config does not parse; the source says where.
    InvalidConfig,
    /// An entry has no platform, and the format's entries need one.
    MissingPlatform,
}

impl ConversionError {
    pub(crate) fn new(
        kind: ConversionErrorKind,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner { kind, subject: subject.into(), detail: detail.into(), source: None }))
    }

    pub(crate) fn invalid_config(source: ManifestError) -> Self {
        Self(Box::new(Inner {
            kind: ConversionErrorKind::InvalidConfig,
            subject: "config".into(),
            detail: "the config does not parse".into(),
            source: Some(source),
        }))
    }

    /// What is wrong.
    pub fn kind(&self) -> ConversionErrorKind {
        self.0.kind
    }

    /// The part of the manifest, such as `layers[2]`; empty for the whole.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { subject, detail, .. } = &*self.0;
        if subject.is_empty() { f.write_str(detail) } else { write!(f, "{subject}: {detail}") }
    }
}

impl std::error::Error for ConversionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
