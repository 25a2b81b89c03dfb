//! One image of an archive.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cask_archive::{Member, UnpackedReader};
use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageConfig, ImageFormat, ImageManifest,
    LayerCompression, MAX_CONFIG_BYTES, MediaType, RawManifest,
};

use crate::error::{Error, ErrorKind, Result};
use crate::reader::DockerArchive;

/// An image in an archive. A clone shares everything.
#[derive(Clone, Debug)]
pub struct Image(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    archive: DockerArchive,
    position: usize,
    config_bytes: Bytes,
    config: ImageConfig,
    config_digest: Digest,
    /// Each layer once.
    layers: Vec<Layer>,
    /// Positions in `layers`, by DiffID.
    by_diff_id: HashMap<Digest, usize>,
}

/// A layer of an image.
#[derive(Debug)]
pub struct Layer {
    diff_id: Digest,
    member: Member,
    is_compressed: bool,
    /// How many bytes the plain layer has, as soon as that is known.
    size: OnceLock<u64>,
}

impl Layer {
    /// The digest of the plain layer, by which the config names it.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// The member of the archive that holds the layer.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Whether the layer is compressed within the archive. `docker save` does not compress;
    /// others do.
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }
}

impl Image {
    pub(crate) fn open(archive: DockerArchive, position: usize) -> Result<Self> {
        let item = &archive.items()[position];
        let config_bytes = archive.archive().read_member(&item.config, MAX_CONFIG_BYTES);
        let config_bytes =
            Bytes::from(config_bytes.map_err(|error| Error::archive("loading config", error))?);
        let config = ImageConfig::parse(config_bytes.clone()).map_err(|error| {
            let detail = format!("decoding tar config {:?}", item.config);
            archive.error(ErrorKind::Malformed, detail).caused_by(error)
        })?;
        if item.layers.len() != config.diff_ids.len() {
            let detail = format!(
                "Inconsistent layer count: {} in manifest, {} in config",
                item.layers.len(),
                config.diff_ids.len()
            );
            return Err(archive.error(ErrorKind::Malformed, detail));
        }
        let mut layers: Vec<Layer> = Vec::new();
        let mut by_diff_id = HashMap::new();
        let mut by_offset = HashMap::new();
        for (diff_id, name) in config.diff_ids.iter().zip(&item.layers) {
            // An image may have a layer twice; the bytes are the same, wherever they are.
            if by_diff_id.contains_key(diff_id) {
                continue;
            }
            let layer = Layer::find(&archive, diff_id, name)?;
            if let Some(other) = by_offset.insert(layer.member.data_offset(), diff_id) {
                let detail = format!(
                    "Layer tarfile {name:?} used for two different DiffID values, {other} and \
                     {diff_id}"
                );
                return Err(archive.error(ErrorKind::Malformed, detail));
            }
            by_diff_id.insert(diff_id.clone(), layers.len());
            layers.push(layer);
        }
        let config_digest = Hasher::digest(Algorithm::Sha256, &config_bytes);
        Ok(Self(Arc::new(Inner {
            archive,
            position,
            config_bytes,
            config,
            config_digest,
            layers,
            by_diff_id,
        })))
    }

    /// The archive that the image is in.
    pub fn archive(&self) -> &DockerArchive {
        &self.0.archive
    }

    /// The position in the archive, from zero.
    pub fn position(&self) -> usize {
        self.0.position
    }

    /// The names as they stand in the archive.
    pub fn names(&self) -> &[String] {
        self.0.archive.entries()[self.0.position].names()
    }

    /// The config's bytes.
    pub fn config_bytes(&self) -> &Bytes {
        &self.0.config_bytes
    }

    /// The config.
    pub fn config(&self) -> &ImageConfig {
        &self.0.config
    }

    /// The config's digest, by SHA-256: what engines call the image's ID.
    pub fn config_digest(&self) -> &Digest {
        &self.0.config_digest
    }

    /// The layers, the base first, each one once.
    pub fn layers(&self) -> &[Layer] {
        &self.0.layers
    }

    /// The layer of a DiffID.
    ///
    /// # Errors
    /// `NoLayer` if the image has none such.
    pub fn layer(&self, diff_id: &Digest) -> Result<&Layer> {
        let position = self.0.by_diff_id.get(diff_id).ok_or_else(|| {
            let detail = format!("Unknown blob {diff_id}");
            self.0.archive.error(ErrorKind::NoLayer, detail)
        })?;
        Ok(&self.0.layers[*position])
    }

    /// Makes a manifest of the image: Docker's schema 2, with plain layers that are named by
    /// their DiffIDs, and the config as it is.
    ///
    /// The archive holds no manifest, so this one is the same for the same config and layers, and
    /// not the one that the image had in a registry. Layers that are compressed in the archive
    /// are read once, several at a time, to learn their plain sizes.
    ///
    /// # Errors
    /// `Malformed` and `Archive` if a compressed layer cannot be read.
    pub fn manifest(&self) -> Result<RawManifest> {
        self.measure_layers()?;
        let config_size = self.0.config_bytes.len() as u64;
        let config =
            Descriptor::new(MediaType::DockerConfig, self.0.config_digest.clone(), config_size);
        let mut layers = Vec::new();
        for diff_id in &self.0.config.diff_ids {
            let size = self.layer_size(self.layer(diff_id)?)?;
            let media_type = MediaType::DockerLayer(LayerCompression::None);
            layers.push(Descriptor::new(media_type, diff_id.clone(), size));
        }
        Ok(ImageManifest::new(ImageFormat::Docker, config, layers).encode())
    }

    /// How many bytes a layer has when it is plain. A compressed one is read for that, once.
    ///
    /// # Errors
    /// As [`Image::manifest`].
    pub fn layer_size(&self, layer: &Layer) -> Result<u64> {
        if let Some(size) = layer.size.get() {
            return Ok(*size);
        }
        let mut reader = self.danger_open_layer_unverified(&layer.diff_id, 0)?;
        let size = io::copy(&mut reader, &mut io::sink()).map_err(|error| {
            let detail = format!("reading layer {} to find its size", layer.diff_id);
            self.0.archive.error(ErrorKind::Malformed, detail).caused_by(error)
        })?;
        Ok(*layer.size.get_or_init(|| size))
    }

    /// Learns the sizes of all compressed layers, on as many threads as make sense.
    fn measure_layers(&self) -> Result<()> {
        let unknown: Vec<&Layer> =
            self.0.layers.iter().filter(|layer| layer.size.get().is_none()).collect();
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        if unknown.len() < 2 || threads < 2 {
            return unknown.into_iter().try_for_each(|layer| self.layer_size(layer).map(drop));
        }
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            while let Some(layer) =
                unknown.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
            {
                self.layer_size(layer)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..threads.min(unknown.len())).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    /// Opens a layer, plain. The reader fails at its end unless the bytes have the DiffID.
    ///
    /// # Errors
    /// `NoLayer` if the image has none such; `Archive`.
    pub fn open_layer(&self, diff_id: &Digest) -> Result<LayerReader> {
        let mut reader = self.danger_open_layer_unverified(diff_id, 0)?;
        reader.check = Some((Hasher::new(diff_id.algorithm()), diff_id.clone()));
        Ok(reader)
    }

    /// Opens a layer, plain and without its first `offset` bytes, for callers that check its
    /// digest themselves. The start of a compressed layer is decompressed to be left out.
    ///
    /// # Errors
    /// `NoLayer` if the image has none such; `Archive`; `Malformed` if the bytes to be left out
    /// cannot be decompressed.
    pub fn danger_open_layer_unverified(
        &self,
        diff_id: &Digest,
        offset: u64,
    ) -> Result<LayerReader> {
        let layer = self.layer(diff_id)?;
        let plain = self.0.archive.archive().open_unpacked(layer.member.name());
        let mut plain = plain.map_err(|error| Error::archive("opening layer", error))?;
        plain.skip(offset).map_err(|error| {
            let detail = format!("reading layer {diff_id}");
            self.0.archive.error(ErrorKind::Malformed, detail).caused_by(error)
        })?;
        Ok(LayerReader { plain, check: None, image: self.clone() })
    }
}

impl Layer {
    fn find(archive: &DockerArchive, diff_id: &Digest, name: &str) -> Result<Self> {
        let reader = archive.archive().open_unpacked(name);
        let reader = reader.map_err(|error| Error::archive("opening layer", error))?;
        let size = OnceLock::new();
        if let Some(known) = reader.size_bytes() {
            size.get_or_init(|| known);
        }
        Ok(Self {
            diff_id: diff_id.clone(),
            member: reader.member().clone(),
            is_compressed: reader.is_compressed(),
            size,
        })
    }
}

/// A layer's plain bytes. An [`io::Error`] that it gives has an [`Error`](crate::Error) or one of
/// [`cask_archive`] inside.
#[derive(Debug)]
pub struct LayerReader {
    plain: UnpackedReader,
    /// The hash so far and what it has to be; gone once it was compared.
    check: Option<(Hasher, Digest)>,
    image: Image,
}

impl Read for LayerReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.plain.read(buffer)?;
        if bytes > 0 {
            if let Some((hasher, _)) = &mut self.check {
                hasher.update(&buffer[..bytes]);
            }
        } else if !buffer.is_empty()
            && let Some((hasher, expected)) = self.check.take()
        {
            let found = hasher.finish();
            if found != expected {
                let detail = format!("Digest did not match, expected {expected}, got {found}");
                let error = self.image.0.archive.error(ErrorKind::DigestMismatch, detail);
                return Err(error.into_io());
            }
        }
        Ok(bytes)
    }
}
