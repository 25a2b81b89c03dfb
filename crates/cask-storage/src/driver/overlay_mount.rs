//! Mounting with the kernel's overlay.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount,
    mount_bind, mount_change, move_mount, unmount,
};

use crate::mount_points::is_mounted;
use crate::{Error, ErrorKind, Result};

/// The longest text that `fsconfig` takes, in bytes.
const MAX_VALUE_BYTES: usize = 255;

/// What is mounted, and how.
#[derive(Debug)]
pub(crate) struct OverlayMount<'a> {
    /// The uppermost first.
    pub(crate) lowers: Vec<PathBuf>,
    /// Where writes go, and the kernel's directory beside it; `None` for reading only.
    pub(crate) upper: Option<(PathBuf, PathBuf)>,
    /// Options as in storage.conf, separated by commas.
    pub(crate) options: &'a str,
    /// An SELinux label for all files.
    pub(crate) label: &'a str,
    /// Whether the kernel's marks are attributes of users.
    pub(crate) rootless: bool,
}

impl OverlayMount<'_> {
    /// Mounts it.
    pub(crate) fn mount(&self, target: &Path) -> Result<()> {
        let failed = |error: Errno| {
            let error = Error::io(error, "mounting", target);
            match error.kind() {
                ErrorKind::Denied => error.with_hint("mount as root, or in a user namespace"),
                _ => error,
            }
        };
        match self.try_new(target) {
            // Kernels before 6.5 take all lower directories as one text.
            Err(Errno::INVAL | Errno::NOSYS) => self.mount_old(target).map_err(failed),
            result => result.map_err(failed),
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.options.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.filter(|word| !matches!(*word, "ro" | "rw"))
    }

    fn attributes(&self) -> MountAttrFlags {
        let read_only = match self.upper {
            Some(_) => MountAttrFlags::empty(),
            None => MountAttrFlags::MOUNT_ATTR_RDONLY,
        };
        self.words().fold(read_only, |flags, word| flags | attribute(word).map_or(flags, |f| f.0))
    }

    fn try_new(&self, target: &Path) -> Result<(), Errno> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(context.as_fd(), "source", "overlay")?;
        let mut open = Vec::new();
        for lower in &self.lowers {
            let path = short(lower, &mut open)?;
            fsconfig_set_string(context.as_fd(), "lowerdir+", &path)?;
        }
        if let Some((upper, work)) = &self.upper {
            fsconfig_set_string(context.as_fd(), "upperdir", &short(upper, &mut open)?)?;
            fsconfig_set_string(context.as_fd(), "workdir", &short(work, &mut open)?)?;
        }
        for word in self.words().filter(|word| attribute(word).is_none()) {
            match word.split_once('=') {
                Some((key, value)) => fsconfig_set_string(context.as_fd(), key, value)?,
                None => fsconfig_set_flag(context.as_fd(), word)?,
            }
        }
        if self.rootless {
            fsconfig_set_flag(context.as_fd(), "userxattr")?;
        }
        if !self.label.is_empty() {
            fsconfig_set_string(context.as_fd(), "context", self.label)?;
        }
        fsconfig_create(context.as_fd())?;
        let mounted = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, self.attributes())?;
        move_mount(mounted.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    }

    fn mount_old(&self, target: &Path) -> Result<(), Errno> {
        let mut open = Vec::new();
        // Short for any number of layers: the options have one page.
        let lowers = self.lowers.iter().map(|lower| by_descriptor(lower, &mut open));
        let lowers = lowers.collect::<Result<Vec<_>, _>>()?;
        let mut data = vec![format!("lowerdir={}", lowers.join(":"))];
        if let Some((upper, work)) = &self.upper {
            data.push(format!("upperdir={}", by_descriptor(upper, &mut open)?));
            data.push(format!("workdir={}", by_descriptor(work, &mut open)?));
        }
        data.extend(self.words().filter(|word| attribute(word).is_none()).map(str::to_owned));
        if self.rootless {
            data.push("userxattr".to_owned());
        }
        if !self.label.is_empty() {
            data.push(format!("context=\"{}\"", self.label));
        }
        let read_only = match self.upper {
            Some(_) => MountFlags::empty(),
            None => MountFlags::RDONLY,
        };
        let flags = self.words().filter_map(attribute).fold(read_only, |all, (_, flag)| all | flag);
        let data = std::ffi::CString::new(data.join(",")).map_err(|_| Errno::INVAL)?;
        mount("overlay", target, "overlay", flags, data.as_c_str())
    }
}

/// What a word of the options is for the kernel, where it is about any mount.
fn attribute(word: &str) -> Option<(MountAttrFlags, MountFlags)> {
    Some(match word {
        "nodev" => (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        "nosuid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        "noexec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
        "noatime" => (MountAttrFlags::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
        "relatime" => (MountAttrFlags::MOUNT_ATTR_RELATIME, MountFlags::RELATIME),
        "dev" | "suid" | "exec" => (MountAttrFlags::empty(), MountFlags::empty()),
        _ => return None,
    })
}

/// The path, or where it is too long, one through its descriptor.
fn short(path: &Path, open: &mut Vec<OwnedFd>) -> Result<String, Errno> {
    match path.to_str() {
        Some(text) if text.len() <= MAX_VALUE_BYTES => Ok(text.to_owned()),
        _ => by_descriptor(path, open),
    }
}

fn by_descriptor(path: &Path, open: &mut Vec<OwnedFd>) -> Result<String, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    open.push(directory);
    Ok(path)
}

/// Mounts the directory of all layers onto itself, once, so that mounts below it are nobody else's.
/// Peers do so before their first mount; what was mounted there before would be hidden from then on.
pub(crate) fn keep_private(directory: &Path) -> Result<()> {
    if is_mounted(directory) {
        return Ok(());
    }
    let private = mount_bind(directory, directory)
        .and_then(|()| mount_change(directory, MountPropagationFlags::PRIVATE));
    match private {
        // Who may not mount is told so by the mount that is to follow.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(Error::io(error, "mounting", directory)),
    }
}

/// Takes a mount away, also where it is used: it ends when nobody does any more.
pub(crate) fn detach(target: &Path) -> Result<()> {
    match unmount(target, UnmountFlags::DETACH) {
        // It was not mounted.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::io(error, "unmounting", target)),
    }
}
