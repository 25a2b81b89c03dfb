//! From a stream to a layer on the disk, in one pass.
//!
//! While the stream is read it is hashed, decompressed, hashed again, written down as tar-split and
//! extracted; nothing is stored twice. No lock is held, so that several layers can be read at the
//! same time and nobody waits for a slow stream.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cask_image::Digest;
use cask_layer::{
    Applied, ApplyError, ApplyErrorKind, ApplyLimits, ApplyOptions, Compression, DecompressLimits,
    MeasuredRead, TarSplitRecorder, UnpackError, UnpackOptions, Unpacked, Whiteouts, apply, unpack,
    unpack_measured,
};
use cask_rootfs::Root;
use rustix::fs::XattrFlags;

use crate::cache::not_found;
use crate::driver::copy;
use crate::kept::Keeper;
use crate::names::IMAGE_PLACE;
use crate::staged::{Facts, Staging};
use crate::write_behind::Written;
use crate::{DriverKind, Error, ErrorKind, Id, Result, StagedLayer, Store, file};

/// The mode of the uppermost directory of a layer without a parent.
const ROOT_MODE: u32 = 0o555;

/// What is expected of a stream, and what it may cost.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StageOptions {
    /// The digest of the stream as it comes.
    pub blob_digest: Option<Digest>,
    /// The size of the stream as it comes, in bytes.
    pub blob_size_bytes: Option<u64>,
    /// The digest of the uncompressed stream: the diff ID of an image's config.
    pub diff_digest: Option<Digest>,
    /// What decompressing may cost.
    pub decompress_limits: DecompressLimits,
    /// What extracting may cost.
    pub apply_limits: ApplyLimits,
}

/// Takes the plain tar stream of a layer.
type Extract<'e> = &'e mut dyn FnMut(&mut dyn BufRead) -> Result<Applied>;

/// What came of a layer's stream.
type Extracted = std::result::Result<Unpacked<Applied>, UnpackError<Error>>;

/// Where the owner and the mode are kept that a file has for the program that mounts the layer.
const OVERRIDE: &str = "user.containers.override_stat";

impl Store {
    /// Reads a layer from a stream, compressed or not, and keeps it ready for
    /// [`commit_image`](Self::commit_image).
    ///
    /// Nobody sees the layer until then, and it is deleted if it never comes to that. Streams that
    /// are read at the same time by several threads do not wait for one another.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where the stream fails, ends early or is no layer;
    /// [`ErrorKind::DigestMismatch`] where it is another than expected;
    /// [`ErrorKind::LimitExceeded`]; [`ErrorKind::ReadOnly`], [`ErrorKind::NoSpace`],
    /// [`ErrorKind::Denied`], [`ErrorKind::Unsupported`] and [`ErrorKind::Io`].
    pub fn stage_layer(
        &self,
        stream: impl Read + Send,
        options: &StageOptions,
    ) -> Result<StagedLayer> {
        self.stage(stream, options, |blob, wanted, extract| unpack(blob, wanted, extract))
    }

    /// As [`stage_layer`](Self::stage_layer), of a stream that is hashed where it is read: that is
    /// not done once more.
    ///
    /// # Errors
    /// As [`stage_layer`](Self::stage_layer).
    pub fn stage_measured_layer(
        &self,
        stream: impl MeasuredRead + Send,
        options: &StageOptions,
    ) -> Result<StagedLayer> {
        self.stage(stream, options, |blob, wanted, extract| unpack_measured(blob, wanted, extract))
    }

    fn stage<S: Read>(
        &self,
        stream: S,
        options: &StageOptions,
        unpack: impl FnOnce(&mut Keeper<S>, &UnpackOptions, Extract<'_>) -> Extracted,
    ) -> Result<StagedLayer> {
        self.check_writable()?;
        let inner = &self.inner;
        let mut staging = Staging::begin(inner)?;
        let files = staging.directory.join("diff");
        file::make_directories(&files, 0o700)?;
        let root = Root::open(&files).map_err(|error| {
            Error::new(ErrorKind::Io, "opening", files.display()).with_source(error)
        })?;
        let wanted = UnpackOptions::from(options);
        let extraction = self.apply_options(options);
        let blob = staging.blob_path();
        let mut keeper = Keeper::new(
            inner,
            stream,
            blob,
            (options.blob_digest.as_ref(), options.blob_size_bytes),
        );
        let mut extract = |stream: &mut dyn BufRead| {
            let mut stream = Written::below(&files, stream, inner);
            extract(&mut stream, &root, &staging.tar_split, &extraction)
        };
        let unpacked = unpack(&mut keeper, &wanted, &mut extract);
        let unpacked = unpacked.map_err(|error| unpack_error(error, options))?;
        keeper.keep(inner, &unpacked.blob_digest);
        self.set_root_mode(&files)?;
        let applied = unpacked.value;
        let facts = Facts {
            blob_digest: unpacked.blob_digest,
            blob_size: unpacked.blob_size_bytes,
            diff_digest: unpacked.diff_digest,
            diff_size: unpacked.diff_size_bytes,
            compression: unpacked.compression,
            uids: applied.uids.into_iter().collect(),
            gids: applied.gids.into_iter().collect(),
            warnings: applied.warnings,
        };
        Ok(staging.finish(None, facts))
    }

    /// Reads a layer of the store once more, to be put upon another parent: an image may have a
    /// layer that is there already, but with other layers below.
    ///
    /// # Errors
    /// As [`read_layer`](Self::read_layer) and [`stage_layer`](Self::stage_layer).
    pub fn stage_again(&self, id: &Id) -> Result<StagedLayer> {
        let layer = self.layer(id)?.ok_or_else(|| not_found("reading layer", id))?;
        let options = StageOptions { diff_digest: layer.diff_digest.clone(), ..Default::default() };
        let mut staged = self.stage_layer(self.read_layer(id)?, &options)?;
        // It came as a blob once, and that is what others know it by.
        if let Some(blob) = &layer.compressed_digest {
            staged.0.facts.blob_digest = blob.clone();
            staged.0.facts.blob_size = u64::try_from(layer.compressed_size_bytes).unwrap_or(0);
            if let Some(compression) = layer.compression() {
                staged.0.facts.compression = compression;
            }
        }
        Ok(staged)
    }

    /// A staged layer once more: an image may have one layer in several places. Its files get names in there too,
    /// or are copied with vfs; its stream is not read again.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn stage_twin(&self, staged: &StagedLayer) -> Result<StagedLayer> {
        self.check_writable()?;
        let staging = Staging::begin(&self.inner)?;
        let (from, to) = (staged.files(), staging.directory.join("diff"));
        let rootless = self.options().rootless;
        match self.driver() {
            DriverKind::Overlay => copy::linked(&from, &to, rootless)?,
            DriverKind::Vfs => copy::upper(&from, &to, rootless)?,
        }
        let recipe = &staged.0.tar_split;
        fs::copy(recipe, &staging.tar_split)
            .map_err(|error| Error::io(error, "copying", recipe))?;
        Ok(staging.finish(None, staged.0.facts.clone()))
    }

    /// Puts a layer of the store upon another parent without reading its files: they get names in
    /// there too. Where that cannot be, they are read as by [`stage_again`](Self::stage_again).
    ///
    /// # Errors
    /// As [`stage_again`](Self::stage_again).
    pub fn stage_linked(&self, id: &Id) -> Result<StagedLayer> {
        self.check_writable()?;
        let layer = self.layer(id)?.ok_or_else(|| not_found("reading layer", id))?;
        let inner = &self.inner;
        let place = &inner.places[layer.place];
        let recipe = place.tar_split_path(id);
        let (Some(diff_digest), Ok(diff_size)) =
            (layer.diff_digest.clone(), u64::try_from(layer.diff_size_bytes))
        else {
            return self.stage_again(id);
        };
        if self.driver() != DriverKind::Overlay || !recipe.exists() {
            return self.stage_again(id);
        }
        let staging = Staging::begin(inner)?;
        let files = place.layer_files(id);
        copy::linked(&files, &staging.directory.join("diff"), self.options().rootless)?;
        fs::copy(&recipe, &staging.tar_split)
            .map_err(|error| Error::io(error, "copying", &recipe))?;
        let blob_size = u64::try_from(layer.compressed_size_bytes).ok();
        let (blob_digest, blob_size) = match (layer.compressed_digest.clone(), blob_size) {
            (Some(digest), Some(size)) => (digest, size),
            _ => (diff_digest.clone(), diff_size),
        };
        let facts = Facts {
            blob_digest,
            blob_size,
            diff_digest,
            diff_size,
            compression: layer.compression().unwrap_or(Compression::None),
            uids: layer.uids.clone(),
            gids: layer.gids.clone(),
            warnings: Vec::new(),
        };
        Ok(staging.finish(None, facts))
    }

    /// Gives the uppermost directory of a layer its mode. By its attribute the program that mounts the
    /// layer sees that modes were forced.
    fn set_root_mode(&self, files: &Path) -> Result<()> {
        let forced = self.options().extraction.force_mask;
        fs::set_permissions(files, fs::Permissions::from_mode(forced.unwrap_or(ROOT_MODE)))
            .map_err(|error| Error::io(error, "changing the mode of", files))?;
        if forced.is_none() {
            return Ok(());
        }
        let own = format!("0:0:0{ROOT_MODE:o}");
        rustix::fs::setxattr(files, OVERRIDE, own.as_bytes(), XattrFlags::empty())
            .map_err(|error| Error::io(error, "setting the attributes of", files))
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if !self.options().read_only {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ReadOnly, "writing to", self.graph_root().display())
            .with_detail("the store was opened for reading only"))
    }

    fn apply_options(&self, options: &StageOptions) -> ApplyOptions {
        let own = self.options();
        let mut extraction = ApplyOptions::default();
        extraction.whiteouts = match own.rootless {
            _ if self.has_mount_program() => Whiteouts::Keep,
            true => Whiteouts::OverlayUser,
            false => Whiteouts::Overlay,
        };
        extraction.ignore_chown_errors = own.extraction.ignore_chown_errors;
        extraction.force_mask = own.extraction.force_mask;
        extraction.user_namespace = own.rootless;
        extraction.limits = options.apply_limits.clone();
        extraction
    }

    /// Whether a program mounts the layers, which has whiteouts of its own kind; only such a one
    /// shows forced modes as they were.
    pub(crate) fn has_mount_program(&self) -> bool {
        if self.inner.driver != DriverKind::Overlay {
            return false;
        }
        if self.options().extraction.force_mask.is_some() {
            return true;
        }
        let path = self.inner.places[IMAGE_PLACE].driver_directory().join(".has-mount-program");
        matches!(file::read(&path, 16), Ok(Some((text, _))) if text == b"true")
    }
}

impl From<&StageOptions> for UnpackOptions {
    fn from(options: &StageOptions) -> Self {
        let mut wanted = Self::default();
        wanted.blob_digest.clone_from(&options.blob_digest);
        wanted.blob_size_bytes = options.blob_size_bytes;
        wanted.diff_digest.clone_from(&options.diff_digest);
        wanted.limits = options.decompress_limits;
        wanted
    }
}

/// Extracts a tar stream, and writes down how it is put together again.
fn extract(
    stream: &mut dyn BufRead,
    root: &Root,
    tar_split: &Path,
    options: &ApplyOptions,
) -> Result<Applied> {
    let failed = |error| Error::io(error, "writing", tar_split);
    let output = scratch_file(tar_split).map_err(failed)?;
    let unnamed = ScratchFiles::beside(tar_split);
    let open = |name: &[u8]| root.open_file(OsStr::from_bytes(name)).map_err(io::Error::other);
    let recorder = TarSplitRecorder::new(output, open, unnamed.into_source()).map_err(failed)?;
    let (applied, _, recorder) = apply(stream, root, options, recorder).map_err(apply_error)?;
    recorder.finish().map_err(failed)?;
    Ok(applied)
}

/// Files that are gone when they are closed.
pub(crate) struct ScratchFiles {
    beside: PathBuf,
    count: u32,
}

impl ScratchFiles {
    pub(crate) fn beside(path: &Path) -> Self {
        Self { beside: path.to_owned(), count: 0 }
    }

    pub(crate) fn into_source(mut self) -> impl FnMut() -> io::Result<File> + Send + 'static {
        move || {
            self.count += 1;
            let path = self.beside.with_extension(format!("scratch-{}", self.count));
            let file = scratch_file(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        }
    }
}

pub(crate) fn scratch_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn apply_error(error: ApplyError) -> Error {
    let kind = match error.kind() {
        ApplyErrorKind::LimitExceeded => ErrorKind::LimitExceeded,
        ApplyErrorKind::NoSpace => ErrorKind::NoSpace,
        ApplyErrorKind::Denied | ApplyErrorKind::UnmappedId => ErrorKind::Denied,
        ApplyErrorKind::Unsupported => ErrorKind::Unsupported,
        ApplyErrorKind::Io => ErrorKind::Io,
        _ => ErrorKind::Input,
    };
    let hint = match kind {
        ErrorKind::NoSpace => Some("remove images with rmi or prune, which work on a full disk"),
        ErrorKind::Denied => Some("run as root, or in a user namespace with enough IDs"),
        _ => None,
    };
    let error = Error::new(kind, "extracting", "the layer").with_source(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn unpack_error(error: UnpackError<Error>, options: &StageOptions) -> Error {
    let named = options.blob_digest.as_ref().or(options.diff_digest.as_ref());
    let subject = named.map_or_else(|| "the layer".to_owned(), Digest::to_string);
    match error {
        UnpackError::Consumer(error) => error,
        UnpackError::Stream(source) => {
            let kind = match cask_layer::Error::of(&source).map(cask_layer::Error::kind) {
                Some(cask_layer::ErrorKind::LimitExceeded { .. }) => ErrorKind::LimitExceeded,
                _ => ErrorKind::Input,
            };
            Error::new(kind, "reading", subject).with_source(source)
        }
        UnpackError::Blob(mismatch) | UnpackError::Diff(mismatch) => {
            Error::new(ErrorKind::DigestMismatch, "checking", subject).with_source(mismatch)
        }
        other => Error::new(ErrorKind::Input, "reading", subject).with_source(other),
    }
}
