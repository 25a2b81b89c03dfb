//! An OCI layout as the members of a tar file.

use std::fmt::Display;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use cask_archive::{ArchiveReader, ErrorKind as TarKind, MemberReader, ReadOptions};
use cask_image::{Descriptor, Digest, Hasher, MAX_MANIFEST_BYTES, RawManifest};
use cask_layout::{Content, Entry, Finding, IndexDocument};
use cask_layout_seam::of_layout;
use cask_transport::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::error::{of_io, of_tar};

/// The file that makes a directory a layout, and what a new one says.
pub(crate) const MARKER: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
pub(crate) const INDEX: &str = "index.json";
/// What `docker load` reads; archives for it have it beside the layout.
pub(crate) const DOCKER_MANIFEST: &str = "manifest.json";
const VERSION: &str = "1.0.0";
const MAX_MARKER_BYTES: u64 = 64 << 10;

/// An archive that is open for reading. A clone shares it.
#[derive(Clone, Debug)]
pub(crate) struct OciArchive {
    reader: ArchiveReader,
    index: Arc<IndexDocument>,
}

impl OciArchive {
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        Self::new(ArchiveReader::open(path, options).map_err(of_tar)?)
    }

    /// Checks that an archive holds a layout, and reads its index.
    pub(crate) fn new(reader: ArchiveReader) -> Result<Self> {
        check_marker(&reader)?;
        let bytes = match reader.read_member(INDEX, MAX_MANIFEST_BYTES) {
            Err(error) if error.kind() == TarKind::NoMember => {
                return Err(said(ErrorKind::Corrupt, &reader)
                    .with_detail("the layout in it has no index.json"));
            }
            bytes => bytes.map_err(of_tar)?,
        };
        let path = format!("{INDEX} in {}", reader.path().display());
        let index = IndexDocument::parse(&bytes, &path).map_err(of_layout)?;
        Ok(Self { reader, index: Arc::new(index) })
    }

    pub(crate) fn reader(&self) -> &ArchiveReader {
        &self.reader
    }

    pub(crate) fn index(&self) -> &IndexDocument {
        &self.index
    }

    /// An error about the archive.
    pub(crate) fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.reader.path().display())
    }

    /// Opens a blob. Its bytes are not checked.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<MemberReader> {
        self.reader.open_member(blob_member(digest)).map_err(|error| match error.kind() {
            TarKind::NoMember => missing(&self.reader, digest),
            _ => of_tar(error),
        })
    }

    /// The bytes of a manifest, unchecked and at most one more than a manifest may have.
    pub(crate) fn manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let blob = self.open_blob(digest)?;
        let read = blob.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| of_io(error, "reading manifest", digest.as_str()))?;
        Ok(bytes)
    }

    /// Whether a blob is there, with the size and the bytes that it has to have.
    pub(crate) fn holds(&self, digest: &Digest, size: u64) -> Result<bool> {
        if self.blob_size(digest)? != Some(size) {
            return Ok(false);
        }
        let mut hasher = Hasher::new(digest.algorithm());
        let read = hasher.update_from(self.open_blob(digest)?);
        read.map_err(|error| of_io(error, "reading blob", digest.as_str()))?;
        match hasher.finish() {
            found if found == *digest => Ok(true),
            found => Err(self
                .error(ErrorKind::DigestMismatch, "adding to")
                .with_detail(format!("its blob {digest} is damaged: the digest is {found}"))),
        }
    }
}

impl Content for OciArchive {
    type Error = Error;

    fn place(&self) -> String {
        self.reader.path().display().to_string()
    }

    fn list(&self) -> Result<Vec<Entry>> {
        Ok(self.index.to_entries())
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<RawManifest> {
        let digest = &descriptor.digest;
        let failed = |kind| Error::new(kind, "reading manifest", digest);
        let bytes = self.manifest_bytes(digest)?;
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(failed(ErrorKind::LimitExceeded)
                .with_detail(format!("it has more than {MAX_MANIFEST_BYTES} bytes")));
        }
        let media_type = descriptor.media_type.clone();
        let raw = RawManifest::with_algorithm(bytes, media_type, digest.algorithm());
        if raw.digest() != digest {
            return Err(failed(ErrorKind::DigestMismatch).with_detail(format!(
                "Manifest does not match provided manifest digest {digest}"
            )));
        }
        Ok(raw)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.open_blob(digest) {
            Ok(blob) => Ok(Some(blob.size_bytes())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn explain(&self, error: cask_layout::Error) -> Error {
        of_layout(error)
    }

    fn finding(error: &Error) -> Finding {
        match error.kind() {
            ErrorKind::NotFound => Finding::Missing,
            ErrorKind::LimitExceeded => Finding::TooLarge,
            ErrorKind::Io | ErrorKind::Denied => Finding::System,
            _ => Finding::Damaged,
        }
    }
}

/// The member of a blob.
pub(crate) fn blob_member(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn said(kind: ErrorKind, reader: &ArchiveReader) -> Error {
    Error::new(kind, "reading", reader.path().display())
}

fn missing(reader: &ArchiveReader, what: impl Display) -> Error {
    said(ErrorKind::NotFound, reader).with_detail(format!("there is no blob {what}"))
}

fn check_marker(reader: &ArchiveReader) -> Result<()> {
    #[derive(Deserialize)]
    struct Marker {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    let bytes = match reader.read_member(MARKER.0, MAX_MARKER_BYTES) {
        Err(error) if error.kind() == TarKind::NoMember => return Err(no_marker(reader)),
        bytes => bytes.map_err(of_tar)?,
    };
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| {
        said(ErrorKind::Corrupt, reader).with_detail("parsing oci-layout").with_source(error)
    })?;
    if marker.version != VERSION {
        let shown: String = marker.version.chars().take(40).collect();
        return Err(said(ErrorKind::Unsupported, reader).with_detail(format!(
            "imageLayoutVersion is {shown:?}, and only {VERSION:?} is understood"
        )));
    }
    Ok(())
}

fn no_marker(reader: &ArchiveReader) -> Error {
    let error = said(ErrorKind::Corrupt, reader)
        .with_detail("it is no archive of an OCI layout: the file oci-layout is missing");
    if reader.find_file(DOCKER_MANIFEST).is_ok() {
        return error.with_hint("docker-archive: reads such archives");
    }
    error
}
