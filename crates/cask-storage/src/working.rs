//! Layers that processes write to, and that become layers of images: what the steps of a build need.
//!
//! A working layer is a directory where layers come and go, with a lock as long as somebody works
//! with it. No record names it. What it becomes is a staged layer like one that was read from a
//! stream: the files stay where they are and are renamed into their place.

mod changes;
mod mapped;
mod mounted;
mod recorded;

use std::path::{Path, PathBuf};

use cask_layer::DiffOptions;
use cask_rootfs::Root;

use crate::delete::TrashOf;
use crate::driver::{copy, overlay};
use crate::names::IMAGE_PLACE;
use crate::staged::{StagedLayer, Staging};
use crate::temp::TempDir;
use crate::working::mapped::Mapped;
use crate::working::mounted::Mount;
use crate::working::recorded::record;
use crate::{DriverKind, Error, ErrorKind, Id, Layer, Result, Store, file};

pub use changes::Taking;
pub(crate) use mounted::sweep;
pub(crate) use recorded::again;

/// A layer that is being written, upon layers of the store.
///
/// Nobody else sees it. Dropped, it is unmounted and deleted, and so it is by whoever comes next if
/// the process dies.
#[derive(Debug)]
pub struct WorkingLayer {
    store: Store,
    parent: Option<Id>,
    /// The files of the layers below, the nearest first.
    lowers: Vec<PathBuf>,
    /// What is seen between those and this layer, and belongs to none of them.
    beneath: Option<PathBuf>,
    /// Who the users of processes are on the disk, where they are others.
    mapped: Option<Mapped>,
    // Before the directory that it is a view of, so that it ends first.
    mount: Option<Mount>,
    temp: TempDir,
    /// What becomes the layer's directory.
    directory: PathBuf,
    /// What was written, in there.
    files: PathBuf,
}

impl Store {
    /// Begins a layer upon another, or an empty one without a parent.
    ///
    /// No lock of the store is held meanwhile: whoever deletes the parent makes the commit fail.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the parent or one below it; [`ErrorKind::LimitExceeded`] upon
    /// more than 500 layers; [`ErrorKind::Unsupported`] upon layers of composefs or of additional
    /// layer stores; [`ErrorKind::ReadOnly`], [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and
    /// [`ErrorKind::Io`].
    pub fn begin_working_layer(&self, parent: Option<&Id>) -> Result<WorkingLayer> {
        self.check_writable()?;
        let inner = &self.inner;
        let chain = match parent {
            Some(parent) => self.layer_chain(parent)?,
            None => Vec::new(),
        };
        self.check_mountable(&chain)?;
        let ids: Vec<Id> = chain.iter().map(|layer| layer.id.clone()).collect();
        let below = chain.first().map(|top| inner.places[top.place].layer_files(&top.id));
        let mut temp = TempDir::create(&inner.temp_root(IMAGE_PLACE, TrashOf::Driver))?;
        let directory = temp.next_path("addition");
        file::make_directories(&directory, 0o700)?;
        let (files, lowers) = match self.driver() {
            DriverKind::Overlay => (directory.join("diff"), overlay::directories(inner, &ids)?),
            DriverKind::Vfs => (directory.join("tree"), below.iter().cloned().collect()),
        };
        match (self.driver(), &below) {
            (DriverKind::Vfs, Some(below)) => {
                copy::tree(below, &files, self.options().rootless)?;
            }
            _ => self.empty_files(&files, below.as_deref())?,
        }
        Ok(WorkingLayer {
            store: self.clone(),
            parent: parent.cloned(),
            lowers,
            beneath: None,
            mapped: None,
            mount: None,
            temp,
            directory,
            files,
        })
    }
}

impl WorkingLayer {
    /// The layer below.
    pub fn parent(&self) -> Option<&Id> {
        self.parent.as_ref()
    }

    /// Mounts the layer with all below it, to be written to, and says where; once it is mounted it
    /// stays there until [`unmount`](Self::unmount). With vfs nothing is mounted: the files lie
    /// ready.
    ///
    /// Nothing that is written needs to be synced: [`commit`](Self::commit) does that.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] for who may not mount: only root, of the machine or of a user
    /// namespace, may; [`ErrorKind::NoSpace`] and [`ErrorKind::Io`].
    pub fn mount(&mut self) -> Result<&Path> {
        if self.store.driver() == DriverKind::Vfs {
            // A tree of its own: what is written to it is found by comparing.
            return Ok(&self.files);
        }
        let mount = match self.mount.take() {
            Some(mount) => mount,
            None => {
                let (lowers, owners) = self.seen()?;
                Mount::new(&self.store, &lowers, owners, &self.files, &mut self.temp)?
            }
        };
        Ok(self.mount.insert(mount).path())
    }

    /// A directory that is mounted between this layer and those below it: what is made in it before
    /// [`mount`](Self::mount) is seen there, and never is among what was written. A directory of
    /// those below that is in here, too, is seen with the owner, the mode and the times that it has
    /// in here. `None` with vfs, where nothing is mounted.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn beneath(&mut self) -> Result<Option<Root>> {
        if self.store.driver() == DriverKind::Vfs {
            return Ok(None);
        }
        let path = match self.beneath.take() {
            Some(path) => path,
            None => {
                let path = self.temp.next_path("beneath");
                file::make_directories(&path, 0o755)?;
                path
            }
        };
        open(self.beneath.insert(path)).map(Some)
    }

    /// Takes the mount back. A layer that is not mounted is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn unmount(&mut self) -> Result<()> {
        self.mount.take().map_or(Ok(()), Mount::unmount)
    }

    /// The directory of what this layer alone has, with deletions as the overlay marks them; with
    /// vfs all files. It must not be written to while the layer is mounted.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn upper(&self) -> Result<Root> {
        open(&self.files)
    }

    /// Ends writing: unmounts, reads once what was written for its digests and its tar stream, and
    /// keeps it ready for [`commit_image`](Store::commit_image) or
    /// [`commit_layer`](Store::commit_layer).
    ///
    /// The files stay where they are. Times other than the files' own are given to the files, too;
    /// sockets, which a layer cannot have, go.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for what cannot be in a layer, or changes while it is read;
    /// [`ErrorKind::LimitExceeded`], [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and
    /// [`ErrorKind::Io`].
    pub fn stage(mut self, options: &DiffOptions) -> Result<StagedLayer> {
        self.unmount()?;
        let Self { store, temp, directory, files, lowers, .. } = self;
        let staging = Staging::of(&store.inner, temp, directory)?;
        let lowers = lowers.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
        let facts = record(store.driver(), &open(&files)?, &lowers, options, &staging.tar_split)?;
        let tree = (store.driver() == DriverKind::Vfs).then_some(files);
        Ok(staging.finish(tree, facts))
    }

    /// Ends writing and takes the layer into the store, where it stays as long as an image, a
    /// layer or a container is upon it, or until the store is pruned.
    ///
    /// What the store has already is not stored again: the layer that is there is given.
    ///
    /// # Errors
    /// As [`stage`](Self::stage) and [`commit_layer`](Store::commit_layer).
    pub fn commit(self, options: &DiffOptions) -> Result<Layer> {
        let (store, parent) = (self.store.clone(), self.parent.clone());
        store.commit_layer(parent.as_ref(), self.stage(options)?)
    }

    /// Ends writing and deletes what was written. Dropping does the same and tells no errors.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn discard(mut self) -> Result<()> {
        self.unmount()?;
        self.temp.remove()
    }
}

fn open(path: &Path) -> Result<Root> {
    let failed = |error| Error::new(ErrorKind::Io, "opening", path.display()).with_source(error);
    Root::open(path).map_err(failed)
}
