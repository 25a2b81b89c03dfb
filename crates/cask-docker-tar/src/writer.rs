//! Writing: layers in any order, then the images made of them.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cask_archive::{ArchiveWriter, Durability, Existing, LockedArchive, ReadOptions};
use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageConfig, ImageFormat, ImageManifest, Index,
    LayerCompression, Manifest, MediaType, RawManifest,
};
use cask_reference::Reference;

use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Item, MAX_MANIFEST_JSON_BYTES};
use crate::layer_writer::LayerWriter;
use crate::legacy;
use crate::old::{layout_of, taken_over};
use crate::reader::{DockerArchive, INDEX_JSON, MANIFEST_JSON, OCI_LAYOUT, REPOSITORIES};
use crate::state::{State, locked};

/// Where the parts of images are in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// Plain layers at the root, and what Docker before 1.10 needs: the bytes are those of
    /// `skopeo copy … docker-archive:…`.
    #[default]
    Classic,
    /// An OCI layout with a `manifest.json` beside it that points into its blobs, as Docker has
    /// written since version 25. `docker load` and every reader of OCI archives understand it.
    /// Layers may be compressed, and manifests are kept byte for byte.
    Hybrid,
}

/// How an archive is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Where the parts of images are. An archive that is added to keeps its own.
    pub layout: Layout,
    /// What happens to a file that exists. Default: it is replaced at the end.
    pub existing: Existing,
    /// The time in all headers, in seconds since 1970. Default: 0.
    pub modified_seconds: u64,
    /// The directory for data that has to wait for its place. Default: that of the archive, and
    /// `/var/tmp` for streams.
    pub spool_directory: Option<PathBuf>,
}

/// Writes an archive of images. Shared references suffice, so that several threads can write
/// layers; their order is that in which they were begun.
///
/// An archive in a regular file cannot be seen before it is finished; dropped without, nothing of
/// it remains, and a file that was there before is as it was.
#[derive(Debug)]
pub struct DockerArchiveWriter {
    archive: ArchiveWriter,
    layout: Layout,
    state: Arc<Mutex<State>>,
    /// The archive that is added to.
    old: Option<DockerArchive>,
}

impl DockerArchiveWriter {
    /// Begins an archive at a path. A pipe or a device is written from front to back.
    ///
    /// # Errors
    /// `Archive` if a file is there that is not to be replaced, or cannot be written.
    pub fn create(path: impl AsRef<Path>, options: &WriteOptions) -> Result<Self> {
        let archive = ArchiveWriter::create(path, options.for_archive(options.layout));
        Self::new(archive.map_err(writing)?, options.layout)
    }

    /// Begins an archive in a stream, which is written from front to back; `path` is for error
    /// messages.
    ///
    /// # Errors
    /// `Archive` if the stream cannot be written.
    pub fn to_stream(
        stream: impl Write + Send + 'static,
        path: impl AsRef<Path>,
        options: &WriteOptions,
    ) -> Result<Self> {
        let archive_options = options.for_archive(options.layout);
        Self::new(ArchiveWriter::to_stream(stream, path, archive_options), options.layout)
    }

    /// Begins with all images of an archive that exists, in its own layout. The new archive takes
    /// the old one's place when it is finished, and not before; nobody else can add to it
    /// meanwhile. Layers of the old archive are not written again.
    ///
    /// # Errors
    /// `Archive` if the old archive cannot be read, is compressed, or is no regular file;
    /// `NotDockerArchive` and `Malformed` for what is in it.
    pub fn append_to(
        path: impl AsRef<Path>,
        options: &WriteOptions,
        read_options: &ReadOptions,
    ) -> Result<Self> {
        let locked = LockedArchive::open(path, read_options).map_err(writing)?;
        let old = DockerArchive::from_archive(locked.reader().clone())?;
        let layout = layout_of(old.archive());
        let state = taken_over(&old, layout)?;
        let index_files = [MANIFEST_JSON, REPOSITORIES, INDEX_JSON, OCI_LAYOUT];
        let is_kept = |name: &[u8]| !index_files.iter().any(|file| file.as_bytes() == name);
        let archive = ArchiveWriter::append_to(locked, options.for_archive(layout), |member| {
            is_kept(member.name())
        });
        let mut writer = Self::new(archive.map_err(writing)?, layout)?;
        writer.state = Arc::new(Mutex::new(state));
        writer.old = Some(old);
        Ok(writer)
    }

    fn new(archive: ArchiveWriter, layout: Layout) -> Result<Self> {
        Ok(Self { archive, layout, state: Arc::default(), old: None })
    }

    /// Where the parts of images are.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether the archive holds a layer, or is about to. A layer of an archive that is added to
    /// is read and checked first, once.
    ///
    /// # Errors
    /// `DigestMismatch` if the old archive's layer has other bytes than its name says; `Archive`
    /// if it cannot be read.
    pub fn has_layer(&self, digest: &Digest) -> Result<bool> {
        let Some(layer) = locked(&self.state).layer(digest).cloned() else { return Ok(false) };
        if let Some(old) = self.old.as_ref().filter(|_| !layer.is_verified) {
            let size = self.verify(old, digest, &layer.member)?;
            locked(&self.state).layer_is_verified(digest, size);
        }
        Ok(true)
    }

    /// How many bytes a layer has, of those that have its digest. Nothing if the archive does not
    /// hold it, or does not yet; and for one of an archive that is added to, before
    /// [`DockerArchiveWriter::has_layer`] was asked.
    pub fn layer_size(&self, digest: &Digest) -> Option<u64> {
        locked(&self.state).layer(digest)?.size
    }

    /// Reads a layer of the old archive, and gives its size.
    fn verify(&self, old: &DockerArchive, digest: &Digest, member: &str) -> Result<u64> {
        let failed = |error: io::Error| {
            let detail = format!("reading layer {digest} of the archive");
            self.error(ErrorKind::Malformed, detail).caused_by(error)
        };
        let reader: Box<dyn Read> = match self.layout {
            // Named by the digest of the plain layer, and perhaps compressed.
            Layout::Classic => Box::new(old.archive().open_unpacked(member).map_err(writing)?),
            Layout::Hybrid => Box::new(old.archive().open_member(member).map_err(writing)?),
        };
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update_from(reader).map_err(failed)?;
        let size = hasher.len();
        let found = hasher.finish();
        if found != *digest {
            let detail = format!("the archive's layer {digest} is damaged: its digest is {found}");
            return Err(self.error(ErrorKind::DigestMismatch, detail));
        }
        Ok(size)
    }

    /// Begins a layer, whose place in the archive's order is fixed by this call. In the classic
    /// layout it is a plain tar, and the digest its DiffID. Without a size, layers that are begun
    /// after it have to wait in temporary files until it is finished.
    ///
    /// # Errors
    /// `Archive` if the layer was begun before, or the archive cannot be written.
    pub fn begin_layer(&self, digest: &Digest, size_bytes: Option<u64>) -> Result<LayerWriter> {
        let member = match self.layout {
            Layout::Classic => format!("{}.tar", digest.hex()),
            Layout::Hybrid => self.make_blob_directory(digest)?,
        };
        let mut state = locked(&self.state);
        let slot = match size_bytes {
            Some(size) => self.archive.reserve(&member, size),
            None => self.archive.reserve_unsized(Some(&member)),
        };
        let slot = slot.map_err(writing)?;
        state.begin_layer(digest, member);
        Ok(self.layer_writer(slot, Some(digest.clone())))
    }

    /// Begins a layer whose digest is known only at its end, such as one that is being compressed;
    /// hybrid layout only. [`LayerWriter::finish_as`] completes it.
    ///
    /// # Errors
    /// `Unsupported` in the classic layout; `Archive` if the archive cannot be written.
    pub fn begin_unnamed_layer(&self) -> Result<LayerWriter> {
        if self.layout != Layout::Hybrid {
            let detail = "the classic layout names layers before they are written";
            return Err(self.error(ErrorKind::Unsupported, detail));
        }
        self.make_blob_directory(&Hasher::digest(Algorithm::Sha256, b""))?;
        let slot = self.archive.reserve_unsized(None).map_err(writing)?;
        Ok(self.layer_writer(slot, None))
    }

    fn layer_writer(&self, slot: cask_archive::Slot, digest: Option<Digest>) -> LayerWriter {
        let path = self.archive.path().to_owned();
        LayerWriter::new(slot, digest, path, Arc::clone(&self.state))
    }

    /// Writes a layer. `size_bytes` saves a temporary file where the archive is a stream.
    ///
    /// # Errors
    /// As [`DockerArchiveWriter::begin_layer`] and [`LayerWriter::finish`]; `Malformed` for what
    /// the reader gives.
    pub fn write_layer(
        &self,
        digest: &Digest,
        size_bytes: Option<u64>,
        data: &mut dyn Read,
    ) -> Result<u64> {
        let mut layer = self.begin_layer(digest, size_bytes)?;
        io::copy(data, &mut layer).map_err(|error| {
            match error.downcast::<cask_archive::Error>() {
                Ok(own) => writing(own),
                Err(error) => {
                    let detail = format!("copying layer {digest}");
                    self.error(ErrorKind::Malformed, detail).caused_by(error)
                }
            }
        })?;
        layer.finish()
    }

    /// Adds an image of layers that were begun before. Names have a tag and no digest; an image
    /// that had one of them loses it. An image that is there already gets the names.
    ///
    /// In the hybrid layout the image gets a manifest, an OCI one, with these layers as plain
    /// ones; they have to be finished.
    ///
    /// # Errors
    /// `NoLayer` if a layer of the config was not begun; `Malformed` if the config is none;
    /// `Unsupported` for a name without a tag, or with a digest; `Archive`.
    pub fn add_image(&self, config: &[u8], names: &[Reference]) -> Result<()> {
        let parsed = self.parse_config(config)?;
        self.check_names(names)?;
        if self.layout == Layout::Hybrid {
            let manifest = self.plain_manifest(config, &parsed)?;
            return self.add_oci_image(&manifest, config, names);
        }
        let layers = self.members_of(&parsed.diff_ids)?;
        let config_digest = Hasher::digest(Algorithm::Sha256, config);
        let config_member = format!("{}.json", config_digest.hex());
        self.put(&config_member, config)?;
        let chain = legacy::images(&parsed.diff_ids, config);
        for (image, layer) in chain.iter().zip(&layers) {
            self.put_legacy(image, layer)?;
        }
        let mut state = locked(&self.state);
        if let Some(top) = chain.last() {
            state.add_to_repositories(names, &top.id);
        }
        state.add_item(Item { config: config_member, layers, ..Item::default() }, names);
        Ok(())
    }

    /// Adds an image with its OCI manifest, which is kept byte for byte; hybrid layout only. The
    /// layers of the manifest were begun before, under their own digests, compressed or not.
    ///
    /// # Errors
    /// As [`DockerArchiveWriter::add_image`]; `Unsupported` in the classic layout, and for what is
    /// no OCI manifest of an image; `Malformed` if the manifest is none, or does not go with the
    /// config; `DigestMismatch` if the config is not the manifest's.
    pub fn add_oci_image(
        &self,
        manifest: &RawManifest,
        config: &[u8],
        names: &[Reference],
    ) -> Result<()> {
        if self.layout != Layout::Hybrid {
            let detail = "the classic layout has no place for a manifest";
            return Err(self.error(ErrorKind::Unsupported, detail));
        }
        self.check_names(names)?;
        let parsed = self.parse_image_manifest(manifest)?;
        let found = Hasher::digest(parsed.config.digest.algorithm(), config);
        if found != parsed.config.digest {
            let expected = &parsed.config.digest;
            let detail =
                format!("Download config.json digest {found} does not match expected {expected}");
            return Err(self.error(ErrorKind::DigestMismatch, detail));
        }
        let diff_ids = self.parse_config(config)?.diff_ids;
        if diff_ids.len() != parsed.layers.len() {
            let detail = format!(
                "Inconsistent layer count: {} in manifest, {} in config",
                parsed.layers.len(),
                diff_ids.len()
            );
            return Err(self.error(ErrorKind::Malformed, detail));
        }
        let digests: Vec<Digest> = parsed.layers.iter().map(|layer| layer.digest.clone()).collect();
        let layers = self.members_of(&digests)?;
        let config_member = self.make_blob_directory(&parsed.config.digest)?;
        self.put(&config_member, config)?;
        self.put(&self.make_blob_directory(manifest.digest())?, manifest.bytes())?;
        let mut state = locked(&self.state);
        state.add_to_index(&manifest.descriptor(), names);
        state.add_item(Item { config: config_member, layers, ..Item::default() }, names);
        Ok(())
    }

    /// Completes the archive and makes it visible. Gives its size in bytes.
    ///
    /// # Errors
    /// `Archive` if a layer is still being written, or the file cannot be put in its place.
    pub fn finish(self, durability: Durability) -> Result<u64> {
        let state = std::mem::take(&mut *locked(&self.state));
        self.check_members(&state.items)?;
        let manifest = json::encode(&state.items);
        if manifest.len() as u64 > MAX_MANIFEST_JSON_BYTES {
            let detail = "manifest.json would have more than 1 MiB: too many images";
            return Err(self.error(ErrorKind::Unsupported, detail));
        }
        match self.layout {
            Layout::Classic => {
                let repositories = json::encode_repositories(&state.repositories);
                self.put(MANIFEST_JSON, &manifest)?;
                self.put(REPOSITORIES, &repositories)?;
            }
            Layout::Hybrid => {
                let index = Index::new(ImageFormat::Oci, state.index).encode();
                self.put(INDEX_JSON, index.bytes())?;
                self.put(MANIFEST_JSON, &manifest)?;
                self.put(OCI_LAYOUT, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            }
        }
        self.archive.finish(durability).map_err(writing)
    }

    /// Makes the manifest of an image that came without one.
    fn plain_manifest(&self, config: &[u8], parsed: &ImageConfig) -> Result<RawManifest> {
        let digest = Hasher::digest(Algorithm::Sha256, config);
        let config = Descriptor::new(MediaType::OciConfig, digest, config.len() as u64);
        let mut layers = Vec::new();
        for diff_id in &parsed.diff_ids {
            self.require_layer(diff_id)?;
            let size = self.layer_size(diff_id).ok_or_else(|| {
                let detail = format!("layer {diff_id} is still being written");
                self.error(ErrorKind::NoLayer, detail)
            })?;
            let media_type = MediaType::OciLayer(LayerCompression::None);
            layers.push(Descriptor::new(media_type, diff_id.clone(), size));
        }
        Ok(ImageManifest::new(ImageFormat::Oci, config, layers).encode())
    }

    fn parse_config(&self, config: &[u8]) -> Result<ImageConfig> {
        ImageConfig::parse(Bytes::copy_from_slice(config))
            .map_err(|error| self.error(ErrorKind::Malformed, "decoding config").caused_by(error))
    }

    fn parse_image_manifest(&self, manifest: &RawManifest) -> Result<ImageManifest> {
        let parsed = manifest.parse().map_err(|error| {
            self.error(ErrorKind::Malformed, "parsing manifest").caused_by(error)
        })?;
        match parsed {
            Manifest::Image(image) if image.format == ImageFormat::Oci && !image.is_artifact() => {
                Ok(image)
            }
            _ => {
                let detail = format!(
                    "{} is no OCI manifest of an image, and docker load reads nothing else",
                    manifest.digest()
                );
                Err(self.error(ErrorKind::Unsupported, detail))
            }
        }
    }

    fn check_names(&self, names: &[Reference]) -> Result<()> {
        match names.iter().find(|name| name.digest().is_some() || name.tag().is_none()) {
            None => Ok(()),
            Some(name) => {
                let detail = format!("an image is named by a tag and no digest, not {name}");
                Err(self.error(ErrorKind::Unsupported, detail))
            }
        }
    }

    /// The members of layers, after those of an archive that is added to were checked.
    fn members_of(&self, digests: &[Digest]) -> Result<Vec<String>> {
        digests.iter().try_for_each(|digest| self.require_layer(digest))?;
        let state = locked(&self.state);
        let member = |digest| state.layer(digest).map(|layer| layer.member.clone());
        digests.iter().map(|digest| member(digest).ok_or_else(|| self.no_layer(digest))).collect()
    }

    fn require_layer(&self, digest: &Digest) -> Result<()> {
        if self.has_layer(digest)? { Ok(()) } else { Err(self.no_layer(digest)) }
    }

    fn no_layer(&self, digest: &Digest) -> Error {
        self.error(ErrorKind::NoLayer, format!("layer {digest} was not written before its image"))
    }

    /// The member of a blob, after its directories were written.
    fn make_blob_directory(&self, digest: &Digest) -> Result<String> {
        self.archive.directory("blobs").map_err(writing)?;
        let directory = format!("blobs/{}", digest.algorithm());
        self.archive.directory(&directory).map_err(writing)?;
        Ok(blob_member(digest))
    }

    fn put_legacy(&self, image: &legacy::LegacyImage, layer: &str) -> Result<()> {
        let member = |file: &str| format!("{}/{file}", image.id);
        let link = member(legacy::LAYER);
        if self.archive.contains(&link) {
            return Ok(());
        }
        self.archive.symlink(&link, &format!("../{layer}")).map_err(writing)?;
        self.put(&member(legacy::VERSION.0), legacy::VERSION.1)?;
        self.put(&member(legacy::JSON), &image.json)
    }

    /// Writes a small file, unless it was written before: all but the last ones are named by
    /// their content.
    fn put(&self, member: &str, bytes: &[u8]) -> Result<()> {
        match self.archive.append_bytes(member, bytes) {
            Err(error) if error.kind() == cask_archive::ErrorKind::Duplicate => {
                self.compare_with_old(member, bytes)
            }
            result => result.map_err(writing),
        }
    }

    /// Checks that a file of the archive that is added to is what its name says.
    fn compare_with_old(&self, member: &str, bytes: &[u8]) -> Result<()> {
        let Some(old) = &self.old else { return Ok(()) };
        match old.archive().read_member(member, bytes.len() as u64) {
            Err(error) if error.kind() == cask_archive::ErrorKind::NoMember => Ok(()),
            Ok(found) if found == bytes => Ok(()),
            Ok(_) | Err(_) => {
                let detail = format!("the archive's member {member:?} is damaged");
                Err(self.error(ErrorKind::Malformed, detail))
            }
        }
    }

    /// Checks that no layer was given up after its image was added.
    fn check_members(&self, items: &[Item]) -> Result<()> {
        let members = items.iter().flat_map(|item| item.layers.iter().chain([&item.config]));
        match members.into_iter().find(|member| !self.archive.contains(&clean(member))) {
            None => Ok(()),
            Some(member) => {
                let detail = format!("the archive lacks {member:?}, which an image needs");
                Err(self.error(ErrorKind::NoLayer, detail))
            }
        }
    }

    fn error(&self, kind: ErrorKind, detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, "writing", self.archive.path(), detail)
    }
}

impl WriteOptions {
    fn for_archive(&self, layout: Layout) -> cask_archive::WriteOptions {
        let mut options = cask_archive::WriteOptions::default();
        if layout == Layout::Classic {
            // As Go's library writes the headers that skopeo fills in.
            options.file_mode = 0o444;
            options.symlink_mode = 0;
        }
        options.modified_seconds = self.modified_seconds;
        options.existing = self.existing;
        options.spool_directory.clone_from(&self.spool_directory);
        options
    }
}

/// The member of a blob in an OCI layout.
pub(crate) fn blob_member(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn writing(error: cask_archive::Error) -> Error {
    Error::archive("writing archive", error)
}

/// A member's name as the archive knows it; `manifest.json` may spell it otherwise.
fn clean(name: &str) -> String {
    let components = name.split('/').filter(|component| !matches!(*component, "" | "."));
    components.collect::<Vec<_>>().join("/")
}
