//! Artifacts: files that come to a list of images, with a manifest of their own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf, absolute};

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, MediaType, RawManifest,
};
use cask_storage::ArtifactPart;

use super::ImageList;
use crate::{Error, ErrorKind, Result};

/// The annotation that names a file.
///
/// Source: OCI image specification, `annotations.md`.
pub(crate) const TITLE: &str = "org.opencontainers.image.title";

/// The config of what has none.
///
/// Source: OCI image specification, `manifest.md`, "Guidance for an empty descriptor".
pub(crate) const EMPTY: &[u8] = b"{}";

/// How an artifact is made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactOptions {
    /// What kind of artifact it is; `None` where the type of its config says so.
    pub artifact_type: Option<MediaType>,
    /// Its config.
    pub config: ArtifactConfig,
    /// The manifest that it is about.
    pub subject: Option<Descriptor>,
    /// What its manifest says of it.
    pub annotations: BTreeMap<String, String>,
}

/// The config of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactConfig {
    /// An empty object, of a type.
    Empty(MediaType),
    /// A file, of a type.
    File(PathBuf, MediaType),
    /// Bytes of a type, which stand in the manifest too.
    Inline(Vec<u8>, MediaType),
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub media_type: MediaType,
    /// Whether the manifest names it.
    pub is_titled: bool,
}

/// An artifact that was read, and can be put into a list.
#[derive(Clone, Debug)]
pub struct Artifact {
    manifest: RawManifest,
    artifact_type: Option<MediaType>,
    config: (Digest, ArtifactPart),
    layers: Vec<(Digest, ArtifactPart)>,
}

impl Default for ArtifactOptions {
    /// Of the type that is used where nobody knows better, with an empty config.
    ///
    /// Source: containers/common, `libimage/manifests/manifests.go`, `AddArtifact`; ORAS.
    fn default() -> Self {
        Self {
            artifact_type: Some(MediaType::from("application/vnd.unknown.artifact.v1")),
            config: ArtifactConfig::Empty(MediaType::OciEmpty),
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Artifact {
    /// Reads files, which stay where they are and are read again when the list is pushed.
    ///
    /// Source: containers/common, `libimage/manifests/manifests.go`, `AddArtifact`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] for a file that cannot be read; [`ErrorKind::Invalid`] for a path that is no text.
    pub fn read(files: &[ArtifactFile], options: &ArtifactOptions) -> Result<Self> {
        let mut descriptors = Vec::with_capacity(files.len());
        let mut layers = Vec::with_capacity(files.len());
        for file in files {
            let (mut descriptor, part) = read_file(&file.path, &file.media_type)?;
            let name = file.path.file_name().filter(|_| file.is_titled);
            if let Some(name) = name.and_then(|name| name.to_str()) {
                descriptor.annotations.insert(TITLE.to_owned(), name.to_owned());
            }
            layers.push((descriptor.digest.clone(), part));
            descriptors.push(descriptor);
        }
        if files.is_empty() {
            let (descriptor, part) = inline(EMPTY, &MediaType::OciEmpty);
            layers.push((descriptor.digest.clone(), part));
            descriptors.push(descriptor);
        }
        let (config, part) = match &options.config {
            ArtifactConfig::Empty(media_type) => inline(EMPTY, media_type),
            ArtifactConfig::File(path, media_type) => read_file(path, media_type)?,
            ArtifactConfig::Inline(bytes, media_type) => inline(bytes, media_type),
        };
        let config_digest = config.digest.clone();
        let mut manifest = ImageManifest::new(ImageFormat::Oci, config, descriptors);
        manifest.artifact_type.clone_from(&options.artifact_type);
        manifest.subject.clone_from(&options.subject);
        manifest.annotations.clone_from(&options.annotations);
        let artifact_type = options.artifact_type.clone();
        let config = (config_digest, part);
        Ok(Self { manifest: manifest.encode(), artifact_type, config, layers })
    }
}

impl ImageList {
    /// Puts an artifact into the list, behind what is in it; gives the digest of its manifest.
    pub fn add_artifact(&mut self, artifact: &Artifact) -> Digest {
        let mut entry = artifact.manifest.descriptor();
        entry.artifact_type.clone_from(&artifact.artifact_type);
        let digest = entry.digest.clone();
        let text = String::from_utf8_lossy(artifact.manifest.bytes());
        let (config, part) = &artifact.config;
        let layers = artifact.layers.iter().map(|(layer, part)| (layer.to_string(), part.clone()));
        self.artifacts.insert(
            (digest.as_str(), &text),
            (config.as_str(), part.clone()),
            layers.collect(),
        );
        self.index.manifests.retain(|other| other.digest != digest);
        self.index.manifests.push(entry);
        digest
    }

    /// The artifact in the list of which a file is a part.
    pub fn artifact_of_file(&self, file: &Path) -> Option<Digest> {
        let path = absolute(file).ok()?;
        self.artifacts.of_file(path.to_str()?)?.parse().ok()
    }

    /// The files of which an artifact in the list was made.
    pub fn files(&self, artifact: &Digest) -> &[String] {
        self.artifacts.files(artifact.as_str())
    }
}

/// What a descriptor carries itself.
pub(crate) fn inline(bytes: &[u8], media_type: &MediaType) -> (Descriptor, ArtifactPart) {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    let mut descriptor = Descriptor::new(media_type.clone(), digest, bytes.len() as u64);
    descriptor.data = Some(bytes.to_vec());
    (descriptor, ArtifactPart::Bytes(bytes.to_vec()))
}

fn read_file(path: &Path, media_type: &MediaType) -> Result<(Descriptor, ArtifactPart)> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io, path.display(), "reading it to determine its digest")
            .with_source(error)
    };
    let whole = absolute(path).map_err(failed)?;
    let Some(text) = whole.to_str() else {
        let detail = "its path cannot be remembered: it is no text";
        return Err(Error::new(ErrorKind::Invalid, path.display(), detail));
    };
    if !whole.metadata().map_err(failed)?.is_file() {
        let detail = "it is no file: what is put into lists has to be read again";
        return Err(Error::new(ErrorKind::Invalid, path.display(), detail));
    }
    let file = File::open(&whole).map_err(failed)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update_from(file).map_err(failed)?;
    let size = hasher.len();
    let descriptor = Descriptor::new(media_type.clone(), hasher.finish(), size);
    Ok((descriptor, ArtifactPart::File(text.to_owned())))
}
