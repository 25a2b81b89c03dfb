//! Layers that come into the store together.
//!
//! What the steps of a build make is needed at once, as the ground of the next step, and by nobody else before the
//! image is there. One at a time, each layer would cost a `syncfs` and two writes of `layers.json`. Here they wait in
//! a place of their own, which looks like an additional store and lies where layers come and go: no record of the
//! store names it, so a power failure cannot make a layer seem whole that is not. All of them come into the store
//! with one `syncfs`.
//!
//! Whoever uses a layer meanwhile goes on: a layer is found through a descriptor of its directory, which leads there
//! wherever it is moved, and its records stay.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cask_files::fault;
use rustix::fs::{Mode, OFlags};

use crate::cache::not_found;
use crate::commit::Ready;
use crate::delete::{Trash, TrashOf};
use crate::driver::overlay::{self, Lowers};
use crate::names::IMAGE_PLACE;
use crate::order::Writing;
use crate::place::{Kept, Kind, Place};
use crate::record::LayerRecord;
use crate::store::Inner;
use crate::table::Table;
use crate::temp::TempDir;
use crate::{DriverKind, Durability, Error, ErrorKind, Id, Layer, Result, Store, file};

/// Where layers wait.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The number of the place.
    place: usize,
    /// Whoever takes layers into the store holds this, also while the disk works: others may add layers then.
    settling: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Those that wait, each after the one below it, and where their directories are.
    waiting: Vec<(Id, PathBuf)>,
    /// The directories of all that ever waited.
    held: Vec<OwnedFd>,
    /// Holds the directories.
    layers: TempDir,
    /// Holds the place.
    _records: TempDir,
}

impl Pending {
    fn enter(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The same store, in which layers of [`commit_layer`](Self::commit_layer) wait: whoever has this store or a
    /// clone sees them, nobody else does, and they come into the store together, with the next image of
    /// [`commit_image`](Self::commit_image) or with [`settle`](Self::settle). Those that never do are deleted with
    /// the last clone, or after a crash by whoever comes next.
    ///
    /// With vfs, and where nothing can be written, layers do not wait.
    pub fn with_pending(&self) -> Self {
        let waits = self.driver() == DriverKind::Overlay && !self.options().read_only;
        match waits.then(|| Inner::with_pending(&self.inner)) {
            Some(Ok(inner)) => Self { inner: std::sync::Arc::new(inner) },
            // Where there is no room for a directory there is none for layers: the first says so.
            _ => self.clone(),
        }
    }

    /// Takes all layers that wait into the store.
    ///
    /// # Errors
    /// As [`commit_layer`](Self::commit_layer).
    pub fn settle(&self) -> Result<()> {
        let Some(pending) = &self.inner.pending else { return Ok(()) };
        let _turn = pending.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = pending.enter().waiting.clone();
        if waiting.is_empty() {
            return Ok(());
        }
        let count = waiting.len();
        let place = &self.inner.places[pending.place];
        let waiting = waiting.iter().map(|(id, path)| self.ready_again(place, id, path));
        let waiting = waiting.collect::<Result<Vec<_>>>()?;
        let below = waiting.iter().flat_map(|ready| ready.lowers.iter().chain([&ready.id]));
        let ids: Vec<Id> = below.cloned().collect();
        self.sync_staged()?;
        let mut trash = Trash::default();
        let held = self.inner.hold().layers::<Writing>()?;
        self.put_layers(&held, &ids, waiting, &mut trash)?;
        drop(held);
        // What came meanwhile is behind them.
        pending.enter().waiting.drain(..count);
        trash.empty()?;
        self.tidy();
        Ok(())
    }

    fn ready_again(&self, place: &Place, id: &Id, directory: &Path) -> Result<Ready> {
        let chain = self.layer_chain(id)?;
        let lowers: Vec<Id> = chain[1..].iter().map(|layer| layer.id.clone()).collect();
        let link = overlay::link_name(place, id).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "finding the short link of layer", id)
                .with_detail("its file link is missing or makes no sense")
        })?;
        // Who reads it by its name here goes on.
        let tar_split = place.tar_split_path(id).with_extension("settled");
        file::link(&place.tar_split_path(id), &tar_split)?;
        Ok(Ready {
            // Not as they are found by now: somebody else may have stored one of them since that was written.
            found_by: Lowers::read(directory),
            record: LayerRecord::clone(&chain[0].record),
            files: directory.join("diff"),
            directory: directory.to_owned(),
            id: id.clone(),
            tar_split,
            link,
            lowers,
        })
    }

    /// Has a layer wait, where it is not there already, and gives it.
    pub(crate) fn have_wait(&self, pending: &Pending, id: &Id, ready: Vec<Ready>) -> Result<Layer> {
        let mut state = pending.enter();
        let place = &self.inner.places[pending.place];
        for ready in ready {
            let mut table = Table::clone(&*self.inner.load::<LayerRecord>(pending.place, 0)?);
            if table.by_id(ready.id.as_str()).is_some() {
                continue;
            }
            let directory = state.layers.next_path("layer");
            file::rename(&ready.directory, &directory, "placing")?;
            state.held.push(enter_by_descriptor(place, &ready, &directory)?);
            file::rename(&ready.tar_split, &place.tar_split_path(&ready.id), "placing")?;
            table.put(ready.record);
            // Nothing is synced: nobody looks at it after a crash.
            LayerRecord::files(place)[0].save(table, Durability::None)?;
            state.waiting.push((ready.id, directory));
        }
        drop(state);
        self.layer(id)?.ok_or_else(|| not_found("storing the layer", id))
    }
}

/// Makes a layer's directory be found in a place, wherever it is moved, as long as the descriptor is open.
fn enter_by_descriptor(place: &Place, ready: &Ready, directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let held = rustix::fs::open(directory, flags, Mode::empty())
        .map_err(|error| Error::io(error, "opening", directory))?;
    let path = place.layer_directory(&ready.id);
    // What failed half way before.
    file::remove_if_there(&path)?;
    let links = place.driver_directory().join("l").join(&ready.link);
    let by_descriptor = format!("/proc/self/fd/{}", held.as_raw_fd());
    for (target, path) in [(by_descriptor, path), (format!("../{}/diff", ready.id), links)] {
        let linked = fault::step().and_then(|()| symlink(target, &path));
        linked.map_err(|error| Error::io(error, "linking", &path))?;
    }
    Ok(held)
}

impl Inner {
    fn with_pending(from: &Self) -> Result<Self> {
        // The driver's directory is mounted onto itself once something is mounted: what is in it cannot be renamed
        // to where the records are, nor the other way round.
        let layers = TempDir::create(&from.temp_root(IMAGE_PLACE, TrashOf::Driver))?;
        let mut records = TempDir::create(&from.temp_root(IMAGE_PLACE, TrashOf::Records))?;
        let root = records.next_path("pending");
        let mut options = from.options.clone();
        options.transient = false;
        let place = Place::new(&root, from.driver, true, &options);
        for directory in [place.directory(Kind::Layer), place.driver_directory().join("l")] {
            file::make_directories(&directory, 0o700)?;
        }
        let mut inner = Self::new(from.options.clone(), from.driver);
        let at = inner.places.len();
        inner.places.push(place);
        let state = State { waiting: Vec::new(), held: Vec::new(), layers, _records: records };
        inner.pending =
            Some(Pending { place: at, settling: Mutex::new(()), state: Mutex::new(state) });
        Ok(inner)
    }

    /// Whether layers of a place wait to come into the store.
    pub(crate) fn is_pending(&self, place: usize) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.place == place)
    }
}
