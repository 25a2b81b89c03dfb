//! Where working layers are mounted: in the run root, where peers do not look. The mount of a
//! process that died is taken back by whoever sweeps; what it was a view of may be gone by then.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::driver::overlay_mount::{OverlayMount, detach};
use crate::driver::shifted::Shifted;
use crate::mount_points::is_mounted;
use crate::store::Inner;
use crate::temp::{self, TempDir};
use crate::{ErrorKind, Result, Store, file};

/// What the upper directory must not depend on: it is to be a layer of its own.
const SELF_CONTAINED: &str = "index=off,metacopy=off,redirect_dir=off";

/// A mount, which ends with this.
#[derive(Debug)]
pub(super) struct Mount {
    path: PathBuf,
    _temp: TempDir,
}

impl Mount {
    /// Mounts layers with an upper directory, the layers with other owners where those are given as a user namespace;
    /// `scratch` lends the kernel a directory beside it.
    pub(super) fn new(
        store: &Store,
        lowers: &[PathBuf],
        owners: Option<Arc<OwnedFd>>,
        upper: &Path,
        scratch: &mut TempDir,
    ) -> Result<Self> {
        let mut temp = TempDir::create(&mounts(&store.inner))?;
        let path = temp.next_path("merged");
        file::make_directories(&path, 0o700)?;
        // A new one each time: the kernel refuses to go on with one that was volatile.
        let work = scratch.next_path("work");
        file::make_directories(&work, 0o700)?;
        let mut lowers = lowers.to_vec();
        if lowers.is_empty() {
            let empty = scratch.next_path("empty");
            file::make_directories(&empty, 0o700)?;
            lowers.push(empty);
        }
        let shifted = match owners {
            Some(namespace) => {
                Some(Shifted::mount(temp.next_path("shifted"), &lowers, namespace.as_fd())?)
            }
            None => None,
        };
        if let Some(shifted) = &shifted {
            lowers = shifted.paths().to_vec();
        }
        let options = options(store);
        let volatile = format!("volatile,{options}");
        let mut mount = OverlayMount {
            lowers,
            upper: Some((upper.to_owned(), work)),
            options: &volatile,
            label: "",
            rootless: store.options().rootless,
        };
        let mounted = match mount.mount(&path) {
            // Kernels before 5.10 do not know that nothing needs to be synced.
            Err(error) if error.kind() == ErrorKind::Io => {
                mount.options = &options;
                mount.mount(&path)
            }
            mounted => mounted,
        };
        mounted?;
        Ok(Self { path, _temp: temp })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn unmount(self) -> Result<()> {
        detach(&self.path)
        // The directory goes with `drop`.
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whoever sweeps tries again.
        let _ = detach(&self.path);
    }
}

/// The store's options for mounts, without those that would make a layer depend on others.
fn options(store: &Store) -> String {
    let own = store.options().mount_options.split(',').map(str::trim);
    let own = own.filter(|word| {
        let name = word.split_once('=').map_or(*word, |(name, _)| name);
        !matches!(name, "" | "index" | "metacopy" | "redirect_dir" | "volatile")
    });
    // With attributes of users the kernel does without them, and may not be told so.
    let fixed = (!store.options().rootless).then_some(SELF_CONTAINED);
    own.chain(fixed).collect::<Vec<_>>().join(",")
}

fn mounts(store: &Inner) -> PathBuf {
    store.options.run_root.join("cask/mounts")
}

/// Takes back the mounts of the dead.
pub(crate) fn sweep(store: &Inner) -> Result<()> {
    let root = mounts(store);
    for directory in temp::abandoned(&root)? {
        for path in entries(&directory) {
            detach(&path)?;
            // Layers with other owners are one deeper.
            for path in entries(&path).chain([path.clone()]) {
                detach(&path)?;
                if is_mounted(&path) {
                    return Ok(());
                }
            }
        }
    }
    temp::sweep(&root).map(drop)
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    found.map(|entry| entry.path())
}
