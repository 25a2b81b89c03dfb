//! Where a mount goes: found within the root step by step, made where it is missing, removed afterwards.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};

use crate::error::ErrorKind;
use crate::plan::Failure;
use crate::wire::wire_struct;

/// Symbolic links that one path may lead through, as in the kernel.
const MOST_LINKS: u32 = 40;

/// A mount point that was made.
#[derive(Debug)]
pub(super) struct Stub {
    pub(super) parent: OwnedFd,
    pub(super) made: Made,
}

/// What was made, and what its parent looked like before and after.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Made {
    name: Vec<u8>,
    device: u64,
    inode: u64,
    directory: bool,
    before: Times,
    after: Times,
}

wire_struct!(Made { name, device, inode, directory, before, after });

/// Modification and access time of a directory.
#[derive(Clone, Debug, PartialEq)]
struct Times {
    modified: u64,
    modified_nanos: u64,
    accessed: u64,
    accessed_nanos: u64,
}

wire_struct!(Times { modified, modified_nanos, accessed, accessed_nanos });

impl Times {
    fn of(directory: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let found = rustix::fs::statat(directory, "", AtFlags::EMPTY_PATH)?;
        Ok(Self {
            modified: found.st_mtime.cast_unsigned(),
            modified_nanos: found.st_mtime_nsec,
            accessed: found.st_atime.cast_unsigned(),
            accessed_nanos: found.st_atime_nsec,
        })
    }

    fn timestamps(&self) -> Timestamps {
        let time = |seconds: u64, nanos: u64| Timespec {
            tv_sec: seconds.cast_signed(),
            tv_nsec: nanos.cast_signed(),
        };
        Timestamps {
            last_access: time(self.accessed, self.accessed_nanos),
            last_modification: time(self.modified, self.modified_nanos),
        }
    }
}

impl Stub {
    /// Removes the mount point if it is still the one that was made, and empty; then gives its parent the times
    /// that it had, unless others changed it meanwhile.
    ///
    /// The parent is the directory that the mount point was made in, whatever its name leads to by now.
    pub(super) fn remove(&self) {
        let Self { parent, made } = self;
        let name = OsStr::from_bytes(&made.name);
        let Ok(found) = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        let same = (found.st_dev, found.st_ino) == (made.device, made.inode);
        if !same || (!made.directory && found.st_size != 0) {
            return;
        }
        let untouched = Times::of(parent.as_fd()).is_ok_and(|now| {
            (now.modified, now.modified_nanos) == (made.after.modified, made.after.modified_nanos)
        });
        let flags = if made.directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        if rustix::fs::unlinkat(parent, name, flags).is_ok() && untouched {
            // A time that cannot be set back is no reason to fail a process that has ended well.
            let times = made.before.timestamps();
            let _ = rustix::fs::utimensat(parent, ".", &times, AtFlags::empty());
        }
    }
}

/// What stands at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Directory,
    File,
}

/// Finds `path` within `root`, and makes what is missing of it.
///
/// Every step opens one name in a directory that is held, without following it; links are read and walked by
/// ourselves, and `..` goes back along the directories that led here. So no step can leave `root`, whoever
/// changes it meanwhile.
pub(super) fn find_or_make(
    root: BorrowedFd<'_>,
    path: &[u8],
    want: Want,
    stubs: &mut Vec<Stub>,
) -> Result<OwnedFd, Failure> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    let failed = |error| Failure::io(error, "find the mount point", shown());
    let mut left = parts(path);
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut here = root.try_clone_to_owned().map_err(failed)?;
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == b".." {
            if let Some(parent) = above.pop() {
                here = parent;
            }
            continue;
        }
        let next = match step(here.as_fd(), &name) {
            Ok(next) => next,
            Err(rustix::io::Errno::NOENT) => {
                let last = left.is_empty() && want == Want::File;
                make(here.as_fd(), &name, !last, stubs)
                    .map_err(|error| Failure::io(error, "make the mount point", shown()))?
            }
            Err(error) => return Err(failed(error.into())),
        };
        let kind = rustix::fs::fstat(&next).map(|found| FileType::from_raw_mode(found.st_mode));
        if kind.map_err(|error| failed(error.into()))? != FileType::Symlink {
            above.push(std::mem::replace(&mut here, next));
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(failed(rustix::io::Errno::LOOP.into()));
        }
        let link =
            rustix::fs::readlinkat(&next, "", Vec::new()).map_err(|error| failed(error.into()))?;
        if link.as_bytes().first() == Some(&b'/') {
            above.clear();
            here = root.try_clone_to_owned().map_err(failed)?;
        }
        left.extend(parts(link.as_bytes()));
    }
    check_kind(&here, want, path)?;
    Ok(here)
}

/// The names of a path, the last one first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').rev();
    names.filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec).collect()
}

fn step(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, OsStr::from_bytes(name), flags, Mode::empty(), resolve)
}

fn make(
    parent: BorrowedFd<'_>,
    name: &[u8],
    directory: bool,
    stubs: &mut Vec<Stub>,
) -> std::io::Result<OwnedFd> {
    let before = Times::of(parent)?;
    let text = OsStr::from_bytes(name);
    if directory {
        rustix::fs::mkdirat(parent, text, Mode::from_raw_mode(0o755))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(parent, text, flags | OFlags::WRONLY, Mode::from_raw_mode(0o644))?;
    }
    let made = step(parent, name)?;
    let found = rustix::fs::fstat(&made)?;
    let parent = parent.try_clone_to_owned()?;
    let made_at = Made {
        name: name.to_vec(),
        device: found.st_dev,
        inode: found.st_ino,
        directory,
        before,
        after: Times::of(parent.as_fd())?,
    };
    stubs.push(Stub { parent, made: made_at });
    Ok(made)
}

/// A directory is mounted on a directory and a file on a file, and neither on the root itself nor in `/proc`.
fn check_kind(found: &OwnedFd, want: Want, path: &[u8]) -> Result<(), Failure> {
    let shown = String::from_utf8_lossy(path);
    let failed = |error| Failure::io(error, "find the mount point", &shown);
    let kind = FileType::from_raw_mode(rustix::fs::fstat(found).map_err(failed)?.st_mode);
    let refusal = match want {
        Want::Directory if kind != FileType::Directory => "a directory is to be mounted on a file",
        Want::File if kind == FileType::Directory => "a file is to be mounted on a directory",
        _ => return Ok(()),
    };
    Err(Failure::new(ErrorKind::InvalidSpec, "mount on", shown).with_detail(refusal))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::Path;

    use super::*;

    fn find(root: &Path, path: &str, want: Want) -> Result<(OwnedFd, Vec<Stub>), Failure> {
        let mut stubs = Vec::new();
        let root = File::open(root).unwrap();
        let found = find_or_make(root.as_fd(), path.as_bytes(), want, &mut stubs)?;
        Ok((found, stubs))
    }

    fn inode(found: &OwnedFd) -> u64 {
        rustix::fs::fstat(found).unwrap().st_ino
    }

    #[test]
    fn links_and_parents_stay_within_the_root() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(place.path().join("outside")).unwrap();
        symlink("/a/b", root.join("absolute")).unwrap();
        symlink("../../../../a/b", root.join("a/up")).unwrap();
        symlink("absolute", root.join("chained")).unwrap();
        symlink("/../outside", root.join("escape")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let inside = fs::metadata(root.join("a/b")).unwrap().ino();
        for path in ["/a/b", "absolute", "a/up", "chained", "/../a/../../a//b/.", "chained/../b"] {
            assert_eq!(inode(&find(&root, path, Want::Directory).unwrap().0), inside, "{path}");
        }
        // What leads out of the root is made within it.
        let (made, stubs) = find(&root, "escape/x", Want::File).unwrap();
        assert_eq!(inode(&made), fs::metadata(root.join("outside/x")).unwrap().ino());
        assert!(fs::read_dir(place.path().join("outside")).unwrap().next().is_none());
        assert_eq!(stubs.len(), 2);
        assert_eq!(find(&root, "loop", Want::File).unwrap_err().errno, libc::ELOOP);
    }

    #[test]
    fn files_and_directories_are_not_confused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("directory")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        assert!(find(root.path(), "directory", Want::File).is_err());
        assert!(find(root.path(), "file", Want::Directory).is_err());
        assert!(find(root.path(), "file/below", Want::Directory).is_err());
    }

    #[test]
    fn what_was_made_is_removed_without_a_trace() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let before = fs::metadata(root.path().join("etc")).unwrap();
        let (_, stubs) = find(root.path(), "etc/deep/er/file", Want::File).unwrap();
        assert!(root.path().join("etc/deep/er/file").exists());
        stubs.iter().rev().for_each(Stub::remove);
        let after = fs::metadata(root.path().join("etc")).unwrap();
        assert!(fs::read_dir(root.path().join("etc")).unwrap().next().is_none());
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    }

    #[test]
    fn what_others_filled_or_replaced_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let (_, mut stubs) = find(root.path(), "filled", Want::Directory).unwrap();
        stubs.append(&mut find(root.path(), "written", Want::File).unwrap().1);
        stubs.append(&mut find(root.path(), "replaced", Want::File).unwrap().1);
        fs::write(path("filled/by-the-process"), "").unwrap();
        fs::write(path("written"), "bytes").unwrap();
        fs::write(path("new"), "").unwrap();
        fs::rename(path("new"), path("replaced")).unwrap();
        stubs.iter().rev().for_each(Stub::remove);
        assert!(path("filled/by-the-process").exists());
        assert!(path("written").exists() && path("replaced").exists());
    }

    #[test]
    fn cve_2024_23652_a_parent_replaced_by_a_link_leads_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        let sentinel = place.path().join("outside");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir(&sentinel).unwrap();
        fs::write(sentinel.join("stub"), "").unwrap();
        let (_, stubs) = find(&root, "parent/stub", Want::File).unwrap();
        fs::rename(root.join("parent"), root.join("moved")).unwrap();
        symlink(&sentinel, root.join("parent")).unwrap();
        stubs.iter().rev().for_each(Stub::remove);
        assert!(sentinel.join("stub").exists());
        assert!(!root.join("moved/stub").exists());
    }
}
