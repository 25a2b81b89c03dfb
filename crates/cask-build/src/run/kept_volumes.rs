//! Volumes of the image that stay as they were before a command: `--compat-volumes`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use cask_rootfs::{Directory, ErrorKind as Found, Order, Root};
use cask_storage::{DriverKind, Store, WorkingLayer};

use crate::view::{View, failed, parent_and_name};
use crate::{Error, ErrorKind, Result};

/// Takes back what a command has written to volumes, and in their place; the layer must not be written to any more.
///
/// Source: buildah, `imagebuildah/stage_executor.go`, `preserveVolumes`.
///
/// # Errors
/// [`ErrorKind::Invalid`] where the store does not keep apart what a layer alone has; [`ErrorKind::Io`] and
/// [`ErrorKind::Storage`].
pub(super) fn take_back<'v>(
    store: &Store,
    layer: &mut WorkingLayer,
    mut volumes: impl Iterator<Item = &'v String>,
) -> Result<()> {
    let storage = |error| Error::storage(error, "the layer that the command wrote to");
    if store.driver() == DriverKind::Vfs {
        let detail = "needs a store with the driver overlay";
        return Err(Error::new(ErrorKind::Invalid, "--compat-volumes", detail));
    }
    layer.unmount().map_err(storage)?;
    let view = View::of_store(store, layer.parent())?;
    let upper = layer.upper().map_err(storage)?;
    volumes.try_for_each(|volume| take_back_one(&view, &upper, volume))
}

fn take_back_one(view: &View, upper: &Root, volume: &str) -> Result<()> {
    // Where it was before: the command may have put a link in its way.
    let before = view.resolve(volume)?;
    if before.path.is_empty() {
        return Ok(());
    }
    let (parent, name) = parent_and_name(&before.path);
    let directory = match upper.directory(OsStr::from_bytes(parent)) {
        Ok(directory) => directory,
        // Nothing of it was written, or all of it is gone.
        Err(error) if matches!(error.kind(), Found::NotFound | Found::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    let times = directory.own_metadata().map_err(failed)?;
    let name = OsStr::from_bytes(name);
    match before.status {
        Some(_) => directory.remove_all(name).map_err(failed)?,
        // There was none: it stays, and is empty.
        None => empty(&directory, name)?,
    }
    let (above, own) = parent_and_name(parent);
    if !own.is_empty() {
        let above = upper.directory(OsStr::from_bytes(above)).map_err(failed)?;
        above.set_times(OsStr::from_bytes(own), times.accessed, times.modified).map_err(failed)?;
    }
    Ok(())
}

fn empty(parent: &Directory, name: &OsStr) -> Result<()> {
    let directory = match parent.open_dir(name) {
        Ok(directory) => directory,
        Err(error) if matches!(error.kind(), Found::NotFound | Found::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    for entry in directory.entries(Order::Any).map_err(failed)? {
        directory.remove_all(&entry.name).map_err(failed)?;
    }
    Ok(())
}
