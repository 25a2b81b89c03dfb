//! The vfs driver: each layer is a whole tree.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::{Error, Result};

/// The attributes by which the overlay marks an opaque directory.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Copies a tree: files (sharing their blocks where the file system can), owners, modes, times,
/// attributes, devices, and which names are the same file.
pub(crate) fn copy_tree(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    let mut copy = Copy::new(rootless);
    copy.directory(from, to)
}

/// Copies a tree as [`copy_tree`] does, to whom its owners are mapped. Who is in no range stays who that is.
pub(crate) fn copy_mapped(
    from: &Path,
    to: &Path,
    rootless: bool,
    owners: impl Fn(u32, u32) -> (u32, u32) + 'static,
) -> Result<()> {
    let mut copy = Copy { owners: Some(Box::new(owners)), ..Copy::new(rootless) };
    copy.directory(from, to)
}

/// Copies a tree as [`copy_tree`] does, with what marks directories opaque and files deleted for the overlay.
pub(crate) fn copy_upper(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    let mut copy = Copy { keeps_marks: true, ..Copy::new(rootless) };
    copy.directory(from, to)
}

/// Makes a tree whose files are those of another one, by other names; directories are copied, with
/// the attributes that mark them opaque. A file that cannot have another name is copied too.
pub(crate) fn link_tree(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    let mut copy = Copy { links: true, keeps_marks: true, ..Copy::new(rootless) };
    copy.directory(from, to)
}

struct Copy {
    /// Files with several names, by device and inode.
    seen: HashMap<(u64, u64), PathBuf>,
    rootless: bool,
    links: bool,
    /// Whether what marks directories opaque stays.
    keeps_marks: bool,
    /// Whom what belongs to a user and a group gets to belong to.
    owners: Option<Owners>,
}

/// Another user and another group for each.
type Owners = Box<dyn Fn(u32, u32) -> (u32, u32)>;

impl Copy {
    fn new(rootless: bool) -> Self {
        Self { seen: HashMap::new(), rootless, links: false, keeps_marks: false, owners: None }
    }

    fn metadata(&self, from: &Path, to: &Path, metadata: &fs::Metadata) -> Result<()> {
        let owner = (metadata.uid(), metadata.gid());
        let owner = self.owners.as_ref().map_or(owner, |owners| owners(owner.0, owner.1));
        copy_metadata(from, to, metadata, owner, (self.rootless, self.keeps_marks))
    }

    fn directory(&mut self, from: &Path, to: &Path) -> Result<()> {
        // Directories are waited for in a list: a tree may be deeper than the stack.
        let mut waiting = vec![(from.to_owned(), to.to_owned())];
        let mut done = Vec::new();
        while let Some((from, to)) = waiting.pop() {
            fs::create_dir(&to).map_err(|e| Error::io(e, "making the directory", &to))?;
            let entries = fs::read_dir(&from).map_err(|e| Error::io(e, "listing", &from))?;
            for entry in entries {
                let entry = entry.map_err(|e| Error::io(e, "listing", &from))?;
                let (from, to) = (entry.path(), to.join(entry.file_name()));
                let metadata = fs::symlink_metadata(&from);
                let metadata = metadata.map_err(|e| Error::io(e, "looking at", &from))?;
                match metadata.is_dir() {
                    true => waiting.push((from, to)),
                    false => self.file(&from, &to, &metadata)?,
                }
            }
            done.push((from, to));
        }
        // The times of a directory change as long as something is made in it.
        for (from, to) in done.iter().rev() {
            let metadata = fs::symlink_metadata(from);
            let metadata = metadata.map_err(|e| Error::io(e, "looking at", from))?;
            self.metadata(from, to, &metadata)?;
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, metadata: &fs::Metadata) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(error, "copying", from);
        if self.links && fs::hard_link(from, to).is_ok() {
            return Ok(());
        }
        if metadata.nlink() > 1 {
            let key = (metadata.dev(), metadata.ino());
            if let Some(first) = self.seen.get(&key) {
                return fs::hard_link(first, to).map_err(failed);
            }
            self.seen.insert(key, to.to_owned());
        }
        let kind = metadata.file_type();
        if kind.is_file() {
            copy_content(from, to).map_err(failed)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(from).map_err(failed)?, to).map_err(failed)?;
        } else if kind.is_socket() {
            // A socket is nothing without its process.
            return Ok(());
        } else {
            let mode = Mode::from_raw_mode(metadata.mode() & 0o7777);
            let kind = FileType::from_raw_mode(metadata.mode());
            let made = rustix::fs::mknodat(CWD, to, kind, mode, metadata.rdev());
            made.map_err(|error| failed(error.into()))?;
        }
        self.metadata(from, to, metadata)
    }
}

fn copy_content(from: &Path, to: &Path) -> std::io::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create_new(to)?);
    if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        // The kernel copies, and it too shares blocks where it can.
        std::io::copy(&mut source, &mut target)?;
    }
    Ok(())
}

fn copy_metadata(
    from: &Path,
    to: &Path,
    metadata: &fs::Metadata,
    (uid, gid): (u32, u32),
    (rootless, keeps_marks): (bool, bool),
) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(error, "copying what is known of", from);
    match lchown(to, Some(uid), Some(gid)) {
        Err(_) if rootless => {}
        owned => owned.map_err(failed)?,
    }
    copy_attributes(from, to, rootless, keeps_marks)?;
    if !metadata.file_type().is_symlink() {
        let mode = fs::Permissions::from_mode(metadata.mode() & 0o7777);
        fs::set_permissions(to, mode).map_err(failed)?;
    }
    let time = |seconds, nanoseconds: i64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    let times = Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(CWD, to, &times, flags).map_err(|error| failed(error.into()))
}

fn copy_attributes(from: &Path, to: &Path, rootless: bool, keeps_marks: bool) -> Result<()> {
    for name in attribute_names(from)? {
        if !keeps_marks && OPAQUE.contains(&name.as_str()) {
            continue;
        }
        let failed = |error: rustix::io::Errno| Error::io(error, "copying the attributes of", from);
        let Some(value) = attribute(from, &name).map_err(failed)? else { continue };
        match rustix::fs::lsetxattr(to, name.as_str(), &value, XattrFlags::empty()) {
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(rustix::io::Errno::PERM) if rootless => {}
            set => set.map_err(failed)?,
        }
    }
    Ok(())
}

fn attribute_names(path: &Path) -> Result<Vec<String>> {
    let mut buffer = vec![0; 1 << 16];
    let length = match rustix::fs::llistxattr(path, &mut buffer[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(Error::io(error, "listing the attributes of", path)),
    };
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

fn attribute(path: &Path, name: &str) -> Result<Option<Vec<u8>>, rustix::io::Errno> {
    let mut buffer = vec![0; 1 << 16];
    match rustix::fs::lgetxattr(path, name, &mut buffer[..]) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the files of a layer, with whiteouts as the overlay has them, over a whole tree. The files
/// are moved.
pub(crate) fn merge(layer: &Path, tree: &Path, rootless: bool) -> Result<()> {
    let mut waiting = vec![(layer.to_owned(), tree.to_owned())];
    let mut done = Vec::new();
    while let Some((layer, tree)) = waiting.pop() {
        let entries = fs::read_dir(&layer).map_err(|e| Error::io(e, "listing", &layer))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(e, "listing", &layer))?;
            let (from, to) = (entry.path(), tree.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&from);
            let metadata = metadata.map_err(|e| Error::io(e, "looking at", &from))?;
            let into = metadata.is_dir()
                && !is_opaque(&from)
                && fs::symlink_metadata(&to).is_ok_and(|below| below.is_dir());
            if into {
                waiting.push((from, to));
                continue;
            }
            crate::temp::remove_tree(&to)?;
            if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
                continue;
            }
            fs::rename(&from, &to).map_err(|error| Error::io(error, "placing", &to))?;
            forget_opaque(&to)?;
        }
        done.push((layer, tree));
    }
    for (layer, tree) in done.iter().rev() {
        let metadata = fs::symlink_metadata(layer);
        let metadata = metadata.map_err(|e| Error::io(e, "looking at", layer))?;
        let owner = (metadata.uid(), metadata.gid());
        copy_metadata(layer, tree, &metadata, owner, (rootless, false))?;
    }
    Ok(())
}

fn is_opaque(path: &Path) -> bool {
    OPAQUE.iter().any(|name| matches!(attribute(path, name), Ok(Some(value)) if value == b"y"))
}

/// Takes the marks of the overlay from a tree that was moved: here they would be files' own.
fn forget_opaque(path: &Path) -> Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
            fs::remove_file(&path).map_err(|error| Error::io(error, "deleting", &path))?;
        }
        if !metadata.is_dir() {
            continue;
        }
        for name in OPAQUE {
            // Most directories have none.
            let _ = rustix::fs::lremovexattr(&path, name);
        }
        let entries = fs::read_dir(&path).map_err(|error| Error::io(error, "listing", &path))?;
        waiting.extend(entries.flatten().map(|entry| entry.path()));
    }
    Ok(())
}
