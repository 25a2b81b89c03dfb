//! Opening a layout and reading from it.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cask_image::{Descriptor, Digest, MAX_MANIFEST_BYTES, MediaType, RawManifest};
use serde::Deserialize;

use crate::directory::Directory;
use crate::index::IndexDocument;
use crate::{Entry, Error, ErrorKind, LayoutOptions, Result};

/// The only version that there is.
///
/// Source: OCI image specification, `image-layout.md`, "oci-layout file".
pub(crate) const VERSION: &str = "1.0.0";

pub(crate) const MARKER_FILE: &str = "oci-layout";
pub(crate) const INDEX_FILE: &str = "index.json";
pub(crate) const BLOBS: &str = "blobs";

/// The most bytes that `oci-layout` may have. It holds a version and little else.
const MAX_MARKER_BYTES: u64 = 64 << 10;

/// An OCI image-layout directory.
///
/// Opening takes no lock and reads nothing but the file `oci-layout`. Everything is read when it
/// is asked for, so a value can be kept while others write. Cloning is cheap; clones share the
/// opened directory, and can be used from several threads.
#[derive(Clone, Debug)]
pub struct Layout(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: LayoutOptions,
    /// Whether it is made if it does not exist.
    may_create: bool,
    /// Whether the path may be opened again. Not where only a handle was given.
    by_path: bool,
    root: Mutex<Option<Arc<Directory>>>,
    shared: Mutex<Option<Arc<Directory>>>,
}

impl Layout {
    /// Opens a layout that exists.
    ///
    /// # Errors
    /// `NotFound` if there is no directory or no file `oci-layout` in it, `Unsupported` if that
    /// is of another version than 1.0.0, `Corrupt` if it is malformed, `Unsafe` if it is not a
    /// regular file.
    pub fn open(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let layout = Self::new(path.into(), options, false);
        let Some(root) = layout.root()? else {
            return Err(Error::new(ErrorKind::NotFound, "opening", layout.path().display())
                .with_detail("no such directory"));
        };
        if !read_marker(&root)? {
            return Err(Error::new(ErrorKind::NotFound, "opening", layout.path().display())
                .with_detail("there is no file oci-layout, so this is not an OCI image layout")
                .with_hint(format!(
                    "if it is one, write {{\"imageLayoutVersion\":\"{VERSION}\"}} to {}",
                    root.describe(MARKER_FILE)
                )));
        }
        Ok(layout)
    }

    /// Opens a layout that need not exist.
    ///
    /// Where there is none, it reads as one without images, and the first transaction makes it.
    /// A directory without the files of a layout counts as one without images too; what else is
    /// in it is left alone. The parent directory must exist.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for `NotFound`.
    pub fn create_or_open(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let layout = Self::new(path.into(), options, true);
        if let Some(root) = layout.root()? {
            read_marker(&root)?;
        }
        Ok(layout)
    }

    /// Uses a directory that the caller has opened, as [`create_or_open`](Self::create_or_open)
    /// does one that exists. For who resolves names from strangers: the path is for messages, and
    /// is never opened.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for `NotFound`.
    pub fn of_directory(
        directory: OwnedFd,
        path: impl Into<PathBuf>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let path = path.into();
        let root = Directory::of_handle(directory, path.clone());
        read_marker(&root)?;
        let (root, shared) = (Mutex::new(Some(Arc::new(root))), Mutex::new(None));
        let (may_create, by_path) = (true, false);
        Ok(Self(Arc::new(Inner { path, options, may_create, by_path, root, shared })))
    }

    fn new(path: PathBuf, options: LayoutOptions, may_create: bool) -> Self {
        let (root, shared, by_path) = (Mutex::new(None), Mutex::new(None), true);
        Self(Arc::new(Inner { path, options, may_create, by_path, root, shared }))
    }

    /// Whether there is a layout: the directory with its file `oci-layout`. One that was only
    /// given a name by [`create_or_open`](Self::create_or_open) does not exist yet.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for `NotFound`.
    pub fn exists(&self) -> Result<bool> {
        self.root()?.map_or(Ok(false), |root| read_marker(&root))
    }

    /// The path that the layout was opened by.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How the layout was opened.
    pub fn options(&self) -> &LayoutOptions {
        &self.0.options
    }

    /// The bytes of `index.json`. A layout that does not exist yet has an empty index.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, `Unsafe` if it is not a regular one, `LimitExceeded`
    /// if it has more than [`MAX_MANIFEST_BYTES`], `Corrupt` if it is not an index.
    pub fn index(&self) -> Result<RawManifest> {
        match self.index_bytes()? {
            Some(bytes) => {
                IndexDocument::parse(&bytes, &self.describe(INDEX_FILE))?;
                Ok(RawManifest::new(bytes, MediaType::OciIndex))
            }
            None => {
                let empty = IndexDocument::empty().encode(INDEX_FILE)?;
                Ok(RawManifest::new(empty, MediaType::OciIndex))
            }
        }
    }

    /// What `index.json` lists, in its order.
    ///
    /// # Errors
    /// As [`index`](Self::index).
    pub fn list(&self) -> Result<Vec<Entry>> {
        Ok(self.index_document()?.to_entries())
    }

    /// The size of a blob in bytes; `None` if the layout does not hold it.
    ///
    /// # Errors
    /// `Unsafe` if something else than a regular file has its name; `Denied`, `Io`.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.find_blob(digest)?.map(|(_, size)| size))
    }

    /// Opens a blob for reading and gives its size in bytes. Nothing is checked: the reader
    /// compares size and digest with what was promised.
    ///
    /// # Errors
    /// `NotFound` if the layout does not hold it, as layouts may; `Unsafe` if something else than
    /// a regular file has its name; `Denied`, `Io`.
    pub fn open_blob(&self, digest: &Digest) -> Result<(File, u64)> {
        self.find_blob(digest)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "opening blob", digest)
                .with_detail(format!("{} does not hold it", self.path().display()))
        })
    }

    /// Reads a manifest or an index and checks it: digest, size, and at most
    /// [`MAX_MANIFEST_BYTES`].
    ///
    /// # Errors
    /// As [`open_blob`](Self::open_blob); `LimitExceeded`, `SizeMismatch`, `DigestMismatch`.
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<RawManifest> {
        self.read_manifest(descriptor, Some(descriptor.size))
    }

    /// Reads a manifest and checks its digest, and its size where that counts.
    pub(crate) fn read_manifest(
        &self,
        descriptor: &Descriptor,
        expected_size: Option<u64>,
    ) -> Result<RawManifest> {
        let (file, size) = self.open_blob(&descriptor.digest)?;
        if size > MAX_MANIFEST_BYTES {
            return Err(reading_manifest(descriptor, ErrorKind::LimitExceeded).with_detail(
                format!("exceeded maximum allowed size of {MAX_MANIFEST_BYTES} bytes"),
            ));
        }
        if let Some(expected) = expected_size.filter(|expected| *expected != size) {
            return Err(reading_manifest(descriptor, ErrorKind::SizeMismatch)
                .with_detail(format!("Size mismatch, expected {expected}, got {size}")));
        }
        let bytes = read_limited(&file, MAX_MANIFEST_BYTES)
            .map_err(|error| Error::io(error, "reading manifest", &descriptor.digest))?;
        let manifest = RawManifest::with_algorithm(
            bytes,
            descriptor.media_type.clone(),
            descriptor.digest.algorithm(),
        );
        if *manifest.digest() != descriptor.digest {
            return Err(reading_manifest(descriptor, ErrorKind::DigestMismatch)
                .with_detail(format!("its bytes have the digest {}", manifest.digest())));
        }
        Ok(manifest)
    }

    /// The opened directory; `None` if there is none.
    pub(crate) fn root(&self) -> Result<Option<Arc<Directory>>> {
        let mut root = self.0.root.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = match &*root {
            // Only a layout that is made can be taken back again.
            Some(known) => self.0.may_create && known.is_removed()?,
            None => true,
        };
        if gone && !self.0.by_path {
            return Ok(None);
        }
        if gone {
            *root = Directory::open(&self.0.path)?.map(Arc::new);
        }
        Ok(root.clone())
    }

    /// The opened directory, for what needs it to be there.
    pub(crate) fn existing_root(&self) -> Result<Arc<Directory>> {
        self.root()?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "opening", self.path().display())
                .with_detail("no such directory")
        })
    }

    pub(crate) fn may_create(&self) -> bool {
        self.0.may_create
    }

    /// Whether the path may be used, and is not for messages only.
    pub(crate) fn has_path(&self) -> bool {
        self.0.by_path
    }

    /// The directory of shared blobs, if there is one and it exists.
    pub(crate) fn shared(&self) -> Result<Option<Arc<Directory>>> {
        let Some(path) = &self.0.options.shared_blob_dir else { return Ok(None) };
        let mut shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Directory::open(path)?.map(Arc::new);
        }
        Ok(shared.clone())
    }

    pub(crate) fn describe(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    pub(crate) fn index_document(&self) -> Result<IndexDocument> {
        match self.index_bytes()? {
            Some(bytes) => IndexDocument::parse(&bytes, &self.describe(INDEX_FILE)),
            None => Ok(IndexDocument::empty()),
        }
    }

    /// `None` only for a layout that need not exist.
    fn index_bytes(&self) -> Result<Option<Vec<u8>>> {
        let bytes = match self.root()? {
            Some(root) => read_file(&root, INDEX_FILE, MAX_MANIFEST_BYTES)?,
            None => None,
        };
        if bytes.is_none() && !self.0.may_create {
            return Err(Error::new(ErrorKind::NotFound, "opening", self.describe(INDEX_FILE))
                .with_detail("a layout has such a file, and this one has none")
                .with_hint("the layout is incomplete; copy the image again"));
        }
        Ok(bytes)
    }

    /// Looks for a blob where the options say.
    fn find_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>> {
        if let Some(shared) = self.shared()?
            && let Some(found) = shared.regular_file(&blob_path(digest))?
        {
            return Ok(Some(with_size(found)));
        }
        let Some(root) = self.root()? else { return Ok(None) };
        let found = root.regular_file(&format!("{BLOBS}/{}", blob_path(digest)))?;
        Ok(found.map(with_size))
    }
}

fn reading_manifest(descriptor: &Descriptor, kind: ErrorKind) -> Error {
    Error::new(kind, "reading manifest", &descriptor.digest)
}

/// Where a blob is below a directory of blobs. A digest is validated, so its parts are plain
/// names.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm(), digest.hex())
}

fn with_size((file, stat): (File, rustix::fs::Stat)) -> (File, u64) {
    (file, u64::try_from(stat.st_size).unwrap_or(0))
}

/// Reads a small file; `None` if it does not exist.
pub(crate) fn read_file(root: &Directory, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some((file, stat)) = root.regular_file(name)? else { return Ok(None) };
    let too_large = || {
        Error::new(ErrorKind::LimitExceeded, "reading", root.describe(name))
            .with_detail(format!("exceeded maximum allowed size of {limit} bytes"))
    };
    if u64::try_from(stat.st_size).is_ok_and(|size| size > limit) {
        return Err(too_large());
    }
    let bytes = read_limited(&file, limit)
        .map_err(|error| Error::io(error, "reading", root.describe(name)))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(Some(bytes)) }
}

/// Reads at most one byte more than the limit.
fn read_limited(file: &File, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks the file `oci-layout`. `false` if there is none.
pub(crate) fn read_marker(root: &Directory) -> Result<bool> {
    #[derive(Deserialize)]
    struct Marker {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    let Some(bytes) = read_file(root, MARKER_FILE, MAX_MARKER_BYTES)? else { return Ok(false) };
    let path = root.describe(MARKER_FILE);
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "parsing", &path)
            .with_source(error)
            .with_hint(format!("the file should hold {{\"imageLayoutVersion\":\"{VERSION}\"}}"))
    })?;
    if marker.version != VERSION {
        let shown: String = marker.version.chars().take(40).collect();
        return Err(Error::new(ErrorKind::Unsupported, "opening", &path).with_detail(format!(
            "imageLayoutVersion is {shown:?}, and only {VERSION:?} is understood"
        )));
    }
    Ok(true)
}
