//! Images out of archives and directories, whatever their format.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use cask_archive::{ArchiveReader, ReadOptions};
use cask_copy::CopyOptions;
use cask_image::Descriptor;
use cask_reference::Reference;
use cask_transport::{Entry, Event, Location, Transports};
use futures_util::TryStreamExt as _;

use super::moving::{Arrived, on_thread};
use super::names::whole_name;
use crate::{Error, ErrorKind, Images, Result};

/// The name that containerd, Docker and BuildKit give an image in a layout.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The name of an image in a layout: often only its tag.
const NAME: &str = "org.opencontainers.image.ref.name";

/// Where images are loaded from.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadInput {
    /// An archive, or a directory.
    Path(PathBuf),
    /// An archive that is open already, such as the standard input.
    File {
        /// The file. From anywhere but its beginning it is read as a stream.
        file: File,
        /// What it is called in messages.
        name: PathBuf,
    },
}

/// How images are loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    /// How they are copied: the signature policy, the platform, who is told.
    pub copy: CopyOptions,
    /// How archives are opened: where those are unpacked that come compressed or through a pipe,
    /// and limits.
    pub read: ReadOptions,
}

impl LoadOptions {
    /// Starts from how images are copied.
    pub fn new(copy: CopyOptions) -> Self {
        Self { copy, read: ReadOptions::default() }
    }
}

/// What was found at the place.
struct Opened {
    /// What the place is to transports, to be tried in this order.
    places: Vec<String>,
    /// Keeps the file open that the places are.
    _archive: Option<ArchiveReader>,
}

impl Images {
    /// Loads all images of an archive or a directory under the names that they have there. Archives
    /// of Docker and of OCI layouts, compressed or not, layouts, and flat directories are told
    /// apart by what is in them.
    ///
    /// A plain archive in a file is read where it is. A compressed one, or one that comes through a
    /// pipe, is unpacked once into a file without a name, because their index comes last.
    ///
    /// Source: containers/common, `libimage/load.go`, which tries one format after the other.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is nothing, or nothing of a known format;
    /// [`ErrorKind::Transfer`].
    pub async fn load(
        &self,
        input: LoadInput,
        transports: &Transports,
        options: &LoadOptions,
    ) -> Result<Vec<Arrived>> {
        let read = options.read.clone();
        let path = match &input {
            LoadInput::Path(path) | LoadInput::File { name: path, .. } => {
                path.display().to_string()
            }
        };
        let opened = on_thread(move || open(input, &read)).await?;
        let (place, entries) = opened.list(transports).await?;
        let mut all = Vec::new();
        for entry in &entries {
            let location = match (entry.position, entries.len()) {
                (Some(position), _) => transports.parse(&format!("{place}:@{position}"))?,
                (None, _) => transports.parse(&place)?,
            };
            let names = names_of(entry, &options.copy);
            all.push(self.take_in(&*location, &names, transports, &options.copy).await?);
        }
        self.tell("loadfromarchive", "", &path);
        Ok(all)
    }
}

impl Opened {
    /// The images, in the first of the places that can name them all.
    async fn list(&self, transports: &Transports) -> Result<(String, Vec<Entry>)> {
        let mut found = None;
        for place in &self.places {
            let location = transports.parse(place)?;
            let entries = entries(&*location).await?;
            let has_names = entries.iter().all(|entry| names(entry).next().is_some());
            if has_names {
                return Ok((place.clone(), entries));
            }
            found = Some((place.clone(), entries));
        }
        let nothing = || Error::new(ErrorKind::Invalid, "", "there is nothing to load");
        found.filter(|(_, entries)| !entries.is_empty()).ok_or_else(nothing)
    }
}

/// The images of a place. One that is no set of images holds one without a name.
async fn entries(location: &dyn Location) -> Result<Vec<Entry>> {
    if !location.capabilities().collection.list {
        return Ok(vec![Entry { names: Vec::new(), position: None, descriptor: None }]);
    }
    let collection = location.collection().await?;
    let mut entries: Vec<Entry> = collection.entries().try_collect().await?;
    // What attests an image may lie beside it.
    let is_attestation =
        |entry: &Entry| entry.descriptor.as_ref().is_some_and(Descriptor::is_attestation);
    entries.retain(|entry| !is_attestation(entry));
    Ok(entries)
}

/// What a layout calls an image.
///
/// Source: containers/common, `libimage/pull.go`, `nameFromAnnotations`.
pub(super) fn name_of(descriptor: &Descriptor) -> Option<&str> {
    let named = |key: &str| descriptor.annotations.get(key).map(String::as_str);
    named(CONTAINERD_NAME).or_else(|| named(NAME)).filter(|name| !name.is_empty())
}

fn names(entry: &Entry) -> impl Iterator<Item = &str> {
    let of_descriptor = entry.descriptor.as_ref().and_then(name_of);
    let listed = entry.names.iter().map(String::as_str);
    of_descriptor.into_iter().chain(listed.filter(move |_| of_descriptor.is_none()))
}

/// The names that an image gets. What cannot be a name is told, and left out.
fn names_of(entry: &Entry, options: &CopyOptions) -> Vec<Reference> {
    let mut whole = Vec::new();
    for name in names(entry) {
        match whole_name(name) {
            Ok(name) if !whole.contains(&name) => whole.push(name),
            Ok(_) => {}
            Err(error) => {
                let message = format!("the image is not called {name:?}: {}", error.whole());
                options.events.send(Event::Warning { message });
            }
        }
    }
    whole
}

/// Finds out what an input is.
fn open(input: LoadInput, options: &ReadOptions) -> Result<Opened> {
    let (file, path) = match input {
        LoadInput::File { file, name } => (file, name),
        LoadInput::Path(path) => {
            let unreadable = |error| {
                Error::new(ErrorKind::Invalid, "", format!("stat {}", path.display()))
                    .with_source(error)
            };
            if path.metadata().map_err(unreadable)?.is_dir() {
                return open_directory(&path);
            }
            (File::open(&path).map_err(unreadable)?, path)
        }
    };
    let archive = ArchiveReader::from_file(file, &path, options)
        .map_err(|error| unknown(&path).with_source(error))?;
    let has = |name: &str| archive.find_file(name).is_ok();
    let at = format!("/proc/self/fd/{}", archive.file().as_raw_fd());
    let mut places = Vec::new();
    if has("oci-layout") && has("index.json") {
        places.push(format!("oci-archive:{at}"));
    }
    if has("manifest.json") {
        places.push(format!("docker-archive:{at}"));
    }
    if places.is_empty() {
        let detail = "it has neither an index.json with an oci-layout nor a manifest.json";
        return Err(unknown(&path).with_source(Error::new(ErrorKind::Invalid, "", detail)));
    }
    Ok(Opened { places, _archive: Some(archive) })
}

fn open_directory(path: &Path) -> Result<Opened> {
    let has = |name: &str| path.join(name).is_file();
    let scheme = match (has("oci-layout") || has("index.json"), has("manifest.json")) {
        (true, _) => "oci",
        (false, true) => "dir",
        (false, false) => {
            let detail = "the directory has neither an index.json nor a manifest.json";
            return Err(unknown(path).with_source(Error::new(ErrorKind::Invalid, "", detail)));
        }
    };
    Ok(Opened { places: vec![format!("{scheme}:{}", path.display())], _archive: None })
}

fn unknown(path: &Path) -> Error {
    // The words of containers/common.
    let detail = "payload does not match any of the supported image formats";
    Error::new(ErrorKind::Invalid, path.display(), detail)
}

#[cfg(test)]
mod tests {
    use cask_image::{Digest, MediaType};

    use super::*;

    #[test]
    fn containerd_s_name_comes_before_the_tag() {
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let mut descriptor = Descriptor::new(MediaType::OciManifest, digest, 2);
        assert_eq!(name_of(&descriptor), None);
        descriptor.annotations.insert(NAME.to_owned(), "1.0".to_owned());
        assert_eq!(name_of(&descriptor), Some("1.0"));
        descriptor.annotations.insert(CONTAINERD_NAME.to_owned(), "docker.io/x:1.0".to_owned());
        assert_eq!(name_of(&descriptor), Some("docker.io/x:1.0"));
    }

    #[test]
    fn what_is_no_archive_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let check = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            let error = open(LoadInput::Path(path), &ReadOptions::default()).err().unwrap();
            assert!(error.whole().contains("payload does not match any of"), "{}", error.whole());
            assert_eq!(error.kind(), ErrorKind::Invalid);
        };
        check("text", b"hello\n");
        check("zeros", &[0; 1024]);
        let nowhere = LoadInput::Path(directory.path().join("nowhere"));
        let error = open(nowhere, &ReadOptions::default()).err().unwrap();
        assert!(error.to_string().starts_with("stat "), "{error}");
        let empty = LoadInput::Path(directory.path().into());
        let error = open(empty, &ReadOptions::default()).err().unwrap();
        assert!(error.whole().contains("neither"), "{}", error.whole());
    }
}
