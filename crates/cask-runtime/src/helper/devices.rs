//! The devices that every container has, and no other.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, makedev};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MoveMountFlags};

use super::mounts::{clone_tree, make_filesystem};
use crate::error::ErrorKind;
use crate::plan::{DevicePlan, Failure, Plan, Space};
use crate::sys;

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

/// Fills an attached and empty `/dev`. Returns the file system of its terminals.
pub(super) fn fill(devices: BorrowedFd<'_>, plan: &Plan) -> Result<OwnedFd, Failure> {
    for (name, major, minor) in DEVICES {
        let (path, mode) = (name.as_bytes().to_vec(), 0o666);
        let source = [b"/dev/", name.as_bytes()].concat();
        let own = DevicePlan { path, source, block: false, major, minor, mode, uid: 0, gid: 0 };
        device(devices, &own)?;
    }
    for wanted in &plan.devices {
        // One that every process has already is the same, or refused by its numbers.
        let own = DEVICES.iter().any(|(name, ..)| name.as_bytes() == wanted.path);
        if !own {
            device(devices, wanted)?;
        }
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, devices, name).map_err(|error| failed(error, name))?;
    }
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let closed = attributes | MountAttrFlags::MOUNT_ATTR_NODEV;
    let terminals = terminals(attributes).map_err(|error| failed(error, "pts"))?;
    directory(devices, "pts", &terminals)?;
    shared_memory(devices, plan.shared_memory_bytes, closed)?;
    match make_filesystem("mqueue", &[], closed) {
        Ok(queues) => directory(devices, "mqueue", &queues)?,
        // Kernels can be built without message queues. Those of another user namespace cannot be mounted.
        Err(Errno::NODEV) => {}
        Err(Errno::PERM) if plan.spaces.get(1) != Some(&Space::New) => {}
        Err(error) => return Err(failed(error, "mqueue")),
    }
    Ok(terminals)
}

/// Has no devices work in an attached `/dev` but those that it has by now: they are mounted on themselves, and others
/// on the file system below do not work.
pub(super) fn seal(devices: BorrowedFd<'_>, plan: &Plan) -> Result<(), Failure> {
    let own = DEVICES.iter().map(|(name, ..)| name.as_bytes());
    for path in own.chain(plan.devices.iter().map(|wanted| wanted.path.as_slice())) {
        let failed = |error| failed(error, &String::from_utf8_lossy(path));
        let (parent, last) = place(devices, path).map_err(failed)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::openat(&parent, last, flags, Mode::empty()).map_err(failed)?;
        let tree = clone_tree(node.as_fd(), false).map_err(failed)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", &parent, last, flags).map_err(failed)?;
    }
    let closed = MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::mount_setattr(devices, false, closed.bits().into(), 0)
        .map_err(|error| Failure::io(error, "seal", "/dev"))
}

fn shared_memory(
    devices: BorrowedFd<'_>,
    bytes: Option<u64>,
    closed: MountAttrFlags,
) -> Result<(), Failure> {
    let failed = |error| failed(error, "shm");
    let Some(bytes) = bytes else { return Ok(()) };
    // Peers call it so in lists of mounts.
    let options = [("source", "shm"), ("mode", "1777"), ("size", &*bytes.to_string())];
    let memory = make_filesystem("tmpfs", &options, closed).map_err(failed)?;
    directory(devices, "shm", &memory)
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
fn device(devices: BorrowedFd<'_>, wanted: &DevicePlan) -> Result<(), Failure> {
    let name = OsStr::from_bytes(&wanted.path);
    let failed = |error| failed(error, &name.to_string_lossy());
    let (parent, last) = place(devices, &wanted.path).map_err(failed)?;
    let kind = if wanted.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let (mode, number) = (Mode::from_raw_mode(wanted.mode), makedev(wanted.major, wanted.minor));
    let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
    match rustix::fs::mknodat(&parent, last, kind, mode, number) {
        Err(Errno::PERM) => {}
        Err(error) => return Err(failed(error)),
        Ok(()) => {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            return match rustix::fs::chownat(&parent, last, Some(uid), Some(gid), flags) {
                // A user namespace does not have every owner.
                Ok(()) | Err(Errno::INVAL) => Ok(()),
                Err(error) => Err(failed(error)),
            };
        }
    }
    let subject = String::from_utf8_lossy(&wanted.source);
    let gone = |error| Failure::io(error, "mount", &subject);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let machine =
        rustix::fs::openat(CWD, wanted.source.as_slice(), flags, Mode::empty()).map_err(gone)?;
    let found = rustix::fs::fstat(&machine).map_err(gone)?;
    if FileType::from_raw_mode(found.st_mode) != kind || found.st_rdev != number {
        return Err(Failure::new(ErrorKind::Unsupported, "mount", subject).with_detail(format!(
            "this machine's is not the device {}:{}",
            wanted.major, wanted.minor
        )));
    }
    let tree = clone_tree(machine.as_fd(), false).map_err(failed)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
    rustix::fs::openat(&parent, last, flags, mode).map_err(failed)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", &parent, last, flags).map_err(failed)
}

/// The directory that a path of plain names is in, made where it is missing, and the last of the names.
fn place<'p>(devices: BorrowedFd<'_>, path: &'p [u8]) -> rustix::io::Result<(OwnedFd, &'p OsStr)> {
    let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
    let open = |at: BorrowedFd<'_>, name: &OsStr| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(at, name, flags, Mode::empty())
    };
    let mut here = open(devices, OsStr::new("."))?;
    while let Some(name) = names.next() {
        let name = OsStr::from_bytes(name);
        if names.peek().is_none() {
            return Ok((here, name));
        }
        match rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => here = open(here.as_fd(), name)?,
            Err(error) => return Err(error),
        }
    }
    Err(Errno::INVAL)
}
