//! Reading: the images that an archive holds, and the choice of one.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use cask_archive::{ArchiveReader, ErrorKind as ArchiveErrorKind, ReadOptions};
use cask_reference::Reference;

use crate::error::{Error, ErrorKind, Result};
use crate::image::Image;
use crate::json::{self, Item, MAX_MANIFEST_JSON_BYTES};

pub(crate) const MANIFEST_JSON: &str = "manifest.json";
pub(crate) const REPOSITORIES: &str = "repositories";
pub(crate) const OCI_LAYOUT: &str = "oci-layout";
pub(crate) const INDEX_JSON: &str = "index.json";

/// Which image of an archive is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// The only one there is.
    #[default]
    Only,
    /// The one of this name and tag.
    Name(Reference),
    /// The one at this position, counted from zero.
    Position(usize),
}

/// One image as `manifest.json` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    position: usize,
    names: Vec<String>,
}

impl Entry {
    /// The position in the archive, from zero: what follows the `@` where an image is named so.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The names as they stand in the archive, which may be short ones. Empty if it has none.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names for a list: `@` and the position for an image that has none.
    pub fn display_names(&self) -> Vec<String> {
        match &*self.names {
            [] => vec![format!("@{}", self.position)],
            names => names.to_vec(),
        }
    }
}

/// An archive as `docker save`, `podman save` and `skopeo` write it, open for reading.
///
/// A clone shares the archive. All methods can be called from several threads.
#[derive(Clone, Debug)]
pub struct DockerArchive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    archive: ArchiveReader,
    items: Vec<Item>,
    entries: Vec<Entry>,
}

impl DockerArchive {
    /// Opens an archive and reads its `manifest.json`.
    ///
    /// # Errors
    /// `Archive` for what is wrong with the tar file; `NotDockerArchive` and `Malformed` for
    /// `manifest.json`.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let archive = ArchiveReader::open(path, options);
        Self::from_archive(archive.map_err(|error| Error::archive("opening archive", error))?)
    }

    /// Reads an archive from a stream, to the stream's end; `path` is for error messages.
    ///
    /// # Errors
    /// As [`DockerArchive::open`].
    pub fn from_reader(
        reader: impl Read,
        path: impl AsRef<Path>,
        options: &ReadOptions,
    ) -> Result<Self> {
        let archive = ArchiveReader::from_reader(reader, path, options);
        Self::from_archive(archive.map_err(|error| Error::archive("opening archive", error))?)
    }

    /// Reads the `manifest.json` of an archive that is open already.
    ///
    /// # Errors
    /// As [`DockerArchive::open`].
    pub fn from_archive(archive: ArchiveReader) -> Result<Self> {
        let bytes = match archive.read_member(MANIFEST_JSON, MAX_MANIFEST_JSON_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ArchiveErrorKind::NoMember => {
                return Err(no_manifest(&archive));
            }
            Err(error) => return Err(Error::archive("loading manifest.json", error)),
        };
        let items = json::parse(&bytes).map_err(|error| {
            let kind = ErrorKind::Malformed;
            Error::new(kind, "reading", archive.path(), "decoding tar manifest.json")
                .caused_by(error)
        })?;
        let entries = items.iter().enumerate();
        let entries = entries
            .map(|(position, item)| Entry { position, names: item.repo_tags.clone() })
            .collect();
        Ok(Self(Arc::new(Inner { archive, items, entries })))
    }

    /// The tar file.
    pub fn archive(&self) -> &ArchiveReader {
        &self.0.archive
    }

    /// The images in the order of `manifest.json`.
    pub fn entries(&self) -> &[Entry] {
        &self.0.entries
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.0.items
    }

    /// Finds the position of an image.
    ///
    /// # Errors
    /// `NoImage` if there is none of that name or at that position; `Ambiguous` if there is not
    /// exactly one and none was chosen; `Malformed` if a name in the archive is no reference, and
    /// stands before the one that was asked for.
    pub fn select(&self, selector: &Selector) -> Result<usize> {
        let count = self.0.items.len();
        // The words of containers/image, which scripts search for.
        match selector {
            Selector::Only if count == 1 => Ok(0),
            Selector::Only => {
                let detail = format!("Unexpected tar manifest.json: expected 1 item, got {count}");
                let hint = "choose an image by its name, or by its position as @0, @1 and so on";
                Err(self.error(ErrorKind::Ambiguous, detail).with_hint(hint))
            }
            Selector::Position(position) if *position < count => Ok(*position),
            Selector::Position(position) => {
                let detail = format!(
                    "Invalid source index @{position}, only {count} manifest items available"
                );
                Err(self.error(ErrorKind::NoImage, detail))
            }
            Selector::Name(reference) => self.find_name(reference),
        }
    }

    fn find_name(&self, reference: &Reference) -> Result<usize> {
        for entry in &self.0.entries {
            for name in &entry.names {
                let parsed = Reference::parse_normalized(name).map_err(|error| {
                    let position = entry.position;
                    let detail = format!("Invalid tag {name:?} in manifest.json item @{position}");
                    self.error(ErrorKind::Malformed, detail).caused_by(error)
                })?;
                if parsed == *reference {
                    return Ok(entry.position);
                }
            }
        }
        let detail = format!("Tag {:?} not found", reference.to_string());
        Err(self.error(ErrorKind::NoImage, detail))
    }

    /// Opens an image: reads its config and finds its layers.
    ///
    /// # Errors
    /// As [`DockerArchive::select`]; `Malformed` if the config is none, or if it and
    /// `manifest.json` do not agree about the layers; `Archive` if config or layers are not there,
    /// are there twice, or are too large.
    pub fn image(&self, selector: &Selector) -> Result<Image> {
        let position = self.select(selector)?;
        Image::open(self.clone(), position)
    }

    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Error {
        Error::new(kind, "reading", self.0.archive.path(), detail)
    }
}

/// Says what the tar file is instead, as far as that can be seen.
fn no_manifest(archive: &ArchiveReader) -> Error {
    let has = |name: &str| archive.find_file(name).is_ok();
    let error = |detail: &'static str| {
        Error::new(ErrorKind::NotDockerArchive, "reading", archive.path(), detail)
    };
    if has(OCI_LAYOUT) || has(INDEX_JSON) {
        return error("the archive has no manifest.json, but an OCI layout")
            .with_hint("oci-archive: reads such archives");
    }
    if has(REPOSITORIES) {
        return error("the archive has no manifest.json: Docker before version 1.10 wrote it")
            .with_hint("load and save it with a newer version of Docker");
    }
    error("the archive has no manifest.json: it is no archive of docker save")
}
