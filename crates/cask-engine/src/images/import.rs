//! A tarball as an image.

use std::io::Read;

use cask_image::{
    Descriptor, ExecutionConfig, HistoryEntry, ImageConfig, ImageFormat, ImageManifest,
    LayerCompression, MediaType, Timestamp,
};
use cask_layer::Compression;
use cask_storage::{Id, NewImage, NewLayer, StageOptions, StagedLayer};

use super::names::whole_name;
use crate::{Images, Result};

/// The comment of an image that was made without one.
const COMMENT: &str = "imported from tarball";

/// What an image of a tarball shall be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// How to run it; see [`config_of_changes`](crate::config_of_changes).
    pub config: ExecutionConfig,
    /// What is said about it in its history.
    pub message: String,
    /// Its name; `None` leaves it with its ID.
    pub name: Option<String>,
    /// When it was made: for a file, when that was changed last.
    pub created: Timestamp,
    /// The operating system, in Go's words.
    pub os: String,
    /// The architecture, in Go's words.
    pub architecture: String,
    /// The variant of the architecture.
    pub variant: Option<String>,
}

impl ImportOptions {
    /// Starts from when the image was made, and what it runs on.
    pub fn new(created: Timestamp, os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            config: ExecutionConfig::default(),
            message: String::new(),
            name: None,
            created,
            os: os.into(),
            architecture: architecture.into(),
            variant: None,
        }
    }
}

impl Images {
    /// Makes an image of a tarball, compressed or not, which becomes its one layer. The stream is
    /// read once, to its end, and nothing of it is kept besides.
    ///
    /// The config and its history are podman's, so the ID is the same if it was made from the same
    /// tar at the same time. Tarballs that are compressed by anything but gzip are
    /// named by the tar that is in them.
    ///
    /// Source: containers/common, `libimage/import.go`; containers/image, `tarball`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that is none;
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) for a stream that fails or is no tarball,
    /// and what the store says.
    pub fn import(&self, stream: impl Read + Send, options: &ImportOptions) -> Result<Id> {
        let name = options.name.as_deref().map(whole_name).transpose()?;
        let staged = self.store().stage_layer(stream, &StageOptions::default())?;
        let config = config(&staged, options).encode();
        let digest = cask_image::Hasher::digest(cask_image::Algorithm::Sha256, &config);
        let config_at = Descriptor::new(MediaType::OciConfig, digest, config.len() as u64);
        let manifest = ImageManifest::new(ImageFormat::Oci, config_at, vec![layer(&staged)]);
        let mut image = NewImage::of_manifest(&manifest.encode(), &config)?;
        image.names.extend(name.as_ref().map(ToString::to_string));
        image.layers.push(NewLayer::Staged(staged));
        let made = self.store().commit_image(image)?;
        if let Some(name) = name {
            self.tell("tag", made.id.as_str(), &name.to_string());
        }
        Ok(made.id.clone())
    }
}

fn config(staged: &StagedLayer, options: &ImportOptions) -> ImageConfig {
    let diff_id = staged.diff_digest();
    let comment = if options.message.is_empty() { COMMENT } else { &options.message };
    let mut config = ImageConfig::new(options.os.as_str(), options.architecture.as_str());
    config.created = Some(options.created);
    config.variant.clone_from(&options.variant);
    config.config.clone_from(&options.config);
    config.diff_ids = vec![diff_id.clone()];
    config.history = vec![HistoryEntry {
        created: Some(options.created),
        created_by: format!("/bin/sh -c #(nop) ADD file:{} in /", diff_id.hex()),
        comment: comment.to_owned(),
        ..HistoryEntry::default()
    }];
    config
}

/// The layer as it came by gzip, or else as it is unpacked: what reads Docker's manifests knows no other compression.
fn layer(staged: &StagedLayer) -> Descriptor {
    let (compression, digest, size) = match staged.compression() {
        Compression::Gzip => {
            (LayerCompression::Gzip, staged.blob_digest(), staged.blob_size_bytes())
        }
        _ => (LayerCompression::None, staged.diff_digest(), staged.diff_size_bytes()),
    };
    Descriptor::new(MediaType::OciLayer(compression), digest.clone(), size)
}
