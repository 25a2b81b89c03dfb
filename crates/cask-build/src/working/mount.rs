//! The files of working containers.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use cask_rootfs::Root;
use cask_storage::{Id, MountOptions};
use serde_json::json;

use super::WorkingContainer;
use crate::{Error, ErrorKind, Result};

impl WorkingContainer {
    /// Mounts its files, to be read and written, and says where. Mounts are counted, together with
    /// those of others; they stay until [`unmount`](Self::unmount).
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn mount(&mut self) -> Result<PathBuf> {
        let path = self.mount_quietly()?;
        let text = path.display().to_string();
        self.update(|state| {
            state.set("mountpoint", json!(text));
            Ok(())
        })?;
        Ok(path)
    }

    pub(super) fn mount_quietly(&self) -> Result<PathBuf> {
        let mut options = MountOptions::default();
        options.writable = true;
        options.owners = self.owners()?;
        let label = self.state.text("mount-label");
        options.label = (!label.is_empty()).then(|| label.to_owned());
        let path = self.store.mount_layer(self.layer()?, &options).map_err(|error| {
            Error::storage(error, format!("mounting container {:?}", self.name()))
        })?;
        let owner = self.users().outside(0, 0).unwrap_or_default();
        cask_storage::keep_root(&path, owner)
            .map_err(|error| Error::io(error, "its owner cannot be changed", &path))?;
        Ok(path)
    }

    /// A user namespace by which the layers below are mounted, for a container with users of its own.
    fn owners(&self) -> Result<Option<Arc<OwnedFd>>> {
        if !self.is_mapped() || self.is_upon_copy()? {
            return Ok(None);
        }
        let made = cask_runtime::new_user_namespace(&self.users().maps());
        made.map(|made| Some(Arc::new(made)))
            .map_err(|error| Error::runtime(error, format!("mounting container {:?}", self.name())))
    }

    /// Whether its users are others on the disk.
    pub(super) fn is_mapped(&self) -> bool {
        !self.container.uid_map.is_empty() || !self.container.gid_map.is_empty()
    }

    /// Whether it was made upon a copy of its image, whose files have those owners.
    pub(super) fn is_upon_copy(&self) -> Result<bool> {
        let storage = |error| Error::storage(error, self.name());
        let chain = self.store.layer_chain(self.layer()?).map_err(storage)?;
        let below = chain.get(1);
        Ok(below.is_some_and(|below| !below.uid_map.is_empty() || !below.gid_map.is_empty()))
    }

    /// Takes back one mount; says whether the files are still mounted. One that is not mounted is
    /// no error.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn unmount(&mut self) -> Result<bool> {
        let is_mounted = self.unmount_quietly()?;
        if !is_mounted {
            self.update(|state| {
                state.set_text("mountpoint", "");
                Ok(())
            })?;
        }
        Ok(is_mounted)
    }

    pub(super) fn unmount_quietly(&self) -> Result<bool> {
        self.store.unmount_layer(self.layer()?, false).map_err(|error| {
            Error::storage(error, format!("unmounting container {:?}", self.name()))
        })
    }

    /// Where its files are mounted; `None` where they are not.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn mounted_at(&self) -> Result<Option<PathBuf>> {
        let layer = self.layer()?;
        let mounts = self.store.mounts().map_err(|error| Error::storage(error, self.name()))?;
        Ok(mounts.into_iter().find(|mount| mount.layer == *layer).map(|mount| mount.path))
    }

    /// Its files, mounted as long as the result lives.
    pub(super) fn files(&self) -> Result<MountedFiles<'_>> {
        let path = self.mount_quietly()?;
        let mounted = MountedFiles { container: self, path };
        Ok(mounted)
    }

    /// The layer that it writes to.
    pub(super) fn layer(&self) -> Result<&Id> {
        self.container.layer.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Storage, format!("container {}", self.name()), "has no layer")
        })
    }
}

/// The files of a container, mounted until this is dropped.
pub(super) struct MountedFiles<'c> {
    container: &'c WorkingContainer,
    path: PathBuf,
}

impl MountedFiles<'_> {
    pub(super) fn root(&self) -> Result<Root> {
        Root::open(&self.path).map_err(|error| {
            Error::new(ErrorKind::Io, self.path.display(), "cannot be opened").with_source(error)
        })
    }
}

impl Drop for MountedFiles<'_> {
    fn drop(&mut self) {
        // A mount that stays is counted, and goes with the container.
        let _ = self.container.unmount_quietly();
    }
}
