//! Media types of manifests, configs and layers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a media type says that a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LayerCompression {
    /// A plain tar.
    None,
    /// gzip.
    Gzip,
    /// Zstandard, `zstd:chunked` included.
    Zstd,
}

/// A media type. Every text is one; the known ones have names.
///
/// Converting from text and back gives the same text, so nothing is lost by parsing.
///
/// Source: OCI image specification, `media-types.md`; Docker's `image/spec` and the distribution
/// project's manifest schemas.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MediaType {
    /// `application/vnd.oci.image.manifest.v1+json`
    OciManifest,
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
    /// `application/vnd.oci.image.config.v1+json`
    OciConfig,
    /// `application/vnd.oci.image.layer.v1.tar`, with `+gzip` or `+zstd`
    OciLayer(LayerCompression),
    /// `application/vnd.oci.image.layer.nondistributable.v1.tar`, with `+gzip` or `+zstd`
    OciNondistributableLayer(LayerCompression),
    /// `application/vnd.oci.empty.v1+json`
    OciEmpty,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerManifestList,
    /// `application/vnd.docker.container.image.v1+json`
    DockerConfig,
    /// `application/vnd.docker.image.rootfs.diff.tar`, with `.gzip` or `.zstd`
    DockerLayer(LayerCompression),
    /// `application/vnd.docker.image.rootfs.foreign.diff.tar`, with `.gzip` or `.zstd`
    DockerForeignLayer(LayerCompression),
    /// `application/vnd.docker.distribution.manifest.v1+json`
    DockerSchema1,
    /// `application/vnd.docker.distribution.manifest.v1+prettyjws`
    DockerSchema1Signed,
    /// Anything else.
    Other(Box<str>),
}

use LayerCompression::{Gzip, None as Plain, Zstd};

/// Every named media type with its text.
const NAMED: [(MediaType, &str); 21] = [
    (MediaType::OciManifest, "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::OciIndex, "application/vnd.oci.image.index.v1+json"),
    (MediaType::OciConfig, "application/vnd.oci.image.config.v1+json"),
    (MediaType::OciLayer(Gzip), "application/vnd.oci.image.layer.v1.tar+gzip"),
    (MediaType::OciLayer(Zstd), "application/vnd.oci.image.layer.v1.tar+zstd"),
    (MediaType::OciLayer(Plain), "application/vnd.oci.image.layer.v1.tar"),
    (
        MediaType::OciNondistributableLayer(Gzip),
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ),
    (
        MediaType::OciNondistributableLayer(Zstd),
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ),
    (
        MediaType::OciNondistributableLayer(Plain),
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
    ),
    (MediaType::OciEmpty, "application/vnd.oci.empty.v1+json"),
    (MediaType::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
    (MediaType::DockerManifestList, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (MediaType::DockerConfig, "application/vnd.docker.container.image.v1+json"),
    (MediaType::DockerLayer(Gzip), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    (MediaType::DockerLayer(Zstd), "application/vnd.docker.image.rootfs.diff.tar.zstd"),
    (MediaType::DockerLayer(Plain), "application/vnd.docker.image.rootfs.diff.tar"),
    (
        MediaType::DockerForeignLayer(Gzip),
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ),
    (
        MediaType::DockerForeignLayer(Zstd),
        "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
    ),
    (MediaType::DockerForeignLayer(Plain), "application/vnd.docker.image.rootfs.foreign.diff.tar"),
    (MediaType::DockerSchema1, "application/vnd.docker.distribution.manifest.v1+json"),
    (MediaType::DockerSchema1Signed, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
];

impl MediaType {
    /// The text of the media type.
    pub fn as_str(&self) -> &str {
        if let Self::Other(text) = self {
            return text;
        }
        NAMED
            .iter()
            .find_map(|(named, text)| (named == self).then_some(*text))
            .expect("every named media type is in the table")
    }

    /// Whether documents of this type describe one image (or artifact): a config and layers.
    pub fn is_image_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest) || self.is_schema1()
    }

    /// Whether documents of this type list other manifests.
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// Whether documents of this type are Docker's schema 1 manifests, signed or not.
    pub fn is_schema1(&self) -> bool {
        matches!(self, Self::DockerSchema1 | Self::DockerSchema1Signed)
    }

    /// Whether documents of this type are manifests of any kind.
    pub fn is_manifest(&self) -> bool {
        self.is_image_manifest() || self.is_index()
    }

    /// How the type says that a layer is compressed; `None` if it is no layer's type.
    pub fn layer_compression(&self) -> Option<LayerCompression> {
        match self {
            Self::OciLayer(compression)
            | Self::OciNondistributableLayer(compression)
            | Self::DockerLayer(compression)
            | Self::DockerForeignLayer(compression) => Some(*compression),
            _ => None,
        }
    }

    /// Whether layers of this type may be fetched from the URLs in their descriptor and need not
    /// be stored with the image.
    pub fn is_nondistributable_layer(&self) -> bool {
        matches!(self, Self::OciNondistributableLayer(_) | Self::DockerForeignLayer(_))
    }
}

/// What marks a media type of encrypted content.
const ENCRYPTED: &str = "+encrypted";

impl MediaType {
    /// Whether content of this type is encrypted.
    ///
    /// Source: `containers/ocicrypt`, which adds `+encrypted` to the type of the content.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Other(text) if text.ends_with(ENCRYPTED))
    }

    /// The type of such content when it is encrypted; `None` unless it is the type of an OCI
    /// layer or of Docker's gzipped layers.
    pub fn encrypted(&self) -> Option<Self> {
        let can_be = matches!(
            self,
            Self::OciLayer(_) | Self::OciNondistributableLayer(_) | Self::DockerLayer(Gzip)
        );
        can_be.then(|| Self::from(format!("{self}{ENCRYPTED}").as_str()))
    }

    /// The type of such content when it is decrypted; `None` if it is not encrypted.
    pub fn decrypted(&self) -> Option<Self> {
        self.as_str().strip_suffix(ENCRYPTED).map(Self::from)
    }

    /// Whether the text is well-formed: a type and a subtype of the registered characters, each
    /// of at most 127.
    ///
    /// Source: RFC 6838, section 4.2; OCI image specification, `defs-descriptor.json`.
    pub fn is_well_formed(&self) -> bool {
        let part = |text: &str| {
            let registered = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
            (1..=127).contains(&text.len())
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.bytes().all(registered)
        };
        self.as_str().split_once('/').is_some_and(|(one, other)| part(one) && part(other))
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        NAMED
            .iter()
            .find_map(|(named, name)| (*name == text).then(|| named.clone()))
            .unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own_inverse() {
        for (named, text) in &NAMED {
            assert_eq!(MediaType::from(*text), *named);
            assert_eq!(named.as_str(), *text);
        }
        assert_eq!(MediaType::from("text/plain").as_str(), "text/plain");
    }
}
