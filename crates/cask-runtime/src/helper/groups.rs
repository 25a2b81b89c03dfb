//! The control groups that a process sees.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::mounts::{attach, clone_tree, existing, make_filesystem};
use crate::plan::{Failure, GroupTree, Plan};
use crate::sys;

/// Where they are.
const PLACE: &str = "/sys/fs/cgroup";
/// Source: `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC`, linux/magic.h.
const MAGIC: [u64; 2] = [0x0027_e0eb, 0x6367_7270];

/// Mounts the groups of the plan in an attached `/sys` that is new.
pub(super) fn show(root: BorrowedFd<'_>, plan: &Plan) -> Result<(), Failure> {
    let Some(first) = plan.group_trees.first() else { return Ok(()) };
    // A kernel without control groups has no such directory.
    let Some(place) = existing(root, PLACE.as_bytes())? else { return Ok(()) };
    let failed = |error: Errno| Failure::io(error, "mount on", PLACE);
    if first.name.is_empty() {
        return attach(take(first)?.as_fd(), place.as_fd(), "").map_err(failed);
    }
    let attributes = closed();
    let options = [("mode", "0755"), ("size", "64k")];
    let top = make_filesystem("tmpfs", &options, attributes).map_err(failed)?;
    attach(top.as_fd(), place.as_fd(), "").map_err(failed)?;
    for tree in &plan.group_trees {
        let taken = take(tree)?;
        rustix::fs::mkdirat(&top, &*tree.name, Mode::from_raw_mode(0o755))
            .and_then(|()| attach(taken.as_fd(), top.as_fd(), &tree.name))
            .map_err(failed)?;
    }
    for link in &plan.group_links {
        rustix::fs::symlinkat(&*link.target, &top, &*link.name).map_err(failed)?;
    }
    if plan.group_trees.iter().any(|tree| tree.writable) {
        // An init makes what it misses.
        return Ok(());
    }
    let closed = u64::from((attributes | MountAttrFlags::MOUNT_ATTR_RDONLY).bits());
    sys::mount_setattr(top.as_fd(), false, closed, libc::MS_PRIVATE)
        .map_err(|error| Failure::io(error, "make read-only", PLACE))
}

fn closed() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}

/// A mount of one directory of groups, attached nowhere. The machine's `/sys` is still what names lead to.
fn take(tree: &GroupTree) -> Result<OwnedFd, Failure> {
    let shown = String::from_utf8_lossy(&tree.source);
    let failed = |error: Errno| Failure::io(error, "take hold of the control group", &shown);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = rustix::fs::openat(CWD, OsStr::from_bytes(&tree.source), flags, Mode::empty());
    let source = source.map_err(failed)?;
    let kind = rustix::fs::fstatfs(&source).map_err(failed)?.f_type;
    if !u64::try_from(kind).is_ok_and(|kind| MAGIC.contains(&kind)) {
        return Err(failed(Errno::NODEV));
    }
    let taken = clone_tree(source.as_fd(), false).map_err(failed)?;
    let mut attributes = closed();
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, !tree.writable);
    sys::mount_setattr(taken.as_fd(), false, u64::from(attributes.bits()), libc::MS_PRIVATE)
        .map_err(|error| Failure::io(error, "protect the control group", &shown))?;
    Ok(taken)
}
