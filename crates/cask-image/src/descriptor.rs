//! Descriptors: typed, verifiable links to content.

use std::collections::BTreeMap;

use cask_json::{Fields, Value, Writer, base64, push_key, quoted};
use cask_reference::Digest;

use crate::error::{Faulty, ManifestError, ManifestErrorKind as ErrorKind};
use crate::{Hasher, MediaType, Platform, RawManifest};

/// What names a piece of content: its type, digest and size, and what is said about it.
///
/// Source: OCI image specification, `descriptor.md`. Docker's descriptors are the same, with
/// fewer fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The digest of the content's bytes.
    pub digest: Digest,
    /// How many bytes the content has.
    pub size: u64,
    /// Where the content may be fetched from besides the place that holds the manifest.
    pub urls: Vec<String>,
    /// What is said about the content.
    pub annotations: BTreeMap<String, String>,
    /// The content itself, decoded, where the descriptor carries it.
    ///
    /// In a descriptor that was parsed, it has the size and the digest that the descriptor says.
    pub data: Option<Vec<u8>>,
    /// What the image runs on; entries of an index only.
    pub platform: Option<Platform>,
    /// The type of the artifact that the content is a manifest of.
    pub artifact_type: Option<MediaType>,
}

/// The fields that descriptors have.
const FIELDS: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

impl Descriptor {
    /// Makes a descriptor of the three things that every descriptor has.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// Whether the content is a statement about another image of the same index, not an image.
    ///
    /// Builders put such entries beside the images, with a platform that nothing runs on.
    ///
    /// Source: BuildKit, `docs/attestations/attestation-storage.md`.
    pub fn is_attestation(&self) -> bool {
        let reference_type = self.annotations.get("vnd.docker.reference.type");
        let nowhere = |p: &Platform| p.os == "unknown" && p.architecture == "unknown";
        reference_type.is_some_and(|kind| kind == "attestation-manifest")
            || self.platform.as_ref().is_some_and(nowhere)
    }

    /// Whether the image is marked as compressed with Zstandard.
    ///
    /// Source: `containers/image`, annotation `io.github.containers.compression.zstd`.
    pub fn is_marked_zstd(&self) -> bool {
        self.annotations.get(ZSTD_ANNOTATION).is_some_and(|value| value == "true")
    }

    /// Marks the image as compressed with Zstandard.
    pub fn mark_zstd(&mut self) {
        self.annotations.insert(ZSTD_ANNOTATION.to_owned(), "true".to_owned());
    }

    /// The same entry of an index for another manifest: platform, annotations and type of the
    /// artifact stay; URLs and embedded data, which are of the old manifest, go.
    pub fn for_manifest(&self, manifest: &RawManifest) -> Self {
        Self {
            urls: Vec::new(),
            data: None,
            media_type: manifest.media_type().clone(),
            digest: manifest.digest().clone(),
            size: manifest.bytes().len() as u64,
            ..self.clone()
        }
    }

    /// Reads a descriptor; `unknown` collects the keys that it does not have a field for.
    pub(crate) fn read(value: Value<'_>, unknown: &mut Unknown) -> Result<Self, ManifestError> {
        let fields = Fields::of(value)?;
        unknown.collect(&fields, &FIELDS);
        let digest = fields.require("digest")?.as_parsed::<Digest>()?;
        let size = read_size(fields.require("size")?)?;
        Ok(Self {
            media_type: read_media_type(fields.require("mediaType")?)?,
            urls: fields.strings("urls")?,
            annotations: fields.string_map("annotations")?,
            data: fields.get("data")?.map(|data| read_data(data, &digest, size)).transpose()?,
            platform: fields.get("platform")?.map(Platform::read).transpose()?,
            artifact_type: read_optional_media_type(&fields, "artifactType")?,
            digest,
            size,
        })
    }

    /// Writes all fields, in the order of the image specification's Go struct.
    pub(crate) fn write_oci(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.key("mediaType").string(self.media_type.as_str());
            w.key("digest").string(self.digest.as_str());
            w.key("size").integer(self.size);
            w.strings_unless_empty("urls", &self.urls);
            w.map_unless_empty("annotations", &self.annotations);
            if let Some(data) = self.data.as_ref().filter(|data| !data.is_empty()) {
                w.key("data").string(&base64::encode(data));
            }
            if let Some(platform) = &self.platform {
                w.key("platform");
                platform.write_oci(w);
            }
            if let Some(artifact_type) = &self.artifact_type {
                w.text_unless_empty("artifactType", artifact_type.as_str());
            }
        });
    }

    /// Writes the fields of Docker's descriptors, in their order; with a platform in lists.
    pub(crate) fn write_docker(&self, writer: &mut Writer, in_list: bool) {
        writer.object(|w| {
            w.key("mediaType").string(self.media_type.as_str());
            w.key("size").integer(self.size);
            w.key("digest").string(self.digest.as_str());
            w.strings_unless_empty("urls", &self.urls);
            if in_list {
                w.key("platform");
                self.platform.clone().unwrap_or_default().write_docker(w);
            }
        });
    }
}

/// The annotation of an index's entry that says that the image is compressed with Zstandard.
const ZSTD_ANNOTATION: &str = "io.github.containers.compression.zstd";

/// The paths of the fields that nothing here reads.
#[derive(Default)]
pub(crate) struct Unknown {
    paths: Vec<String>,
    prefix: String,
}

impl Unknown {
    /// Says under which path the next fields are.
    pub(crate) fn enter(&mut self, prefix: impl Into<String>) {
        self.prefix = prefix.into();
    }

    pub(crate) fn collect(&mut self, fields: &Fields<'_>, known: &[&str]) {
        for entry in fields.others(known) {
            let mut path = self.prefix.clone();
            push_key(&mut path, entry.key());
            self.paths.push(path);
        }
    }

    pub(crate) fn into_paths(self) -> Vec<String> {
        self.paths
    }
}

fn read_size(value: Value<'_>) -> Result<u64, ManifestError> {
    let size = value.as_integer()?;
    u64::try_from(size).map_err(|_| value.fault(ErrorKind::InvalidValue, "a size is not negative"))
}

/// Reads a media type: some text that could stand in a header.
pub(crate) fn read_media_type(value: Value<'_>) -> Result<MediaType, ManifestError> {
    let text = value.as_str()?;
    if text.is_empty() {
        return Err(value.fault(ErrorKind::InvalidValue, "a media type is not empty"));
    }
    if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        let detail = format!("{} is not a media type", quoted(text));
        return Err(value.fault(ErrorKind::InvalidValue, detail));
    }
    Ok(MediaType::from(text))
}

/// Reads a media type that may be missing or empty.
pub(crate) fn read_optional_media_type(
    fields: &Fields<'_>,
    name: &str,
) -> Result<Option<MediaType>, ManifestError> {
    match fields.get(name)? {
        Some(value) if !value.as_str()?.is_empty() => read_media_type(value).map(Some),
        _ => Ok(None),
    }
}

fn read_data(value: Value<'_>, digest: &Digest, size: u64) -> Result<Vec<u8>, ManifestError> {
    let invalid = |detail: String| value.fault(ErrorKind::InvalidValue, detail);
    let data = base64::decode_canonical(value.as_str()?)
        .ok_or_else(|| invalid("this is not base64".into()))?;
    if data.len() as u64 != size {
        return Err(invalid(format!(
            "the data has {} bytes, the descriptor says {size}",
            data.len()
        )));
    }
    let actual = Hasher::digest(digest.algorithm(), &data);
    if actual != *digest {
        return Err(invalid(format!(
            "the data has the digest {actual}, the descriptor says {digest}"
        )));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attestations_are_known_by_annotation_or_platform() {
        let digest = Hasher::digest(cask_reference::Algorithm::Sha256, b"");
        let plain = Descriptor::new(MediaType::OciManifest, digest, 0);
        assert!(!plain.is_attestation());
        let mut nowhere = plain.clone();
        nowhere.platform = Some(Platform {
            os: "unknown".into(),
            architecture: "unknown".into(),
            ..Platform::default()
        });
        assert!(nowhere.is_attestation());
        let mut marked = plain;
        marked
            .annotations
            .insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
        assert!(marked.is_attestation());
    }
}
