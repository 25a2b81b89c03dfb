//! Layers.

use std::io::Write as _;

use bytes::Bytes;
use cask_image::{Algorithm, Digest, Hasher, LayerCompression, MediaType};

use super::content::Blob;
use super::image::Format;
use super::random::{derived, mixed_bytes};
use super::tar::{Tar, TarEntry};

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip.
    #[default]
    Gzip,
    /// By Zstandard.
    Zstd,
}

/// What to make a layer of. Two equal specs make equal layers, whatever image they are in.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    seed: u64,
    files: usize,
    size_bytes: usize,
    compression: Compression,
    entries: Vec<TarEntry>,
    urls: Vec<String>,
    media_type: Option<MediaType>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The blob, compressed as asked for.
    pub blob: Blob,
    /// The blob without compression.
    pub tar: Bytes,
    /// The digest of [`tar`](Self::tar).
    pub diff_id: Digest,
}

impl LayerSpec {
    /// A gzip layer of a directory with three files of 1 KiB together, an empty one and two links.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            files: 3,
            size_bytes: 1024,
            compression: Compression::default(),
            entries: Vec::new(),
            urls: Vec::new(),
            media_type: None,
        }
    }

    /// Sets how many files there are; they have about the same size. Zero leaves only what
    /// [`entry`](Self::entry) adds.
    #[must_use]
    pub fn files(mut self, count: usize) -> Self {
        self.files = count;
        self
    }

    /// Sets how many bytes all files have together.
    #[must_use]
    pub fn size_bytes(mut self, size: usize) -> Self {
        self.size_bytes = size;
        self
    }

    /// Sets how the blob is compressed.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Adds an entry after the files: a whiteout, a device, whatever is wanted.
    #[must_use]
    pub fn entry(mut self, entry: TarEntry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Makes the layer one that need not be distributed, with an address to fetch it from.
    #[must_use]
    pub fn foreign(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// Sets a media type that need not fit.
    #[must_use]
    pub fn media_type(mut self, media_type: MediaType) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// Makes the layer as it stands in an image of this format, with digests by this algorithm.
    pub fn build(&self, format: Format, algorithm: Algorithm) -> Layer {
        let tar = Bytes::from(self.tar());
        let diff_id = Hasher::digest(algorithm, &tar);
        let bytes = compress(&tar, self.compression);
        let media_type = self.media_type.clone().unwrap_or_else(|| self.usual_type(format));
        let mut blob = Blob::with_algorithm(media_type, bytes, algorithm);
        blob.descriptor.urls.clone_from(&self.urls);
        Layer { blob, tar, diff_id }
    }

    fn tar(&self) -> Vec<u8> {
        let directory = format!("layer-{:08x}", derived(self.seed, 0) >> 32);
        let mut tar = Tar::new();
        if self.files > 0 {
            tar = tar.directory(format!("{directory}/"));
        }
        for index in 0..self.files {
            let from = self.size_bytes * index / self.files;
            let to = self.size_bytes * (index + 1) / self.files;
            let content = mixed_bytes(derived(self.seed, 1 + index as u64), to - from);
            tar = tar.file(format!("{directory}/file-{index}"), content);
        }
        if self.files > 0 {
            tar = tar
                .file(format!("{directory}/empty"), "")
                .symlink(format!("{directory}/symlink"), "file-0")
                .hardlink(format!("{directory}/hardlink"), format!("{directory}/file-0"));
        }
        self.entries.iter().fold(tar, Tar::entry).finish()
    }

    fn usual_type(&self, format: Format) -> MediaType {
        let compression = match self.compression {
            Compression::None => LayerCompression::None,
            Compression::Gzip => LayerCompression::Gzip,
            Compression::Zstd => LayerCompression::Zstd,
        };
        match (format, self.urls.is_empty()) {
            (Format::Oci, true) => MediaType::OciLayer(compression),
            (Format::Oci, false) => MediaType::OciNondistributableLayer(compression),
            (Format::Docker, true) => MediaType::DockerLayer(compression),
            (Format::Docker, false) => MediaType::DockerForeignLayer(compression),
        }
    }
}

/// Compresses bytes, always to the same.
pub(super) fn compress(bytes: &Bytes, compression: Compression) -> Bytes {
    match compression {
        Compression::None => bytes.clone(),
        Compression::Gzip => gzip(|encoder| encoder.write_all(bytes)),
        Compression::Zstd => {
            zstd::bulk::compress(bytes, 3).expect("compressing in memory cannot fail").into()
        }
    }
}

/// Compresses by gzip what `write` writes.
pub(super) fn gzip(
    write: impl FnOnce(&mut flate2::write::GzEncoder<Vec<u8>>) -> std::io::Result<()>,
) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    write(&mut encoder)
        .and_then(|()| encoder.finish())
        .expect("compressing in memory cannot fail")
        .into()
}
