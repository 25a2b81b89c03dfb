//! One directory in which a store keeps things: the graph root, the image store, an additional
//! store.

use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::record::{ContainerRecord, ImageRecord, LayerRecord, Record};
use crate::table::Table;
use crate::{DriverKind, Id, StoreOptions, rebuild};

/// A directory with the layout of a store.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    driver: DriverKind,
    /// Whether nothing in it may be changed.
    pub(crate) read_only: bool,
    layers: Cache<LayerRecord>,
    volatile_layers: Cache<LayerRecord>,
    images: Cache<ImageRecord>,
    containers: Cache<ContainerRecord>,
    volatile_containers: Cache<ContainerRecord>,
    /// Where containers are locked: not in the graph root where the store is transient.
    containers_lock: PathBuf,
}

impl Place {
    pub(crate) fn new(
        root: &Path,
        driver: DriverKind,
        read_only: bool,
        options: &StoreOptions,
    ) -> Self {
        let at = |root: &Path, kind: &str| root.join(format!("{driver}-{kind}"));
        let volatile = if options.transient { &options.run_root } else { root };
        let file = |root: &Path, kind: &str, name: &str| at(root, kind).join(name);
        Self {
            layers: Cache::new(file(root, "layers", "layers.json")),
            volatile_layers: Cache::new(file(volatile, "layers", "volatile-layers.json")),
            images: Cache::missed(file(root, "images", "images.json")),
            containers: Cache::new(file(root, "containers", "containers.json")),
            volatile_containers: Cache::new(file(
                volatile,
                "containers",
                "volatile-containers.json",
            )),
            containers_lock: file(volatile, "containers", "containers.lock"),
            root: root.to_owned(),
            driver,
            read_only,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn driver(&self) -> DriverKind {
        self.driver
    }

    /// The directory of a kind of records.
    pub(crate) fn directory(&self, kind: Kind) -> PathBuf {
        self.root.join(format!("{}-{}", self.driver, kind.plural()))
    }

    /// The file that is locked for a kind of records.
    pub(crate) fn lock_path(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Container => self.containers_lock.clone(),
            _ => self.directory(kind).join(format!("{}.lock", kind.plural())),
        }
    }

    /// The driver's directory.
    pub(crate) fn driver_directory(&self) -> PathBuf {
        self.root.join(self.driver.as_str())
    }

    /// The directory of a layer's files and what the driver keeps beside them.
    pub(crate) fn layer_directory(&self, id: &Id) -> PathBuf {
        match self.driver {
            DriverKind::Overlay => self.driver_directory().join(id.as_str()),
            DriverKind::Vfs => self.driver_directory().join("dir").join(id.as_str()),
        }
    }

    /// The directory of the files that a layer adds: for vfs, of all files.
    pub(crate) fn layer_files(&self, id: &Id) -> PathBuf {
        match self.driver {
            DriverKind::Overlay => self.layer_directory(id).join("diff"),
            DriverKind::Vfs => self.layer_directory(id),
        }
    }

    /// Where the recipe for a layer's tar stream is.
    pub(crate) fn tar_split_path(&self, id: &Id) -> PathBuf {
        self.directory(Kind::Layer).join(format!("{id}.tar-split.gz"))
    }

    /// The directory of the big data of a record.
    pub(crate) fn big_data_directory(&self, kind: Kind, id: &Id) -> PathBuf {
        self.directory(kind).join(id.as_str())
    }
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A layer.
    Layer,
    /// An image.
    Image,
    /// A container.
    Container,
}

impl Kind {
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Layer => "layers",
            Self::Image => "images",
            Self::Container => "containers",
        }
    }
}

/// Records that a place keeps in a file of their own.
pub(crate) trait Kept: Record {
    /// Their files: the stable one, and the one of volatile records, if there is one.
    fn files(place: &Place) -> Vec<&Cache<Self>>;
    /// What the records must have been, where their file, of which this is the number, makes no sense.
    fn rebuild(place: &Place, file: usize, backup: Option<Table<Self>>) -> Table<Self>;
    /// Keeps a copy of a record that was just saved beside what it is about, where copies are kept of all of them.
    fn keep_copy(_: &Place, _: &Self) {}
}

impl Kept for LayerRecord {
    fn files(place: &Place) -> Vec<&Cache<Self>> {
        vec![&place.layers, &place.volatile_layers]
    }

    fn rebuild(place: &Place, _: usize, backup: Option<Table<Self>>) -> Table<Self> {
        rebuild::layers(place, backup)
    }
}

impl Kept for ImageRecord {
    fn files(place: &Place) -> Vec<&Cache<Self>> {
        vec![&place.images]
    }

    fn rebuild(place: &Place, _: usize, backup: Option<Table<Self>>) -> Table<Self> {
        rebuild::images(place, backup)
    }

    fn keep_copy(place: &Place, record: &Self) {
        rebuild::renew_image(place, record);
    }
}

impl Kept for ContainerRecord {
    fn files(place: &Place) -> Vec<&Cache<Self>> {
        vec![&place.containers, &place.volatile_containers]
    }

    fn rebuild(place: &Place, file: usize, backup: Option<Table<Self>>) -> Table<Self> {
        rebuild::containers(place, file, backup)
    }
}
