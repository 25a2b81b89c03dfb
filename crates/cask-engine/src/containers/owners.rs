//! Giving all files of a directory to a user.

use std::os::fd::BorrowedFd;
use std::path::Path;

use cask_rootfs::{Directory, ErrorKind as Rootfs, Order, Root};
use rustix::fs::{AtFlags, FileType, Gid, Uid};

use super::record::io;
use crate::{Error, ErrorKind, Result};

/// Directories in one another, at most.
const DEEPEST: usize = 512;

/// Directories of a machine that are nobody's to give away.
///
/// Source: containers/common, `pkg/chown`, `DangerousHostPath`.
const KEPT: [&str; 23] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
];

/// Refuses to give away what this machine needs. The words are podman's.
fn check(opened: BorrowedFd<'_>, shown: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    // What was opened, whatever the name leads to by now.
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened));
    let real = std::fs::read_link(&link).map_err(|error| io(error, "looking at", shown))?;
    if !KEPT.iter().any(|kept| real == Path::new(kept)) {
        return Ok(());
    }
    let path = real.display();
    let words = format!(
        "chowning host path {path:?} is not allowed. You can manually `chown -R {uid}:{gid} {path}`"
    );
    Err(Error::new(ErrorKind::Invalid, words, ""))
}

/// Gives a file, or a directory with all in it, to a user and a group.
///
/// Links are given away themselves, and nothing is reached through them: who writes to the directory meanwhile cannot
/// have files elsewhere given away. What is there already stays untouched, so that its modes do. What goes meanwhile
/// is no error.
pub(super) fn give(opened: BorrowedFd<'_>, shown: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    check(opened, shown, (uid, gid))?;
    let failed = |error: rustix::io::Errno| io(error.into(), "changing the owner of", shown);
    let found = rustix::fs::fstat(opened).map_err(failed)?;
    if (found.st_uid, found.st_gid) != (uid, gid) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(opened, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .map_err(failed)?;
    }
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(());
    }
    let again = rustix::fs::openat(
        opened,
        ".",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let root = Root::from_fd(again.map_err(failed)?, shown)?;
    all_in(&root.directory("")?, (uid, gid), 0)
}

fn all_in(directory: &Directory, owner: (u32, u32), depth: usize) -> Result<()> {
    if depth > DEEPEST {
        let why = "directories are nested too deeply";
        return Err(Error::new(ErrorKind::Invalid, directory.path().display(), why));
    }
    for entry in directory.entries(Order::Any)? {
        let name = &entry.name;
        let given = directory.metadata(name).and_then(|found| {
            if (found.uid, found.gid) != owner {
                directory.set_owner(name, owner.0, owner.1)?;
            }
            match found.is_directory() {
                true => directory.open_dir(name).map(Some),
                false => Ok(None),
            }
        });
        match given {
            Ok(Some(below)) => all_in(&below, owner, depth + 1)?,
            Ok(None) => {}
            Err(error) if error.kind() == Rootfs::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn everything_is_given_and_nothing_through_links() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("in/deep")).unwrap();
        fs::create_dir(path("out")).unwrap();
        fs::write(path("out/file"), "").unwrap();
        fs::write(path("in/deep/file"), "").unwrap();
        symlink(path("out"), path("in/directory")).unwrap();
        symlink("../out/file", path("in/file")).unwrap();
        let opened = File::open(path("in")).unwrap();
        give(opened.as_fd(), &path("in"), (7, 8)).unwrap();
        let owner = |name: &str| {
            let found = fs::symlink_metadata(path(name)).unwrap();
            (found.uid(), found.gid())
        };
        for given in ["in", "in/deep", "in/deep/file", "in/directory", "in/file"] {
            assert_eq!(owner(given), (7, 8), "{given}");
        }
        for kept in ["out", "out/file"] {
            assert_eq!(owner(kept), (0, 0), "{kept}");
        }
        for kept in ["/etc", "/proc/self/root", "/usr"] {
            let opened = File::open(kept).unwrap();
            let error = give(opened.as_fd(), Path::new(kept), (7, 8)).unwrap_err();
            assert!(error.to_string().starts_with("chowning host path \"/"), "{error}");
        }
        let opened = File::open(path("out/file")).unwrap();
        give(opened.as_fd(), &path("out/file"), (7, 8)).unwrap();
        assert_eq!(owner("out/file"), (7, 8));
    }
}
