//! The devices that every container has, and no other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MoveMountFlags};

use super::mounts::{clone_tree, make_filesystem};
use crate::error::ErrorKind;
use crate::plan::Failure;

/// Name, major and minor number. Source: OCI runtime specification, "Default Devices".
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Source: OCI runtime specification, "Dev symbolic links".
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// The group of terminals in Debian and elsewhere.
const TERMINALS: &str = "5";

/// Fills an attached and empty `/dev`.
pub(super) fn fill(devices: BorrowedFd<'_>, shared_memory_bytes: u64) -> Result<(), Failure> {
    for (name, major, minor) in DEVICES {
        device(devices, name, major, minor)?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, devices, name).map_err(|error| failed(error, name))?;
    }
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let closed = attributes | MountAttrFlags::MOUNT_ATTR_NODEV;
    let terminals = terminals(attributes).map_err(|error| failed(error, "pts"))?;
    directory(devices, "pts", &terminals)?;
    let size = shared_memory_bytes.to_string();
    let memory = make_filesystem("tmpfs", &[("mode", "1777"), ("size", &size)], closed)
        .map_err(|error| failed(error, "shm"))?;
    directory(devices, "shm", &memory)?;
    match make_filesystem("mqueue", &[], closed) {
        Ok(queues) => directory(devices, "mqueue", &queues),
        // Kernels can be built without message queues.
        Err(Errno::NODEV) => Ok(()),
        Err(error) => Err(failed(error, "mqueue")),
    }
}

fn failed(error: Errno, name: &str) -> Failure {
    Failure::io(error, "make", format_args!("/dev/{name}"))
}

fn directory(devices: BorrowedFd<'_>, name: &str, tree: &OwnedFd) -> Result<(), Failure> {
    let made = rustix::fs::mkdirat(devices, name, Mode::from_raw_mode(0o755));
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    made.and_then(|()| rustix::mount::move_mount(tree, "", devices, name, flags))
        .map_err(|error| failed(error, name))
}

fn terminals(attributes: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let with_group =
        [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", TERMINALS)];
    match make_filesystem("devpts", &with_group, attributes) {
        // A user namespace may have no such group.
        Err(Errno::INVAL) => make_filesystem("devpts", &with_group[..3], attributes),
        other => other,
    }
}

/// Makes a device, or, in a user namespace, mounts the machine's own one once it proved to be that device.
fn device(devices: BorrowedFd<'_>, name: &str, major: u32, minor: u32) -> Result<(), Failure> {
    let failed = |error| failed(error, name);
    let (mode, number) = (Mode::from_raw_mode(0o666), makedev(major, minor));
    match rustix::fs::mknodat(devices, name, FileType::CharacterDevice, mode, number) {
        Err(Errno::PERM) => {}
        other => return other.map_err(failed),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let machine =
        rustix::fs::openat(CWD, format!("/dev/{name}"), flags, Mode::empty()).map_err(failed)?;
    let found = rustix::fs::fstat(&machine).map_err(failed)?;
    let kind = FileType::from_raw_mode(found.st_mode);
    if kind != FileType::CharacterDevice || found.st_rdev != number {
        return Err(Failure::new(ErrorKind::Unsupported, "mount", format_args!("/dev/{name}"))
            .with_detail(format!("this machine's is not the device {major}:{minor}")));
    }
    let tree = clone_tree(machine.as_fd(), false).map_err(failed)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
    rustix::fs::openat(devices, name, flags, mode).map_err(failed)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", devices, name, flags).map_err(failed)
}
