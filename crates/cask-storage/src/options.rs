//! What a store is opened with.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cask_json::quoted;

use crate::{Error, ErrorKind};

/// How the files of layers lie on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DriverKind {
    /// Each layer holds what it adds; the kernel's overlay puts them together.
    Overlay,
    /// Each layer is a whole copy of its parent with its own files on top.
    Vfs,
}

impl DriverKind {
    /// The drivers that this crate knows.
    pub const ALL: [Self; 2] = [Self::Overlay, Self::Vfs];

    /// The name that the driver has in configuration and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DriverKind {
    type Err = Error;

    /// Reads a driver's name; `overlay2` is another name of `overlay`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "overlay" | "overlay2" => Ok(Self::Overlay),
            "vfs" => Ok(Self::Vfs),
            _ => Err(Error::new(ErrorKind::Unsupported, "using the storage driver", quoted(text))
                .with_detail("known are overlay and vfs")),
        }
    }
}

/// What survives a loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Whatever was committed: files are on the disk before the record that names them.
    #[default]
    Full,
    /// Nothing is promised: for tests, and for stores in memory.
    None,
}

/// How the files of layers are written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExtractionOptions {
    /// Whether owners that cannot be set are left as they come: `ignore_chown_errors` of
    /// storage.conf.
    pub ignore_chown_errors: bool,
    /// The permissions that every file gets, with the user as its owner; what it should have is kept
    /// in the attribute `user.containers.override_stat`: `force_mask` of storage.conf. Such layers are
    /// not mounted here: the kernel would show them as they are on the disk.
    pub force_mask: Option<u32>,
}

/// How many of the blobs that layers came as are kept beside the store, so that they can be given
/// away byte for byte and at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptBlobOptions {
    /// The most bytes that they take together; those that were not used for longest go first. Zero
    /// keeps none. Whatever is said here, they take at most a fourth of what the file system would have
    /// free without them.
    pub budget_bytes: u64,
}

impl Default for KeptBlobOptions {
    /// Four GiB.
    fn default() -> Self {
        Self { budget_bytes: 4 << 30 }
    }
}

/// Where a store is and how it is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Where layers, images and containers are kept.
    pub graph_root: PathBuf,
    /// What does not survive a reboot: counts of mounts, locks.
    pub run_root: PathBuf,
    /// Where images and their layers are kept, if not in the graph root.
    pub image_store: Option<PathBuf>,
    /// The driver; `None` takes the one whose files are there, and overlay in a new store.
    pub driver: Option<DriverKind>,
    /// Stores whose images can be used too, but not changed.
    pub additional_image_stores: Vec<PathBuf>,
    /// Options for every overlay mount, as in `mountopt` of storage.conf: separated by commas.
    pub mount_options: String,
    /// Whether containers and their layers are recorded in the run root, and so gone with it; what they leave behind is
    /// deleted by whoever changes the store next.
    pub transient: bool,
    /// Whether the store must not be changed: nothing is created, and writing fails.
    pub read_only: bool,
    /// Whether this is a user's store: layers are marked with `user.` attributes, devices are left
    /// out, and changes of owner that are refused are not errors.
    pub rootless: bool,
    /// How long to wait for others who hold a lock; `None` waits for ever.
    pub lock_timeout: Option<Duration>,
    /// What survives a loss of power.
    pub durability: Durability,
    /// How the files of layers are written.
    pub extraction: ExtractionOptions,
    /// Which blobs are kept beside the layers that came as them.
    pub kept_blobs: KeptBlobOptions,
}

impl StoreOptions {
    /// Options for a store in these two directories, and what is usual for the rest: locks are
    /// waited for ten minutes, since old peers hold them while they extract layers.
    pub fn new(graph_root: impl Into<PathBuf>, run_root: impl Into<PathBuf>) -> Self {
        Self {
            graph_root: graph_root.into(),
            run_root: run_root.into(),
            image_store: None,
            driver: None,
            additional_image_stores: Vec::new(),
            mount_options: String::new(),
            transient: false,
            read_only: false,
            rootless: false,
            lock_timeout: Some(Duration::from_secs(600)),
            durability: Durability::default(),
            extraction: ExtractionOptions::default(),
            kept_blobs: KeptBlobOptions::default(),
        }
    }
}

impl Default for StoreOptions {
    /// The store of the whole system.
    fn default() -> Self {
        Self::new("/var/lib/containers/storage", "/run/containers/storage")
    }
}
