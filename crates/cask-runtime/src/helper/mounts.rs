//! The file systems that a process sees.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use super::copy_up::copy_up;
use super::target::{Stub, Want, find_or_make};
use super::terminal::Terminal;
use super::{devices, groups};
use crate::capability::{Capability, CapabilitySet};
use crate::error::ErrorKind;
use crate::in_root::open_place;
use crate::mount::Propagation;
use crate::plan::{Failure, MountKind, MountPlan, Plan, Setting, Space};
use crate::sys;

/// The permissions of directories that everybody can go through, and only root can list.
const WAY: u32 = 0o711;

/// A place of this machine that is to be mounted, as far as it could be taken hold of.
pub(super) enum Source {
    /// A mount of its own already, attached nowhere.
    Detached(OwnedFd),
    /// A place whose mount belongs to another namespace: found again by name, and compared.
    ByName(OwnedFd),
    /// The bytes of a file.
    Bytes(OwnedFd),
}

impl Source {
    /// Takes hold of what `place` refers to. Only root may before it has a namespace of its own.
    pub(super) fn take(place: OwnedFd, recursive: bool) -> Self {
        match clone_tree(place.as_fd(), recursive) {
            Ok(tree) => Self::Detached(tree),
            Err(_) if is_detached(&place) => Self::Detached(place),
            Err(_) => Self::ByName(place),
        }
    }

    /// A mount that is attached nowhere, in the namespace of the caller.
    fn detached(self, recursive: bool, shown: &str) -> Result<OwnedFd, Failure> {
        match self {
            Self::Detached(tree) => Ok(tree),
            Self::Bytes(_) => Err(Failure::new(ErrorKind::InvalidSpec, "mount", shown)),
            Self::ByName(place) => reopen(&place, shown).and_then(|again| {
                clone_tree(again.as_fd(), recursive)
                    .map_err(|error| Failure::io(error, "take hold of the source of", shown))
            }),
        }
    }
}

/// Whether a place is a mount that is attached nowhere already, of which older kernels make no copy: it has the name
/// of the machine's root, and is not that.
fn is_detached(place: &OwnedFd) -> bool {
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(place));
    let is_root = rustix::fs::readlink(link, Vec::new()).is_ok_and(|name| name.as_bytes() == b"/");
    let identity = |found: rustix::fs::Stat| (found.st_dev, found.st_ino);
    match (rustix::fs::fstat(place), rustix::fs::stat("/")) {
        (Ok(place), Ok(root)) => is_root && identity(place) != identity(root),
        _ => false,
    }
}

/// A copy of a mount, attached nowhere.
pub(crate) fn clone_tree(place: BorrowedFd<'_>, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(place, "", flags)
}

/// Opens the same place in this mount namespace. A name that leads to another file by now is refused.
fn reopen(place: &OwnedFd, shown: &str) -> Result<OwnedFd, Failure> {
    let failed = |error: Errno| Failure::io(error, "open again the source of", shown);
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(place));
    let name = rustix::fs::readlink(link, Vec::new()).map_err(failed)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let again = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).map_err(failed)?;
    let wanted = rustix::fs::fstat(place).map_err(failed)?;
    let found = rustix::fs::fstat(&again).map_err(failed)?;
    if (wanted.st_dev, wanted.st_ino) == (found.st_dev, found.st_ino) {
        Ok(again)
    } else {
        Err(Failure::new(ErrorKind::NotFound, "open again the source of", shown)
            .with_detail("its name leads to another file by now"))
    }
}

/// Mounts everything and makes the root the root, after `hooks`. Returns the mount points that were made.
///
/// The caller has a mount namespace of its own and is number 1 of its processes.
pub(super) fn set_up(
    plan: &Plan,
    root: Source,
    sources: Vec<Source>,
    stubs: &mut Vec<Stub>,
    hooks: &dyn Fn() -> Result<(), Failure>,
) -> Result<Option<Terminal>, Failure> {
    let propagation = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", propagation)
        .map_err(|error| Failure::io(error, "make private", "/"))?;
    // Over the machine's root, or where hooks look for the new one, lies first what we make ourselves, then the new
    // root. Names that begin with `/` lead to the machine's files until the end.
    let place = place(plan);
    let scratch = Scratch::new(place)?;
    let sources = prepare(plan, sources, &scratch)?;
    let root = root.detached(true, "/")?;
    // A node that an image has may be this machine's disk.
    let devices = if plan.root_devices { 0 } else { u64::from(libc::MOUNT_ATTR_NODEV as u32) };
    sys::mount_setattr(root.as_fd(), true, devices, libc::MS_PRIVATE)
        .map_err(|error| Failure::io(error, "make private", "the root filesystem"))?;
    attach_at(&root, place).map_err(|error| Failure::io(error, "mount on", place.display()))?;
    let (terminal, terminals) = if plan.standard_mounts {
        let (terminal, terminals) = standard(root.as_fd(), plan, stubs)?;
        (terminal, Some(terminals))
    } else if plan.terminal.is_some() || !plan.devices.is_empty() || !plan.sysctls.is_empty() {
        return Err(Failure::new(
            ErrorKind::InvalidSpec,
            "give the process",
            "a terminal, devices or settings",
        )
        .with_detail("they need the standard mounts"));
    } else {
        (None, None)
    };
    for (mount, tree) in plan.mounts.iter().zip(sources) {
        let tree = tree.map_or_else(|| again(mount, terminals.as_ref()), Ok)?;
        user_mount(root.as_fd(), mount, &tree, stubs)?;
    }
    for path in &plan.masked {
        mask(root.as_fd(), path, &scratch)?;
    }
    for path in &plan.read_only {
        protect(root.as_fd(), path)?;
    }
    if plan.read_only_root {
        sys::mount_setattr(root.as_fd(), false, u64::from(libc::MOUNT_ATTR_RDONLY as u32), 0)
            .map_err(|error| Failure::io(error, "make read-only", "/"))?;
    }
    hooks()?;
    enter(root.as_fd(), place)?;
    Ok(terminal)
}

/// Where the root is until it is the root: over the machine's, or where the bundle of hooks says that it is. Who has users
/// of its own may have no way there.
fn place(plan: &Plan) -> &Path {
    let named = plan.hooks.as_ref().map(|hooks| Path::new(OsStr::from_bytes(&hooks.root)));
    named.filter(|path| rustix::fs::stat(*path).is_ok()).unwrap_or(Path::new("/"))
}

/// Mounts the root on the plan's directory and every source on its target: paths of this machine, made for it.
pub(super) fn lay_out(plan: &Plan, root: Source, sources: Vec<Source>) -> Result<(), Failure> {
    let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", propagation)
        .map_err(|error| Failure::io(error, "make private", "/"))?;
    let mounts =
        plan.mounts.iter().map(|mount| (&mount.target, mount.recursive, mount.propagation));
    let all = std::iter::once((&plan.directory, true, Propagation::Private)).chain(mounts);
    for ((path, recursive, propagation), source) in all.zip(std::iter::once(root).chain(sources)) {
        let shown = String::from_utf8_lossy(path);
        let tree = source.detached(recursive, &shown)?;
        sys::mount_setattr(tree.as_fd(), true, 0, kernel_propagation(propagation))
            .map_err(|error| Failure::io(error, "make private", &shown))?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(tree, "", CWD, OsStr::from_bytes(path), flags)
            .map_err(|error| Failure::io(error, "mount on", &shown))?;
    }
    Ok(())
}

/// Has everybody be able to go to a bundle: the process of an external runtime looks for its root there as the user that
/// it has outside of its user namespace.
///
/// Directories above that are others' secret stay so: one without anything else in it is mounted over the first of
/// them, here alone, with the way to the bundle in it.
pub(super) fn clear_way(bundle: &Path) -> Result<(), Failure> {
    let failed = |error, path: &Path| Failure::io(error, "clear the way to", path.display());
    // The runtime keeps its state beside the bundle.
    let directory = bundle.parent().unwrap_or(bundle);
    for path in [directory, bundle] {
        rustix::fs::chmod(path, Mode::from_raw_mode(WAY)).map_err(|error| failed(error, path))?;
    }
    let is_closed =
        |path: &&Path| rustix::fs::stat(*path).is_ok_and(|found| found.st_mode & 0o001 == 0);
    let above: Vec<&Path> = directory.ancestors().skip(1).collect();
    let Some(closed) = above.into_iter().rev().find(is_closed) else { return Ok(()) };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let flags = flags | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, directory, flags)
        .map_err(|error| failed(error, directory))?;
    let text = CString::new(format!("mode={WAY:o}")).unwrap_or_default();
    rustix::mount::mount("tmpfs", closed, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, &*text)
        .map_err(|error| failed(error, closed))?;
    let mut here = closed.to_owned();
    for name in directory.strip_prefix(closed).unwrap_or(directory) {
        here.push(name);
        rustix::fs::mkdir(&here, Mode::from_raw_mode(WAY))
            .and_then(|()| rustix::fs::chmod(&here, Mode::from_raw_mode(WAY)))
            .map_err(|error| failed(error, &here))?;
    }
    attach_at(&tree, directory).map_err(|error| failed(error, directory))?;
    // What this process is in lies below what was mounted.
    rustix::process::chdir(bundle).map_err(|error| failed(error, bundle))
}

fn attach_at(tree: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", CWD, path, flags)
}

fn kernel_propagation(propagation: Propagation) -> u64 {
    match propagation {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::DangerShared => libc::MS_SHARED,
    }
}

/// Makes `root`, which is at `place`, the root of the namespace and leaves nothing else in it.
fn enter(root: BorrowedFd<'_>, place: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io(error, "make the root filesystem", "the root");
    rustix::process::fchdir(root).map_err(failed)?;
    rustix::process::pivot_root(".", ".").map_err(|error| {
        failed(error).with_hint(
            "the root of this machine may be an initial ramdisk, which cannot be left: use another backend",
        )
    })?;
    // The old root lies over the new one now, and the scratch over that or within it: the name means the topmost.
    let over = if place == Path::new("/") { 2 } else { 1 };
    for _ in 0..over {
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    }
    rustix::process::chdir("/").map_err(failed)?;
    // A mount left over the root is what `..` of the root would lead to.
    let top = rustix::fs::stat("/..").map_err(failed)?;
    let new = rustix::fs::fstat(root).map_err(failed)?;
    if (top.st_dev, top.st_ino) == (new.st_dev, new.st_ino) {
        Ok(())
    } else {
        Err(Failure::new(ErrorKind::Unsupported, "make the root filesystem", "the root")
            .with_detail("this machine's root is still reachable"))
    }
}

pub(super) fn attach(
    tree: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    path: &str,
) -> rustix::io::Result<()> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    rustix::mount::move_mount(tree, "", to, path, flags)
}

/// A new file system, attached nowhere. In lists of mounts it is called what it is, unless an option says otherwise.
pub(crate) fn make_filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if !options.iter().any(|(name, _)| *name == "source") {
        rustix::mount::fsconfig_set_string(&context, "source", kind)?;
    }
    for (name, value) in options {
        if value.is_empty() {
            rustix::mount::fsconfig_set_flag(&context, *name)?;
        } else {
            rustix::mount::fsconfig_set_string(&context, *name, *value)?;
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A file system in memory that nothing inside can name: what hides files, and files with given bytes.
struct Scratch {
    memory: OwnedFd,
    files: std::cell::Cell<usize>,
}

impl Scratch {
    fn new(place: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io(error, "make", "a file system in memory");
        let memory = make_filesystem("tmpfs", &[("mode", "0700")], MountAttrFlags::empty())
            .map_err(failed)?;
        attach_at(&memory, place).map_err(failed)?;
        rustix::fs::mkdirat(&memory, "empty", Mode::from_raw_mode(0o555)).map_err(failed)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
        rustix::fs::openat(&memory, "nothing", flags, Mode::from_raw_mode(0o444))
            .map_err(failed)?;
        Ok(Self { memory, files: std::cell::Cell::new(0) })
    }

    fn tree(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        rustix::mount::open_tree(&self.memory, name, flags)
    }

    /// A read-only mount of the empty directory or of the empty file.
    fn mask(&self, directory: bool) -> std::io::Result<OwnedFd> {
        let tree = self.tree(if directory { "empty" } else { "nothing" })?;
        sys::mount_setattr(tree.as_fd(), false, u64::from(libc::MOUNT_ATTR_RDONLY as u32), 0)?;
        Ok(tree)
    }

    /// A mount of a file with the bytes of `from`.
    fn content(&self, from: OwnedFd, mount: &MountPlan) -> std::io::Result<OwnedFd> {
        let number = self.files.get();
        self.files.set(number + 1);
        let name = format!("file{number}");
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
        let mut file = File::from(rustix::fs::openat(&self.memory, &*name, flags, Mode::RUSR)?);
        let mut from = File::from(from);
        from.rewind()?;
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        file.write_all(&bytes)?;
        let (uid, gid) = (Uid::from_raw(mount.uid), Gid::from_raw(mount.gid));
        rustix::fs::fchown(&file, Some(uid), Some(gid))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mount.mode))?;
        drop(file);
        Ok(self.tree(&name)?)
    }
}

/// Turns every source into a mount that is attached nowhere and has its attributes. `None` is what only the standard
/// mounts will have.
fn prepare(
    plan: &Plan,
    sources: Vec<Source>,
    scratch: &Scratch,
) -> Result<Vec<Option<OwnedFd>>, Failure> {
    let mut sources = sources.into_iter();
    let mut trees = Vec::new();
    for mount in &plan.mounts {
        let shown = String::from_utf8_lossy(&mount.target);
        let missing = || Failure::new(ErrorKind::InvalidSpec, "mount on", &shown);
        let tree = match mount.kind {
            MountKind::Terminals => {
                trees.push(None);
                continue;
            }
            MountKind::Memory | MountKind::Ram => memory(mount)?,
            MountKind::Bind | MountKind::Tree => {
                sources.next().ok_or_else(missing)?.detached(mount.recursive, &shown)?
            }
            MountKind::Content => match sources.next() {
                Some(Source::Bytes(bytes)) => scratch
                    .content(bytes, mount)
                    .map_err(|error| Failure::io(error, "write the file for", &shown))?,
                _ => return Err(missing()),
            },
        };
        // What is in memory may have to be filled first.
        if !mount.kind.is_memory() {
            set_options(mount, tree.as_fd())?;
        }
        trees.push(Some(tree));
    }
    Ok(trees)
}

/// The terminals of the standard mounts, once more.
fn again(mount: &MountPlan, terminals: Option<&OwnedFd>) -> Result<OwnedFd, Failure> {
    let shown = String::from_utf8_lossy(&mount.target);
    let Some(terminals) = terminals else {
        return Err(Failure::new(ErrorKind::InvalidSpec, "mount on", &shown)
            .with_detail("there are terminals where the standard mounts are"));
    };
    let tree = clone_tree(terminals.as_fd(), false)
        .map_err(|error| Failure::io(error, "mount the terminals on", &shown))?;
    set_options(mount, tree.as_fd())?;
    Ok(tree)
}

fn set_options(mount: &MountPlan, tree: BorrowedFd<'_>) -> Result<(), Failure> {
    let propagation = kernel_propagation(mount.propagation);
    sys::mount_setattr(tree, true, u64::from(mount.attributes), propagation).map_err(|error| {
        let shown = String::from_utf8_lossy(&mount.target);
        Failure::io(error, "set the options of the mount on", shown)
    })
}

fn memory(mount: &MountPlan) -> Result<OwnedFd, Failure> {
    let mode = format!("{:o}", mount.mode);
    let size = mount.size_bytes.map(|size| size.to_string());
    let mut options = vec![("mode", &*mode)];
    options.extend(size.as_deref().map(|size| ("size", size)));
    let filesystem = if mount.kind == MountKind::Ram { "ramfs" } else { "tmpfs" };
    make_filesystem(filesystem, &options, MountAttrFlags::empty()).map_err(|error| {
        Failure::io(
            error,
            "make a file system in memory for",
            String::from_utf8_lossy(&mount.target),
        )
    })
}

fn user_mount(
    root: BorrowedFd<'_>,
    mount: &MountPlan,
    tree: &OwnedFd,
    stubs: &mut Vec<Stub>,
) -> Result<(), Failure> {
    let shown = String::from_utf8_lossy(&mount.target);
    let failed = |error: Errno| Failure::io(error, "mount on", &shown);
    let directory = is_directory(tree.as_fd()).map_err(failed)?;
    let want = if directory { Want::Directory } else { Want::File };
    let made = stubs.len();
    let target = find_or_make(root, &mount.target, want, stubs)?;
    let was_there = stubs.len() == made;
    let refused =
        |why| Err(Failure::new(ErrorKind::InvalidSpec, "mount on", &shown).with_detail(why));
    let (at, top) = (rustix::fs::fstat(&target), rustix::fs::fstat(root));
    let (at, top) = (at.map_err(failed)?, top.map_err(failed)?);
    if (at.st_dev, at.st_ino) == (top.st_dev, top.st_ino) {
        return refused("nothing can be mounted over the root itself");
    }
    if rustix::fs::fstatfs(&target).map_err(failed)?.f_type == rustix::fs::PROC_SUPER_MAGIC {
        return refused("nothing can be mounted in /proc");
    }
    if mount.kind.is_memory() {
        if was_there && (mount.copies_files || mount.copies_permissions) {
            copy_up(target.as_fd(), tree.as_fd(), mount)?;
        }
        set_options(mount, tree.as_fd())?;
    }
    attach(tree.as_fd(), target.as_fd(), "").map_err(failed)
}

fn is_directory(place: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let found = rustix::fs::statat(place, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

/// `/proc`, `/sys` and `/dev`, with the terminal where there is one.
fn standard(
    root: BorrowedFd<'_>,
    plan: &Plan,
    stubs: &mut Vec<Stub>,
) -> Result<(Option<Terminal>, OwnedFd), Failure> {
    let closed = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let processes = processes(closed, plan)?;
    attach_standard(root, "proc", &processes, stubs)?;
    plan.sysctls.iter().try_for_each(|setting| set(processes.as_fd(), setting))?;
    let system = system_files(closed, plan.writable_system)?;
    attach_standard(root, "sys", &system, stubs)?;
    groups::show(root, plan)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = [("mode", "0755"), ("size", "65536k")];
    let devices = make_filesystem("tmpfs", &options, attributes)
        .map_err(|error| Failure::io(error, "mount", "/dev"))?;
    attach_standard(root, "dev", &devices, stubs)?;
    let terminals = devices::fill(devices.as_fd(), plan)?;
    let make = |size| {
        let terminal = Terminal::make(terminals.as_fd(), size, plan.uid)?;
        terminal.show_as_console(devices.as_fd())?;
        Ok(terminal)
    };
    let terminal = plan.terminal.map(make).transpose()?;
    // Who may make devices shall not make those of this machine.
    let may_make = CapabilitySet::from_bits(plan.capabilities).contains(Capability::MakeNode);
    if may_make && !plan.root_devices {
        devices::seal(devices.as_fd(), plan)?;
    }
    Ok((terminal, terminals))
}

/// Writes a setting through the `/proc` that was just mounted: nothing lies over it yet (CVE-2025-52881).
fn set(processes: BorrowedFd<'_>, setting: &Setting) -> Result<(), Failure> {
    let failed =
        |error: Errno| {
            let failure =
                Failure::io(error, "set", format_args!("{} to {}", setting.path, setting.value));
            match error {
                Errno::NOENT => failure
                    .with_hint("the kernel does not know this setting, or not in a namespace"),
                Errno::ACCESS | Errno::PERM | Errno::ROFS => failure
                    .with_hint("only settings of the process's own namespaces can be changed"),
                _ => failure,
            }
        };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let path = format!("sys/{}", setting.path);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat2(processes, path, flags, Mode::empty(), resolve).map_err(failed)?;
    rustix::io::write(&file, setting.value.as_bytes()).map(drop).map_err(failed)
}

/// A `/proc` of the processes that are seen; the machine's own where a user namespace sees its processes, and so may
/// not mount one.
fn processes(attributes: MountAttrFlags, plan: &Plan) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| {
        Failure::io(error, "mount", "/proc").with_hint(
            "where this machine's own /proc is partly covered, as in a container, the kernel gives no new one to \
             a user namespace: run without covered paths in /proc, or use the chroot backend",
        )
    };
    match make_filesystem("proc", &[], attributes) {
        Err(Errno::PERM) if plan.spaces.first() == Some(&Space::Keep) => {}
        other => return other.map_err(|error| failed(error.into())),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let machine = rustix::fs::open("/proc", flags, Mode::empty());
    let machine = machine.map_err(|error| failed(error.into()))?;
    let kind = rustix::fs::fstatfs(&machine).map_err(|error| failed(error.into()))?.f_type;
    if kind != rustix::fs::PROC_SUPER_MAGIC {
        return Err(failed(Errno::NODEV.into()));
    }
    let tree = clone_tree(machine.as_fd(), true).map_err(|error| failed(error.into()))?;
    sys::mount_setattr(tree.as_fd(), true, u64::from(attributes.bits()), libc::MS_PRIVATE)
        .map_err(failed)?;
    Ok(tree)
}

/// A new view of the kernel's devices; where the network is another's, the machine's own one, read-only.
fn system_files(mut attributes: MountAttrFlags, writable: bool) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| Failure::io(error, "mount", "/sys");
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, !writable);
    match make_filesystem("sysfs", &[], attributes) {
        Err(Errno::PERM) => {}
        other => return other.map_err(|error| failed(error.into())),
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let machine = rustix::fs::open("/sys", flags, Mode::empty());
    let tree = machine
        .and_then(|machine| clone_tree(machine.as_fd(), true))
        .map_err(|error| failed(error.into()))?;
    let propagation = libc::MS_PRIVATE;
    sys::mount_setattr(tree.as_fd(), true, u64::from(attributes.bits()), propagation)
        .map_err(failed)?;
    Ok(tree)
}

/// Mounts on a directory of the root that is no link: what an image makes of `/proc` must not lead elsewhere.
fn attach_standard(
    root: BorrowedFd<'_>,
    name: &str,
    tree: &OwnedFd,
    stubs: &mut Vec<Stub>,
) -> Result<(), Failure> {
    let failed = |error: Errno| Failure::io(error, "mount on", format_args!("/{name}"));
    match rustix::fs::statat(root, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Directory => {
            return Err(Failure::new(ErrorKind::InvalidSpec, "mount on", format_args!("/{name}"))
                .with_detail("the image has something other than a directory there"));
        }
        Ok(_) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error)),
    }
    let target = find_or_make(root, name.as_bytes(), Want::Directory, stubs)?;
    attach(tree.as_fd(), target.as_fd(), "").map_err(failed)
}

/// What exists at a path of the root.
pub(super) fn existing(root: BorrowedFd<'_>, path: &[u8]) -> Result<Option<OwnedFd>, Failure> {
    match open_place(root, OsStr::from_bytes(path), OFlags::empty()) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(Failure::io(error, "protect", String::from_utf8_lossy(path))),
    }
}

/// Hides a path behind an empty directory or file of ours.
///
/// Others hide files behind `/dev/null` of the container, and had to learn to check what that is
/// (CVE-2025-31133): here nothing of the container is used.
fn mask(root: BorrowedFd<'_>, path: &[u8], scratch: &Scratch) -> Result<(), Failure> {
    let failed = |error| Failure::io(error, "mask", String::from_utf8_lossy(path));
    let Some(target) = existing(root, path)? else { return Ok(()) };
    let directory = is_directory(target.as_fd()).map_err(|error| failed(error.into()))?;
    let cover = scratch.mask(directory).map_err(failed)?;
    attach(cover.as_fd(), target.as_fd(), "").map_err(|error| failed(error.into()))
}

/// Makes a path read-only by mounting it on itself.
fn protect(root: BorrowedFd<'_>, path: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::io(error, "make read-only", String::from_utf8_lossy(path));
    let Some(target) = existing(root, path)? else { return Ok(()) };
    let tree = clone_tree(target.as_fd(), true).map_err(|error| failed(error.into()))?;
    sys::mount_setattr(tree.as_fd(), true, u64::from(libc::MOUNT_ATTR_RDONLY as u32), 0)
        .map_err(failed)?;
    attach(tree.as_fd(), target.as_fd(), "").map_err(|error| failed(error.into()))
}
