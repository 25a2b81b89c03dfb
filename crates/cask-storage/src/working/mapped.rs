//! Working layers for processes with users of their own.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::WorkingLayer;
use crate::driver::copy;
use crate::driver::overlay_mount::{OverlayMount, detach};
use crate::new_container::on_disk;
use crate::record::IdMap;
use crate::{DriverKind, Error, ErrorKind, Result, file};

/// Who the users of processes are on the disk.
#[derive(Debug)]
pub(super) struct Mapped {
    namespace: Arc<OwnedFd>,
    uids: Vec<IdMap>,
    gids: Vec<IdMap>,
}

impl WorkingLayer {
    /// Has processes in a user namespace work with the layer: from when it is mounted on, files of the layers below
    /// belong to whom the namespace maps their owners to, and what is written belongs to whoever writes it. The maps
    /// are those of the namespace.
    ///
    /// The files that are written have other owners than the layer is to have: such a layer is not
    /// [staged](Self::stage), but read through [`upper`](Self::upper) and unmapped. Where the kernel does not shift
    /// owners, which it does for root alone, all files below are copied.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] with vfs; [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn map_owners(
        &mut self,
        namespace: Arc<OwnedFd>,
        uids: &[IdMap],
        gids: &[IdMap],
    ) -> Result<()> {
        if self.store.driver() == DriverKind::Vfs {
            return Err(Error::new(ErrorKind::Unsupported, "mapping owners of", "a layer")
                .with_detail("with vfs nothing is mounted, and owners cannot be shifted"));
        }
        let mapped = Mapped { namespace, uids: uids.to_vec(), gids: gids.to_vec() };
        give(&self.files, &mapped)?;
        self.mapped = Some(mapped);
        Ok(())
    }

    /// The layers below as they are mounted, and what has the kernel shift their owners.
    pub(super) fn seen(&mut self) -> Result<(Vec<PathBuf>, Option<Arc<OwnedFd>>)> {
        let all: Vec<PathBuf> = self.beneath.iter().chain(&self.lowers).cloned().collect();
        match &self.mapped {
            None => Ok((all, None)),
            Some(mapped) if !self.store.options().rootless => {
                let namespace = Arc::clone(&mapped.namespace);
                Ok((all, Some(namespace)))
            }
            Some(_) if all.is_empty() => Ok((all, None)),
            Some(mapped) => {
                let (uids, gids) = (mapped.uids.clone(), mapped.gids.clone());
                let copy = self.temp.next_path("owned");
                self.copy_owned(all, &copy, uids, gids)?;
                Ok((vec![copy], None))
            }
        }
    }

    fn copy_owned(
        &mut self,
        lowers: Vec<PathBuf>,
        to: &Path,
        uids: Vec<IdMap>,
        gids: Vec<IdMap>,
    ) -> Result<()> {
        let owners = move |user, group| {
            (on_disk(&uids, user).unwrap_or(user), on_disk(&gids, group).unwrap_or(group))
        };
        let merged = self.temp.next_path("merged");
        file::make_directories(&merged, 0o700)?;
        let mut lowers = lowers;
        if let [only] = lowers.as_slice() {
            // An overlay that is only read has two layers at least.
            let empty = self.temp.next_path("empty");
            file::make_directories(&empty, 0o700)?;
            lowers = vec![only.clone(), empty];
        }
        let mount = OverlayMount { lowers, upper: None, options: "", label: "", rootless: true };
        mount.mount(&merged)?;
        let copied = copy::mapped(&merged, to, true, owners);
        let detached = detach(&merged);
        copied?;
        detached
    }
}

/// Gives a directory to whom its owner is mapped.
fn give(path: &Path, mapped: &Mapped) -> Result<()> {
    let failed = |error| Error::io(error, "changing the owner of", path);
    let found = std::fs::metadata(path).map_err(failed)?;
    let (user, group) = (on_disk(&mapped.uids, found.uid()), on_disk(&mapped.gids, found.gid()));
    match (user, group) {
        (Some(user), Some(group)) => lchown(path, Some(user), Some(group)).map_err(failed),
        _ => Err(Error::new(ErrorKind::Unsupported, "mapping the owners of", path.display())
            .with_detail("root is in no range of the maps")),
    }
}
