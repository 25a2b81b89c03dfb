//! Opening a store, and what all of its operations share.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::lock::{Lock, Mode};
use crate::order::Held;
use crate::pending::Pending;
use crate::place::{Kept, Kind, Place};
use crate::record::{ContainerRecord, ImageRecord, LayerRecord};
use crate::table::Table;
use crate::warning::Warning;
use crate::write_behind::WriteBehind;
use crate::{DriverKind, Error, ErrorKind, Id, Result, StoreOptions, file, reserve};

/// Directories of drivers that this crate does not know: a store of theirs is not taken for an
/// empty one.
const OTHER_DRIVERS: [&str; 3] = ["btrfs", "zfs", "aufs"];

/// A store of layers, images and containers: podman's, buildah's and skopeo's own.
///
/// Cheap to clone; usable from several threads at once, and beside other processes.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: StoreOptions,
    pub(crate) driver: DriverKind,
    /// Where images are kept; with an image store, the graph root behind it; additional stores.
    pub(crate) places: Vec<Place>,
    /// How many of the places can be changed.
    writable: usize,
    warnings: Mutex<BTreeSet<(PathBuf, String)>>,
    /// Where layers wait, if they do.
    pub(crate) pending: Option<Pending>,
    pub(crate) write_behind: WriteBehind,
}

impl Store {
    /// Opens a store, and makes its directories where they do not exist.
    ///
    /// A store that is only read is not touched; one that does not exist is empty.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a store of another driver, or of root with files of several;
    /// [`ErrorKind::Denied`] and [`ErrorKind::ReadOnly`] where directories must be made and cannot
    /// be.
    pub fn open(options: StoreOptions) -> Result<Self> {
        let driver = match options.driver {
            Some(driver) => driver,
            None => prior_driver(&options)?.unwrap_or(DriverKind::Overlay),
        };
        let inner = Inner::new(options, driver);
        if !inner.options.read_only {
            inner.create()?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the store was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// The directory in which containers and, unless there is an image store, images are kept.
    pub fn graph_root(&self) -> &Path {
        &self.inner.options.graph_root
    }

    /// The directory of what does not survive a reboot.
    pub fn run_root(&self) -> &Path {
        &self.inner.options.run_root
    }

    /// The driver.
    pub fn driver(&self) -> DriverKind {
        self.inner.driver
    }

    /// What was found wrong since the store was opened or this was last asked, each once.
    pub fn take_warnings(&self) -> Vec<Warning> {
        let mut warnings = self.inner.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
            .into_iter()
            .map(|(path, message)| Warning::new(&path, message))
            .collect()
    }
}

impl Inner {
    pub(crate) fn new(options: StoreOptions, driver: DriverKind) -> Self {
        let place = |root: &Path, read_only| Place::new(root, driver, read_only, &options);
        let mut places = Vec::new();
        places.extend(options.image_store.as_deref().map(|root| place(root, options.read_only)));
        places.push(place(&options.graph_root, options.read_only));
        let writable = places.len();
        places.extend(options.additional_image_stores.iter().map(|root| place(root, true)));
        Self {
            driver,
            places,
            writable,
            warnings: Mutex::default(),
            pending: None,
            write_behind: WriteBehind::default(),
            options,
        }
    }

    /// Makes the directories of a store, and leaves tokens in new lock files.
    fn create(&self) -> Result<()> {
        for place in &self.places[..self.writable] {
            if !place.directory(Kind::Image).is_dir() {
                self.create_place(place)?;
            }
        }
        if self.options.extraction.force_mask.is_some() && self.driver == DriverKind::Overlay {
            self.note_mount_program()?;
        }
        if self.options.transient {
            self.create_volatile()?;
        }
        let mount_points = self.mount_points_directory();
        if !mount_points.is_dir() {
            file::make_directories(&mount_points, 0o700)?;
        }
        // Releases before 1.42 read layers.json again for every layer while this is empty.
        let path = mount_points.join("mountpoints.lock");
        if fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            return Ok(());
        }
        match Lock::try_acquire(&path)? {
            Some(lock) if !lock.has_token() => lock.write_token(),
            _ => Ok(()),
        }
    }

    /// Makes the directory of the run root that says which containers there are.
    fn create_volatile(&self) -> Result<()> {
        let path = self.places[self.container_place()].lock_path(Kind::Container);
        let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) else {
            return Ok(());
        };
        file::make_directories(directory, 0o700)?;
        match Lock::try_acquire(&path)? {
            Some(lock) if !lock.has_token() => lock.write_token(),
            _ => Ok(()),
        }
    }

    /// Says to all who open the store, as peers do that have one, that a program mounts its layers.
    fn note_mount_program(&self) -> Result<()> {
        let path = self.places[0].driver_directory().join(".has-mount-program");
        if path.exists() {
            return Ok(());
        }
        fs::write(&path, "true").map_err(|error| Error::io(error, "writing", &path))
    }

    fn create_place(&self, place: &Place) -> Result<()> {
        file::make_directories(place.root(), 0o700)?;
        let storage_lock = place.root().join("storage.lock");
        let _held = Lock::acquire(&storage_lock, Mode::Write, self.options.lock_timeout)?;
        file::make_directories(&place.driver_directory(), 0o700)?;
        for kind in [Kind::Layer, Kind::Container, Kind::Image] {
            file::make_directories(&place.directory(kind), 0o700)?;
            if let Some(directory) = place.lock_path(kind).parent() {
                file::make_directories(directory, 0o700)?;
            }
            if let Some(lock) = Lock::try_acquire(&place.lock_path(kind))?
                && !lock.has_token()
            {
                lock.write_token()?;
            }
        }
        Ok(())
    }

    fn mount_points_directory(&self) -> PathBuf {
        self.options.run_root.join(format!("{}-layers", self.driver))
    }

    /// Where counts of mounts are kept.
    pub(crate) fn mount_points_path(&self) -> PathBuf {
        self.mount_points_directory().join("mountpoints.json")
    }

    /// Locks the counts of mounts; to be called through [`Held`], which keeps the order.
    pub(crate) fn lock_mount_points(&self) -> Result<Lock> {
        let path = self.mount_points_directory().join("mountpoints.lock");
        Lock::acquire(&path, Mode::Write, self.options.lock_timeout)
    }

    /// Begins to take locks.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held::nothing(self)
    }

    /// The places that can be changed.
    pub(crate) fn writable_places(&self) -> std::ops::Range<usize> {
        0..self.writable
    }

    /// The place of containers and their layers.
    pub(crate) fn container_place(&self) -> usize {
        self.writable - 1
    }

    /// The directory of all that a container has until the next reboot.
    pub(crate) fn container_run_directory(&self, id: &Id) -> PathBuf {
        self.options.run_root.join(format!("{}-containers", self.driver)).join(id.as_str())
    }

    /// Whether a place cannot be changed.
    pub(crate) fn is_read_only(&self, place: usize) -> bool {
        self.places[place].read_only
    }

    pub(crate) fn warn(&self, warning: Warning) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.insert((warning.path, warning.message));
    }

    /// The records of one file of a place.
    pub(crate) fn load<R: Kept>(&self, place: usize, file: usize) -> Result<Arc<Table<R>>> {
        let place = &self.places[place];
        let loaded = R::files(place)[file].load(|backup| R::rebuild(place, file, backup))?;
        if let Some(damage) = loaded.damage {
            self.warn(damage);
        }
        Ok(loaded.table)
    }

    /// One file of a place, if it makes no sense.
    pub(crate) fn damaged<R: Kept>(&self, place: usize, file: usize) -> Result<Option<PathBuf>> {
        let place = &self.places[place];
        let loaded = R::files(place)[file].load(|backup| R::rebuild(place, file, backup))?;
        Ok(loaded.damage.map(|damage| damage.path))
    }

    /// Whatever places hold of a kind of records, with the number of the place, without locks.
    pub(crate) fn tables<R: Kept>(&self) -> Result<Vec<(usize, Arc<Table<R>>)>> {
        let mut tables = Vec::new();
        for place in 0..self.places.len() {
            for file in 0..R::files(&self.places[place]).len() {
                tables.push((place, self.load::<R>(place, file)?));
            }
        }
        Ok(tables)
    }

    /// The files of a kind of records in all places, not looked at.
    pub(crate) fn texts<R: Kept>(&self) -> Result<Vec<Arc<Table<R>>>> {
        let files = self.places.iter().flat_map(R::files);
        files.map(crate::cache::Cache::peek).collect()
    }

    /// Does something that needs little space; on a full disk, with what was kept back for that.
    pub(crate) fn with_reserve<T>(&self, action: impl Fn() -> Result<T>) -> Result<T> {
        reserve::with(&self.options.graph_root, action)
    }

    /// Gives up what was kept back; says whether there was something.
    pub(crate) fn give_up_reserve(&self) -> bool {
        reserve::give_up(&self.options.graph_root)
    }

    /// Reads records of several kinds so that they fit one another: what was read is taken only
    /// if none of the files changed meanwhile.
    pub(crate) fn snapshot<T>(&self, read: impl Fn() -> Result<T>) -> Result<T> {
        /// How often others may interfere before this one waits for a lock.
        const ATTEMPTS: usize = 8;
        for _ in 0..ATTEMPTS {
            let before = self.stamps()?;
            let result = read()?;
            if self.stamps()? == before {
                return Ok(result);
            }
        }
        if self.options.read_only {
            return read();
        }
        use crate::order::Reading;
        let held = self.hold().layers::<Reading>()?.images::<Reading>()?;
        let _held = held.containers::<Reading>()?;
        read()
    }

    fn stamps(&self) -> Result<Vec<Option<file::Stamp>>> {
        fn of<'a, R: Kept + 'a>(
            place: &'a Place,
        ) -> impl Iterator<Item = Result<Option<file::Stamp>>> {
            R::files(place).into_iter().map(crate::cache::Cache::stamp)
        }
        let all = self.places.iter().flat_map(|place| {
            of::<LayerRecord>(place)
                .chain(of::<ImageRecord>(place))
                .chain(of::<ContainerRecord>(place))
        });
        all.collect()
    }
}

/// The driver whose files are in a graph root. Of a user it may have those of both, as podman before 4.6 uses vfs where
/// no storage.conf says otherwise: then later ones use overlay.
///
/// Source: containers/storage, `types/options.go`, `getRootlessStorageOpts`.
fn prior_driver(options: &StoreOptions) -> Result<Option<DriverKind>> {
    let root = options.graph_root.as_path();
    let is_used = |name: &str| {
        fs::read_dir(root.join(name)).is_ok_and(|mut entries| entries.next().is_some())
    };
    if let Some(other) = OTHER_DRIVERS.into_iter().find(|name| is_used(name)) {
        return Err(Error::new(ErrorKind::Unsupported, "opening the store", root.display())
            .with_detail(format!("it has layers of the driver {other}; known are overlay and vfs"))
            .with_hint("name the driver if the store has layers of a known one too"));
    }
    let mut used = DriverKind::ALL.into_iter().filter(|driver| is_used(driver.as_str()));
    match (used.next(), used.next()) {
        (Some(_), Some(_)) if options.rootless => Ok(Some(DriverKind::Overlay)),
        (Some(_), Some(_)) => {
            Err(Error::new(ErrorKind::Unsupported, "opening the store", root.display())
                .with_detail("it has layers of the drivers overlay and vfs")
                .with_hint("name the driver that is meant"))
        }
        (driver, _) => Ok(driver),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_user_a_store_with_layers_of_both_drivers_is_that_of_overlay() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        for layer in ["overlay/x", "vfs/dir/x"] {
            fs::create_dir_all(root.join(layer)).unwrap();
        }
        let mut options = StoreOptions::new(root, temp.path().join("run"));
        let error = prior_driver(&options).unwrap_err();
        assert!(error.to_string().contains("of the drivers overlay and vfs"), "{error}");
        options.rootless = true;
        assert_eq!(prior_driver(&options).unwrap(), Some(DriverKind::Overlay));
        fs::remove_dir(options.graph_root.join("overlay/x")).unwrap();
        assert_eq!(prior_driver(&options).unwrap(), Some(DriverKind::Vfs));
    }
}
