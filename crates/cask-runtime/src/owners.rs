//! Giving all files of a directory to a user.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::Path;

use cask_rootfs::{Directory, ErrorKind as Rootfs, Order, Root};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

use crate::error::{Error, ErrorKind, Result};

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

/// Gives a file, or a directory with all in it, to a user and a group, by their numbers on this machine: what
/// the option `U` of volumes asks for. `shown` is for messages.
///
/// Links are given away themselves, and nothing is reached through them: who writes to the directory meanwhile cannot
/// have files elsewhere given away. What is that user's already stays untouched, so that its modes do. What goes
/// meanwhile is no error.
///
/// # Errors
/// `InvalidSpec` for directories that the machine needs; `Denied` where the owner may not be changed; `Io`.
pub fn give_files(opened: BorrowedFd<'_>, shown: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    check(opened, shown, (uid, gid))?;
    let failed =
        |error: rustix::io::Errno| Error::io(error, "change the owner of", shown.display());
    let found = rustix::fs::fstat(opened).map_err(failed)?;
    if (found.st_uid, found.st_gid) != (uid, gid) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(opened, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .map_err(failed)?;
    }
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let again = rustix::fs::openat(opened, ".", flags, Mode::empty()).map_err(failed)?;
    let root = Root::from_fd(again, shown).and_then(|root| root.directory(""));
    all_in(&root.map_err(|error| of_rootfs(error, shown))?, (uid, gid), 0)
}

/// Refuses to give away what this machine needs. The words are podman's.
fn check(opened: BorrowedFd<'_>, shown: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    // What was opened, whatever the name leads to by now.
    let link = format!("/proc/self/fd/{}", opened.as_raw_fd());
    let real =
        std::fs::read_link(&link).map_err(|error| Error::io(error, "look at", shown.display()))?;
    if !KEPT.iter().any(|kept| real == Path::new(kept)) {
        return Ok(());
    }
    let path = real.display();
    let words = format!("{path:?} is not allowed. You can manually `chown -R {uid}:{gid} {path}`");
    Err(Error::new(ErrorKind::InvalidSpec, "chowning host path", words))
}

fn of_rootfs(error: cask_rootfs::Error, shown: &Path) -> Error {
    let kind = match error.kind() {
        Rootfs::Denied => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, "change the owners in", shown.display()).with_source(error)
}

fn all_in(directory: &Directory, owner: (u32, u32), depth: usize) -> Result<()> {
    let failed = |error| of_rootfs(error, directory.path());
    if depth > DEEPEST {
        let path = directory.path().display();
        return Err(Error::new(ErrorKind::InvalidSpec, "change the owners in", path)
            .with_detail("directories are nested too deeply"));
    }
    for entry in directory.entries(Order::Any).map_err(failed)? {
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
            Err(error) => return Err(failed(error)),
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
        give_files(opened.as_fd(), &path("in"), (7, 8)).unwrap();
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
            let error = give_files(opened.as_fd(), Path::new(kept), (7, 8)).unwrap_err();
            assert!(error.to_string().starts_with("chowning host path \"/"), "{error}");
        }
        let opened = File::open(path("out/file")).unwrap();
        give_files(opened.as_fd(), &path("out/file"), (7, 8)).unwrap();
        assert_eq!(owner("out/file"), (7, 8));
    }
}
