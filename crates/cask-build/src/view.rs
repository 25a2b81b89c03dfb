//! What a stage has so far, read without a mount.

mod accounts;
mod links;
mod recorded;
#[cfg(test)]
mod tests;
mod walker;

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use cask_layer::IdMaps;
use cask_rootfs::{Kind, Metadata, Root, Timestamp};
use cask_storage::{DriverKind, Id, Store};

use crate::{Error, ErrorKind, Result};
pub use accounts::Account;
pub(crate) use accounts::is_numeric;
pub(crate) use links::{Node, Resolution, join, parent_and_name, resolve};
use recorded::Recorded;
#[cfg(test)]
pub(crate) use walker::swap;
pub(crate) use walker::{Walker, failed, is_content};

/// The most layers of one view: those of a store.
const MAX_LAYERS: usize = 4096;

/// The files of a chain of layers as one tree, read and never changed.
///
/// Paths are bytes, with or without a leading `/`. Links on the way are followed inside the tree, at
/// most 40 of them; `..` stops at its root. Everything goes through open handles, component by
/// component, and no component is followed by the kernel: a name that another process swaps meanwhile
/// is found to be something else, or is an error, and never leads out.
///
/// Cheap to clone; usable from several threads at once.
///
/// ```
/// use cask_build::View;
/// use cask_rootfs::Root;
///
/// let host = tempfile::tempdir()?;
/// std::fs::create_dir(host.path().join("etc"))?;
/// std::fs::write(host.path().join("etc/passwd"), "app:x:1000:1001::/home/app:/bin/sh\n")?;
/// std::os::unix::fs::symlink("/etc/passwd", host.path().join("link"))?;
/// let view = View::of_root(Root::open(host.path())?);
/// assert!(view.read_file("/link", 1 << 20)?.is_some());
/// assert_eq!(view.owner("app")?, (1000, 1001));
/// assert!(View::scratch().status("/etc")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct View(Arc<Files>);

struct Files {
    name: String,
    marks: Marks,
    /// The newest first.
    layers: Vec<LayerFiles>,
}

struct LayerFiles {
    root: Root,
    recorded: Option<Recorded>,
    /// Who the owners on the disk are inside; `None` where they are the same.
    maps: Option<Arc<IdMaps>>,
}

/// How layers say what they delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    /// They do not: there is one whole tree.
    None,
    /// As the kernel's overlay reads it: devices 0:0 and attributes.
    Overlay,
    /// As fuse-overlayfs reads it: files whose names begin with `.wh.`.
    Names,
}

/// What is known about an entry without opening it; a symbolic link is described itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// The permissions with setuid, setgid and sticky: twelve bits.
    pub mode: u32,
    /// The owner's number, as it is inside the image.
    pub uid: u32,
    /// The group's number, as it is inside the image.
    pub gid: u32,
    /// The length of a file, or of a symbolic link's target, in bytes.
    pub size_bytes: u64,
    /// Under how many names it exists on the disk.
    pub links: u64,
    /// The device that it lies on: only good to compare.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
    /// The major number of a device file; otherwise 0.
    pub device_major: u32,
    /// The minor number of a device file; otherwise 0.
    pub device_minor: u32,
    /// When the content changed last.
    pub modified: Timestamp,
    /// When anything about it changed last.
    pub changed: Timestamp,
}

impl Status {
    fn of(found: &Metadata) -> Self {
        Self {
            kind: found.kind,
            mode: found.mode,
            uid: found.uid,
            gid: found.gid,
            size_bytes: found.size_bytes,
            links: found.links,
            device: found.device,
            inode: found.inode,
            device_major: found.device_major,
            device_minor: found.device_minor,
            modified: found.modified,
            changed: found.changed,
        }
    }

    /// The directory that a root is where nothing is on the disk.
    fn empty_root() -> Self {
        Self {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size_bytes: 0,
            links: 2,
            device: 0,
            inode: 0,
            device_major: 0,
            device_minor: 0,
            modified: Timestamp::default(),
            changed: Timestamp::default(),
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The path without links, `.`, `..` and a leading `/`; empty for the root. Where something is
    /// missing, the path that it would have.
    pub path: Vec<u8>,
    /// What is there; `None` where nothing is.
    pub status: Option<Status>,
}

impl View {
    /// A tree without any files: what `FROM scratch` begins with.
    pub fn scratch() -> Self {
        Self::new("scratch".to_owned(), Marks::None, Vec::new())
    }

    /// The tree below one open directory: a mounted root, an unpacked archive, a context.
    ///
    /// Owners and permissions are those on the disk.
    pub fn of_root(root: Root) -> Self {
        let name = root.name().display().to_string();
        Self::new(name, Marks::None, vec![LayerFiles { root, recorded: None, maps: None }])
    }

    /// The tree that the kernel's overlay would make of these directories, the newest first.
    ///
    /// A device 0:0, or a file with the attribute `overlay.whiteout`, deletes; a directory with the
    /// attribute `overlay.opaque` hides what is below it; both in the namespaces `trusted` and `user`.
    /// Owners and permissions are those on the disk.
    pub fn of_layers(name: impl Into<String>, layers: Vec<Root>) -> Self {
        let layers = layers
            .into_iter()
            .map(|root| LayerFiles { root, recorded: None, maps: None })
            .collect();
        Self::new(name.into(), Marks::Overlay, layers)
    }

    /// The tree of a layer of a store and all below it; `None` for one without files.
    ///
    /// Where the store does not put owners and permissions on the disk as the layers have them (a
    /// user's store, `ignore_chown_errors`, `force_mask`), they are taken from the recipes of the
    /// layers' streams, which are exact. They are read when the first is asked for. What a recipe does
    /// not have, a directory that no member was for, belongs to 0:0; a layer without a recipe answers
    /// with what is on the disk.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where a layer is missing or cannot be read so.
    pub fn of_store(store: &Store, top: Option<&Id>) -> Result<Self> {
        let Some(top) = top else { return Ok(Self::scratch()) };
        let storage = |error| {
            Error::new(ErrorKind::Storage, "the layers", "cannot be opened").with_source(error)
        };
        let chain: Vec<Id> =
            store.layer_chain(top).map_err(storage)?.iter().map(|layer| layer.id.clone()).collect();
        if chain.len() > MAX_LAYERS {
            let detail = format!("has {} layers, and at most {MAX_LAYERS} are read", chain.len());
            return Err(Error::new(ErrorKind::Limit, top, detail));
        }
        let options = store.options();
        let is_exact = !options.rootless
            && !options.extraction.ignore_chown_errors
            && options.extraction.force_mask.is_none();
        let layer = |ids: &[Id]| {
            let root = store.layer_files(&ids[0]).map_err(storage)?;
            let recorded = (!is_exact).then(|| Recorded::new(store.clone(), ids.to_vec()));
            Ok(LayerFiles { root, recorded, maps: None })
        };
        let (marks, layers) = match store.driver() {
            DriverKind::Vfs => (Marks::None, vec![layer(&chain)?]),
            _ => {
                let layers: Result<Vec<_>> = chain.chunks(1).map(layer).collect();
                let by_name = store.whiteouts_are_files();
                (if by_name { Marks::Names } else { Marks::Overlay }, layers?)
            }
        };
        Ok(Self::new(format!("layer {}", top.short()), marks, layers))
    }

    fn new(name: String, marks: Marks, layers: Vec<LayerFiles>) -> Self {
        Self(Arc::new(Files { name, marks, layers }))
    }

    /// Gives it another name for messages.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(files) => Self(Arc::new(Files { name: name.into(), ..files })),
            Err(shared) => Self(shared),
        }
    }

    /// Has the files of the newest layers, so many of them, belong to whom these maps say inside.
    #[must_use]
    pub(crate) fn mapped(self, maps: &IdMaps, layers: usize) -> Self {
        let maps = Arc::new(maps.clone());
        match Arc::try_unwrap(self.0) {
            Ok(mut files) => {
                for layer in files.layers.iter_mut().take(layers) {
                    layer.maps = Some(Arc::clone(&maps));
                }
                Self(Arc::new(files))
            }
            Err(shared) => Self(shared),
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Describes an entry; a symbolic link at the end is described itself. `None` where there is none,
    /// also where something on the way is no directory.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for more than 40 links; [`ErrorKind::Io`].
    pub fn status(&self, path: impl AsRef<[u8]>) -> Result<Option<Status>> {
        let mut walker = self.walker();
        match walker.resolve(path.as_ref(), false)? {
            Resolution::Found(path) => walker.status(&path),
            _ => Ok(None),
        }
    }

    /// Describes what a path leads to, also through a link at its end. `None` where that is nothing.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn status_following(&self, path: impl AsRef<[u8]>) -> Result<Option<Status>> {
        Ok(self.resolve(path)?.status)
    }

    /// Tells where a path leads, also through a link at its end, and what would be its place if
    /// something of it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where something on the way is no directory, and as
    /// [`status`](Self::status).
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Result<Resolved> {
        let mut walker = self.walker();
        match walker.resolve(path.as_ref(), true)? {
            Resolution::Found(path) => {
                let status = walker.status(&path)?;
                Ok(Resolved { path, status })
            }
            Resolution::Missing(path) => Ok(Resolved { path, status: None }),
            Resolution::Blocked(at) => Err(not_a_directory(&at)),
        }
    }

    /// Reads where a symbolic link points; `None` where there is none.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn read_link(&self, path: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut walker = self.walker();
        let Resolution::Found(path) = walker.resolve(path.as_ref(), false)? else {
            return Ok(None);
        };
        match walker.status(&path)? {
            Some(status) if status.kind == Kind::Symlink => walker.read_link(&path).map(Some),
            _ => Ok(None),
        }
    }

    /// Lists a directory, links at the end of the path followed, sorted by name.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where there is none; as [`status`](Self::status).
    pub fn list(&self, path: impl AsRef<[u8]>) -> Result<Vec<OsString>> {
        let path = path.as_ref();
        let mut walker = self.walker();
        if let Resolution::Found(found) = walker.resolve(path, true)?
            && let Some(names) = walker.names(&found)?
        {
            return Ok(names);
        }
        Err(Error::new(ErrorKind::Missing, shown(path), format!("no directory in {}", self.name())))
    }

    /// Reads a regular file, also through links, if it has at most `limit` bytes. `None` where there
    /// is none. Nothing but regular files is opened: no device acts, and no FIFO waits.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for a larger one; [`ErrorKind::Invalid`] where it is something else; as
    /// [`status`](Self::status).
    pub fn read_file(&self, path: impl AsRef<[u8]>, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let mut walker = self.walker();
        let Resolution::Found(found) = walker.resolve(path, true)? else { return Ok(None) };
        let Some(status) = walker.status(&found)? else { return Ok(None) };
        if !status.is_file() {
            let detail = format!("in {} is no regular file", self.name());
            return Err(Error::new(ErrorKind::Invalid, shown(path), detail));
        }
        let file = walker.open(&found)?;
        let room = usize::try_from(status.size_bytes.min(limit)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(room + 1);
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| {
            Error::new(ErrorKind::Io, shown(path), "cannot be read").with_source(error)
        })?;
        if bytes.len() as u64 > limit {
            let detail = format!("has more than {limit} bytes, and no more are read of it");
            return Err(Error::new(ErrorKind::Limit, shown(path), detail));
        }
        Ok(Some(bytes))
    }

    /// The one directory that it is a view of, as it lies there; `None` for layers.
    pub(crate) fn one_root(&self) -> Option<&Root> {
        match self.0.layers.as_slice() {
            [only]
                if self.0.marks == Marks::None
                    && only.recorded.is_none()
                    && only.maps.is_none() =>
            {
                Some(&only.root)
            }
            _ => None,
        }
    }

    pub(crate) fn walker(&self) -> Walker {
        Walker::new(self.clone())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", &self.0.name)
            .field("layers", &self.0.layers.len())
            .finish_non_exhaustive()
    }
}

pub(crate) fn not_a_directory(path: &[u8]) -> Error {
    Error::new(ErrorKind::Invalid, shown(path), "is not a directory")
}

/// A path of a tree as messages have it: from the root.
pub(crate) fn shown(path: &[u8]) -> String {
    let text = path.escape_ascii().to_string();
    let text = match std::str::from_utf8(path) {
        Ok(plain) if !plain.chars().any(char::is_control) => plain.to_owned(),
        _ => text,
    };
    format!("\"/{}\"", text.trim_start_matches('/'))
}
