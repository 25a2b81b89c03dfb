//! Artifacts of the store: files under a name, in the place where podman keeps them.
//!
//! ```text
//! GRAPH ROOT/artifacts/     an OCI image layout; see cask-layout
//!   index.json              the artifacts and their names
//!   index.lock              held by whoever changes anything, as by podman, from before it begins until it is done
//! ```

mod add;
mod extract;
mod media_type;
mod moving;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cask_image::{Descriptor, Digest, ImageManifest, Manifest, Timestamp};
use cask_layout::{Entry, Layout, LayoutOptions, Selector};
use cask_storage::{FileLock, Store};

use crate::{Error, ErrorKind, Result};

pub use add::{AddArtifactOptions, ExistingArtifact};
pub use extract::BlobChoice;

/// The annotation that says when something was made.
///
/// Source: OCI image specification, `annotations.md`.
const CREATED: &str = "org.opencontainers.image.created";

/// The artifacts of a store.
#[derive(Clone, Debug)]
pub struct StoredArtifacts {
    store: Store,
    directory: PathBuf,
}

/// An artifact of the store.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredArtifact {
    /// Its name. One whose name another was given by podman's `pull` has none.
    pub name: Option<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its manifest; or what is wrong with it.
    pub manifest: Result<ImageManifest>,
    position: usize,
}

/// Which artifacts are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactsToRemove<'n> {
    /// All.
    All,
    /// Those of these names or digests; one that is not there is an error.
    Named(&'n [String]),
    /// The same, and one that is not there is none.
    IfThere(&'n [String]),
}

impl StoredArtifact {
    /// How many bytes its files have.
    pub fn size_bytes(&self) -> u64 {
        let files = self.manifest.as_ref().map(|manifest| manifest.layers.as_slice());
        files.unwrap_or_default().iter().map(|file| file.size).fold(0, u64::saturating_add)
    }

    /// When it was made, if it says so.
    pub fn created(&self) -> Option<Timestamp> {
        self.manifest.as_ref().ok()?.annotations.get(CREATED)?.parse().ok()
    }
}

impl StoredArtifacts {
    /// Looks at the artifacts of a store.
    pub fn new(store: Store) -> Self {
        let directory = store.graph_root().join("artifacts");
        Self { store, directory }
    }

    /// All artifacts, in the order in which they came.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where the list of them cannot be read.
    pub fn list(&self) -> Result<Vec<StoredArtifact>> {
        let found = self.read();
        let is_whole = |found: &Vec<StoredArtifact>| found.iter().all(|one| one.manifest.is_ok());
        if found.as_ref().is_ok_and(is_whole) || !self.directory.is_dir() {
            return found;
        }
        // Somebody may just have been at work: podman writes the list where it is.
        let _held = self.hold(false)?;
        self.read()
    }

    /// The artifact of a name, or of a digest or its beginning.
    ///
    /// # Errors
    /// [`ErrorKind::ArtifactNotKnown`]; [`ErrorKind::Ambiguous`]; [`ErrorKind::Invalid`] for an empty name; as
    /// [`list`](Self::list).
    pub fn find(&self, name: &str) -> Result<StoredArtifact> {
        let mut all = self.list()?;
        let position = position(&all, name)?;
        Ok(all.swap_remove(position))
    }

    /// Removes artifacts, all of them or none; gives their digests.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn remove(&self, which: ArtifactsToRemove<'_>) -> Result<Vec<Digest>> {
        if !self.directory.is_dir() {
            return match which {
                ArtifactsToRemove::Named([name, ..]) => Err(unknown(name)),
                _ => Ok(Vec::new()),
            };
        }
        let _held = self.hold(true)?;
        let all = self.read()?;
        let mut positions: Vec<usize> = Vec::new();
        match which {
            ArtifactsToRemove::All => positions.extend(0..all.len()),
            ArtifactsToRemove::Named(names) | ArtifactsToRemove::IfThere(names) => {
                for name in names {
                    match position(&all, name) {
                        Ok(position) if positions.contains(&position) => {}
                        Ok(position) => positions.push(position),
                        Err(error)
                            if matches!(which, ArtifactsToRemove::IfThere(_))
                                && error.kind() == ErrorKind::ArtifactNotKnown => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        let digests = positions.iter().map(|position| all[*position].digest.clone()).collect();
        let layout = self.layout()?;
        // From the last on, so that what is left stays where it is in the list.
        let mut listed: Vec<usize> = positions.iter().map(|at| all[*at].position).collect();
        listed.sort_unstable_by(|a, b| b.cmp(a));
        for position in listed {
            layout.delete(Selector::Position(position)).map_err(of_layout)?;
        }
        Ok(digests)
    }

    fn layout(&self) -> Result<Layout> {
        Layout::create_or_open(&self.directory, LayoutOptions::default()).map_err(of_layout)
    }

    /// Makes the directory, if there is none.
    fn make(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|error| failed(error, "making the directory", &self.directory))
    }

    /// Keeps podman and others like this one out; those who read only where this one writes.
    fn hold(&self, writes: bool) -> Result<FileLock> {
        Ok(self.store.lock_file(&self.directory.join("index.lock"), writes)?)
    }

    fn read(&self) -> Result<Vec<StoredArtifact>> {
        let layout = self.layout()?;
        let read = |entry: Entry| StoredArtifact {
            name: entry.name().map(str::to_owned),
            manifest: manifest(&layout, &entry.descriptor),
            digest: entry.descriptor.digest,
            position: entry.position,
        };
        Ok(layout.list().map_err(of_layout)?.into_iter().map(read).collect())
    }

    /// Removes what an artifact was before another one took its name. To be called while the list is held.
    fn forget(&self, before: &Digest) -> Result<()> {
        let layout = self.layout()?;
        let listed = layout.list().map_err(of_layout)?;
        let is_it = |entry: &&Entry| entry.descriptor.digest == *before && entry.name().is_none();
        match listed.iter().find(is_it) {
            Some(entry) => {
                let gone = layout.delete(Selector::Position(entry.position));
                gone.map(drop).map_err(of_layout)
            }
            None => Ok(()),
        }
    }
}

/// The manifest of an artifact.
fn manifest(layout: &Layout, descriptor: &Descriptor) -> Result<ImageManifest> {
    let raw = layout.manifest(descriptor).map_err(of_layout)?;
    let damaged = |detail: &str| Error::new(ErrorKind::Storage, &descriptor.digest, detail);
    match raw.parse() {
        Ok(Manifest::Image(manifest)) => Ok(manifest),
        Ok(_) => Err(damaged("it is no manifest of one artifact")),
        Err(error) => Err(damaged("parsing its manifest").with_source(error)),
    }
}

/// Where among them the one is that is meant. Source: containers/common, `libartifact`, `GetByNameOrDigest`; of
/// several with one beginning it takes the first, and later ones refuse.
fn position(all: &[StoredArtifact], name: &str) -> Result<usize> {
    check_name(name)?;
    if let Some(position) = all.iter().position(|one| one.name.as_deref() == Some(name)) {
        return Ok(position);
    }
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let fits = |one: &StoredArtifact| one.digest.hex().starts_with(digits);
    let mut found = all.iter().enumerate().filter(|(_, one)| fits(one));
    match (found.next(), found.next()) {
        (Some((position, _)), None) => Ok(position),
        (None, _) => Err(unknown(name)),
        _ => {
            let names = all.iter().filter(|one| fits(one));
            let names: Vec<&str> =
                names.map(|one| one.name.as_deref().unwrap_or("<none>")).collect();
            let words = format!("multiple artifacts found with matching digest: {names:?}");
            Err(Error::new(ErrorKind::Ambiguous, words, ""))
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    match name.is_empty() {
        true => Err(Error::new(ErrorKind::Invalid, "artifact name cannot be empty", "")),
        false => Ok(()),
    }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::ArtifactNotKnown, name, "artifact does not exist")
}

fn of_layout(error: cask_layout::Error) -> Error {
    Error::new(ErrorKind::Storage, "", "").with_source(error)
}

fn failed(error: std::io::Error, doing: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("{doing} {}", path.display()), "").with_source(error)
}
