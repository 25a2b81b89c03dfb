//! A directory in memory takes over what the directory has that it covers.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cask_rootfs::{Directory, Kind, Metadata, Node, Operation, Order, Root};
use rustix::fs::{
    AtFlags, FsWord, Mode, OFlags, ResolveFlags, SeekFrom, Timespec, Timestamps, fstatfs,
};
use rustix::io::Errno;

use crate::plan::{Failure, MountPlan};

/// File systems whose files are views of the kernel: there is nothing in them to take over.
///
/// Source: Linux, `include/uapi/linux/magic.h`: cgroup, cgroup2, debugfs, devpts, mqueue, securityfs, sysfs, tracefs.
const VIEWS: [FsWord; 8] = [
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x1cd1,
    0x1980_0202,
    0x7363_6673,
    0x6265_6572,
    0x7472_6163,
];

/// Attributes that belong to the file system or the machine, not to the file.
const FOREIGN: [&str; 4] =
    ["trusted.overlay.", "user.overlay.", "security.selinux", "security.ima"];

/// Fills the directory in memory `to` as `mount` says with what `from` has, which it is about to cover.
///
/// Nothing but these two is reached: links are copied and never followed, and what is mounted below `from` is an
/// empty directory. Nobody else sees `to` yet.
pub(super) fn copy_up(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mount: &MountPlan,
) -> Result<(), Failure> {
    let failed = |trouble: Trouble| trouble.failure(mount);
    let here = Path::new(".");
    let kind = fstatfs(from).map_err(|errno| failed(Trouble::errno(here, errno)))?.f_type;
    if VIEWS.contains(&kind) {
        return Ok(());
    }
    let open = |place: BorrowedFd<'_>| -> Result<Root, Trouble> {
        let held = place.try_clone_to_owned().map_err(|error| Trouble::io(here, &error))?;
        Ok(Root::from_fd(held, OsStr::from_bytes(&mount.target))?)
    };
    let mut copy = Copy {
        from: open(from).map_err(failed)?,
        to: open(to).map_err(failed)?,
        linked: HashMap::new(),
    };
    copy.top(mount).map_err(failed)?;
    if mount.copies_files { copy.all().map_err(failed) } else { Ok(()) }
}

/// Why something could not be copied.
struct Trouble {
    text: String,
    errno: i32,
    hint: Option<&'static str>,
}

impl Trouble {
    fn io(path: &Path, error: &io::Error) -> Self {
        let text = format!("cannot copy {path:?}");
        Self { text, errno: error.raw_os_error().unwrap_or(libc::EIO), hint: None }
    }

    fn errno(path: &Path, errno: Errno) -> Self {
        Self::io(path, &errno.into())
    }

    fn failure(self, mount: &MountPlan) -> Failure {
        let shown = String::from_utf8_lossy(&mount.target);
        let cause = io::Error::from_raw_os_error(self.errno);
        let failure = Failure::io(cause, "fill the directory in memory on", shown);
        if matches!(self.errno, libc::ENOSPC | libc::ENOMEM) {
            let room = match mount.size_bytes {
                Some(bytes) => format!("the {bytes} bytes that it may hold"),
                None => "the machine has room for".to_owned(),
            };
            return failure
                .with_detail(format!("what lies there takes more than {room}"))
                .with_hint("give it more room, or have it begin empty: notmpcopyup");
        }
        let failure = failure.with_detail(self.text);
        match self.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<cask_rootfs::Error> for Trouble {
    fn from(error: cask_rootfs::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        let owner = errno == libc::EINVAL && error.operation() == Operation::SetOwner;
        let hint = "its owner is none of the process's users: have it begin empty: notmpcopyup";
        Self { text: error.to_string(), errno, hint: owner.then_some(hint) }
    }
}

/// A directory that is copied, and where to.
struct Copy {
    from: Root,
    to: Root,
    /// Files with several names, by device and number, and the first of their names here.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copy {
    /// Owner, permissions and attributes of the directory itself.
    fn top(&self, mount: &MountPlan) -> Result<(), Trouble> {
        let (from, to) = (self.from.directory("")?, self.to.directory("")?);
        let found = from.own_metadata()?;
        let mode = if mount.copies_permissions { found.mode } else { to.own_metadata()?.mode };
        match self.to.set_own_owner_and_mode(found.uid, found.gid, mode) {
            // The root of an image may be nobody's in the process's namespace of users.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Ok(self.to.set_own_owner_and_mode(u32::MAX, u32::MAX, mode)?)
            }
            other => Ok(other?),
        }
    }

    /// Everything below it: one directory after the other, by their paths, so that no depth needs more descriptors.
    fn all(&mut self) -> Result<(), Trouble> {
        let mut left = vec![PathBuf::new()];
        while let Some(path) = left.pop() {
            let Some(from) = self.enter(&path)? else { continue };
            let to = self.to.directory(&path)?;
            for entry in from.entries(Order::Any)? {
                if self.entry(&from, &to, &entry.name, &path)? {
                    left.push(path.join(&entry.name));
                }
            }
            let found = from.own_metadata()?;
            for name in from.own_attributes()? {
                let value = from.own_attribute(&name)?;
                take_over(&name, value, |value| to.set_own_attribute(&name, value))?;
            }
            // Everything in it is there: nothing changes them any more.
            rustix::fs::utimensat(&to, ".", &times(&found), AtFlags::empty())
                .map_err(|errno| Trouble::errno(&path, errno))?;
        }
        Ok(())
    }

    /// Opens a directory of the source; `None` where something is mounted on it, or it is none any more.
    fn enter(&self, path: &Path) -> Result<Option<Directory>, Trouble> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let opened: OwnedFd =
            match rustix::fs::openat2(&self.from, name, flags, Mode::empty(), resolve) {
                Err(Errno::XDEV | Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(None),
                other => other.map_err(|errno| Trouble::errno(path, errno))?,
            };
        Ok(Some(Root::from_fd(opened, self.from.name().join(path))?.directory("")?))
    }

    /// Copies one entry of the directory `path`; says whether it is a directory, whose entries follow.
    fn entry(
        &mut self,
        from: &Directory,
        to: &Directory,
        name: &OsStr,
        path: &Path,
    ) -> Result<bool, Trouble> {
        let found = from.metadata(name)?;
        let key = (found.device, found.inode);
        let has_more_names = found.links > 1 && !found.is_directory();
        if has_more_names && let Some(known) = self.linked.get(&key) {
            let (place, known) = self.to.entry(known)?;
            to.hard_link(name, &place, known)?;
            return Ok(false);
        }
        match found.kind {
            Kind::Directory => {
                to.create_dir(name, 0o700)?;
                to.set_owner(name, found.uid, found.gid)?;
                to.set_mode(name, found.mode)?;
                return Ok(true);
            }
            Kind::Symlink => to.symlink(name, from.read_link(name)?)?,
            Kind::Fifo => to.create_node(name, Node::Fifo, 0o600)?,
            Kind::File => {
                let (source, copy) = (from.open_file(name)?, to.create_file(name, 0o600)?);
                content(source, copy).map_err(|error| Trouble::io(&path.join(name), &error))?;
            }
            // A device node of an image may be this machine's disk; a socket belongs to whoever listened.
            _ => return Ok(false),
        }
        to.set_owner(name, found.uid, found.gid)?;
        if found.kind != Kind::Symlink {
            to.set_mode(name, found.mode)?;
        }
        // After the change of the owner, which takes capabilities away.
        for attribute in from.attributes(name)? {
            let value = from.attribute(name, &attribute)?;
            take_over(&attribute, value, |value| to.set_attribute(name, &attribute, value))?;
        }
        to.set_times(name, found.accessed, found.modified)?;
        if has_more_names {
            self.linked.insert(key, path.join(name));
        }
        Ok(false)
    }
}

/// Sets an attribute, unless it is none of the file, or one that memory cannot have, or not in this namespace.
fn take_over(
    name: &OsStr,
    value: Option<Vec<u8>>,
    set: impl FnOnce(&[u8]) -> cask_rootfs::Result<()>,
) -> Result<(), Trouble> {
    let bytes = name.as_encoded_bytes();
    let Some(value) = value else { return Ok(()) };
    if FOREIGN.iter().any(|foreign| bytes.starts_with(foreign.as_bytes())) {
        return Ok(());
    }
    match set(&value) {
        Err(error)
            if matches!(
                error.kind(),
                cask_rootfs::ErrorKind::Unsupported | cask_rootfs::ErrorKind::Denied
            ) =>
        {
            Ok(())
        }
        other => Ok(other?),
    }
}

/// Copies what a file holds; what was never written stays so.
fn content(from: File, mut to: File) -> io::Result<()> {
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(&from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but holes from here on.
            Err(Errno::NXIO) => return Ok(()),
            Err(Errno::INVAL) => at,
            Err(error) => return Err(error.into()),
        };
        // What is written to it meanwhile is not waited for.
        let end = rustix::fs::seek(&from, SeekFrom::Hole(start)).unwrap_or(size).min(size);
        if end <= start {
            return Ok(());
        }
        rustix::fs::seek(&from, SeekFrom::Start(start))?;
        rustix::fs::seek(&to, SeekFrom::Start(start))?;
        io::copy(&mut (&from).take(end - start), &mut to)?;
        at = end;
    }
    Ok(())
}

fn times(of: &Metadata) -> Timestamps {
    let time = |time: cask_rootfs::Timestamp| Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    Timestamps { last_access: time(of.accessed), last_modification: time(of.modified) }
}
