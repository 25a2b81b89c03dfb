//! Directories whose owners the kernel shifts as a user namespace maps them.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::overlay_mount::detach;
use crate::{Error, ErrorKind, Result};

/// Mounts of directories with other owners. They end when this is dropped: an overlay over them keeps
/// what it needs.
#[derive(Debug)]
pub(crate) struct Shifted {
    directory: PathBuf,
    paths: Vec<PathBuf>,
}

impl Shifted {
    /// Mounts each of these once more in `directory`, as a namespace maps owners.
    ///
    /// Source: containers/storage, `drivers/overlay`, `mapped`.
    pub(crate) fn mount(
        directory: PathBuf,
        originals: &[PathBuf],
        namespace: BorrowedFd<'_>,
    ) -> Result<Self> {
        let mut shifted = Self { directory, paths: Vec::with_capacity(originals.len()) };
        for (number, original) in originals.iter().enumerate() {
            let path = shifted.directory.join(number.to_string());
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| Error::io(error, "making the directory", &path))?;
            // Before it is mounted: what fails half way is taken away, too.
            shifted.paths.push(path.clone());
            mount(original, &path, namespace)?;
        }
        Ok(shifted)
    }

    /// Where they are.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

impl Drop for Shifted {
    fn drop(&mut self) {
        // What stays mounted is in nobody's way, and goes with the layer.
        for path in &self.paths {
            let _ = detach(path);
            let _ = std::fs::remove_dir(path);
        }
        let _ = std::fs::remove_dir(&self.directory);
    }
}

fn mount(original: &Path, path: &Path, namespace: BorrowedFd<'_>) -> Result<()> {
    let failed = |error: io::Error| Error::io(error, "mounting with other owners", original);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(rustix::fs::CWD, original, flags).map_err(|e| failed(e.into()))?;
    shift(&tree, namespace).map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOSYS) => {
            Error::new(ErrorKind::Unsupported, "mounting with other owners", original.display())
                .with_detail("the kernel or the file system cannot shift owners")
        }
        _ => failed(error),
    })?;
    let moved =
        move_mount(&tree, "", rustix::fs::CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
    moved.map_err(|error| failed(error.into()))
}

#[expect(unsafe_code, reason = "no crate has mount_setattr")]
fn shift(tree: &OwnedFd, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        // Nobody writes to what is below, and whoever removes directories must not get there.
        attr_set: libc::MOUNT_ATTR_IDMAP | u64::from(libc::MOUNT_ATTR_RDONLY as u32),
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?,
    };
    // SAFETY: the path ends with a zero byte, and the attributes are as long as is said; both outlive
    // the call, which keeps neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
