//! Opening what is below a directory, and telling what it is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Of what a file is made: device and inode.
pub type Identity = (u64, u64);

/// Device and inode of a file.
pub fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// Whether two looks found the same file.
pub fn is_same(one: &Stat, other: &Stat) -> bool {
    identity(one) == identity(other)
}

/// What something is, with its article, for messages: `a symbolic link`.
pub fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "a file of an unknown kind",
    }
}

/// Opens below a directory, through no link at all, and never outside of it.
///
/// # Errors
/// Those of the system; `LOOP` for a link on the way or at the end of it, `XDEV` for a path that
/// leads out.
pub fn open_beneath(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(directory, path, flags, mode, resolve) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Old kernels, and sandboxes that know only old system calls.
            Err(Errno::NOSYS | Errno::PERM) => {
                return open_step_by_step(directory, path, flags, mode);
            }
            result => return result,
        }
    }
}

/// What [`open_beneath`] does, for paths without `..`, by system calls that every kernel has.
fn open_step_by_step(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut parent: Option<OwnedFd> = None;
    let mut rest = path;
    while let Some((name, after)) = rest.split_once('/') {
        let at = parent.as_ref().map_or(directory, AsFd::as_fd);
        parent = Some(rustix::fs::openat(at, plain(name)?, step, Mode::empty())?);
        rest = after;
    }
    let at = parent.as_ref().map_or(directory, AsFd::as_fd);
    rustix::fs::openat(at, plain(rest)?, flags | OFlags::NOFOLLOW, mode)
}

/// A name that stays in its directory.
fn plain(name: &str) -> rustix::io::Result<&str> {
    if matches!(name, "" | "." | "..") { Err(Errno::XDEV) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Open = fn(BorrowedFd<'_>, &str, OFlags, Mode) -> rustix::io::Result<OwnedFd>;

    #[test]
    fn both_ways_to_open_refuse_the_same() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("d")).unwrap();
        std::fs::write(temp.path().join("d/f"), "x").unwrap();
        std::os::unix::fs::symlink("d", temp.path().join("dl")).unwrap();
        std::os::unix::fs::symlink("f", temp.path().join("d/fl")).unwrap();
        let root = std::fs::File::open(temp.path()).unwrap();
        let check = |path: &str, expected: bool| {
            for open in [open_beneath as Open, open_step_by_step as Open] {
                let opened =
                    open(root.as_fd(), path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
                assert_eq!(opened.is_ok(), expected, "{path}: {opened:?}");
            }
        };
        check("d/f", true);
        check("d", true);
        check("d/fl", false);
        check("dl/f", false);
        check("../x", false);
        check("d/../d/../../etc/passwd", false);
        check("/etc/passwd", false);
        check("d/none", false);
    }
}
