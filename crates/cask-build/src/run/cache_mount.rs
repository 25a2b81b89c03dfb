//! Directories that last from build to build.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cask_containerfile::instruction::Sharing;
use cask_runtime::Cancel;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::key::key_of;
use crate::{Error, ErrorKind, Result};

/// How often it is looked whether a cache that others have locked is free.
const PATIENCE: Duration = Duration::from_millis(20);

/// The most caches of one name that builds have for themselves at the same time.
const MAX_PRIVATE: usize = 1024;

/// Which cache a mount means, and how it is to be.
#[derive(Clone, Debug)]
pub(crate) struct CacheRequest<'a> {
    /// Parts of caches that have nothing to do with each other.
    pub(crate) namespace: &'a str,
    /// Its name: any text.
    pub(crate) id: &'a str,
    pub(crate) sharing: Sharing,
    pub(crate) owner: (u32, u32),
    pub(crate) mode: u32,
}

/// A cache that a command has; it is free for others when this is dropped.
#[derive(Debug)]
pub(crate) struct CacheMount {
    pub(crate) directory: OwnedFd,
    _lock: File,
}

/// Opens a cache below `root`, and makes it where it does not exist; `fill` gives a new one what it
/// begins with.
///
/// The name never becomes a path: the directory is called by its digest, together with the owner,
/// so that one that belongs to another user is another one.
///
/// Source: buildah, `GetCacheMount`.
pub(crate) fn open(
    root: &Path,
    request: &CacheRequest<'_>,
    cancel: &Cancel,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<CacheMount> {
    let owner = format!("{}:{}", request.owner.0, request.owner.1);
    let name = |number: usize| {
        let number = number.to_string();
        let texts = [request.namespace, request.id, &owner, &number];
        root.join(key_of("cache mount", &texts).as_str())
    };
    crate::cache::make_directory(root)?;
    let (place, lock) = match request.sharing {
        Sharing::Private => private(name)?,
        Sharing::Locked => {
            let place = name(0);
            let lock = lock_file(&place)?;
            wait_for(&lock, FlockOperation::NonBlockingLockExclusive, cancel, &place)?;
            (place, lock)
        }
        _ => {
            let place = name(0);
            let lock = lock_file(&place)?;
            wait_for(&lock, FlockOperation::NonBlockingLockShared, cancel, &place)?;
            (place, lock)
        }
    };
    let data = place.join("data");
    if !data.is_dir() {
        make(&place, &data, request, fill)?;
    }
    let info = place.join("info");
    fs::write(&info, request.id).map_err(|error| Error::io(error, "cannot be written", &info))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(&data, flags, Mode::empty())
        .map_err(|error| Error::io(error, "cannot be opened", &data))?;
    Ok(CacheMount { directory, _lock: lock })
}

/// The first cache of a name that nobody has.
fn private(name: impl Fn(usize) -> PathBuf) -> Result<(PathBuf, File)> {
    for number in 0..MAX_PRIVATE {
        let place = name(number);
        let lock = lock_file(&place)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok((place, lock)),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(Error::io(error, "cannot be locked", &place)),
        }
    }
    let detail = format!("{MAX_PRIVATE} builds have caches of this name");
    Err(Error::new(ErrorKind::Limit, "a private cache", detail))
}

fn lock_file(place: &Path) -> Result<File> {
    loop {
        crate::cache::make_directory(place)?;
        let path = place.join("lock");
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).mode(0o600).open(&path);
        match opened {
            // Whoever deletes caches was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            opened => return opened.map_err(|error| Error::io(error, "cannot be opened", &path)),
        }
    }
}

fn wait_for(lock: &File, how: FlockOperation, cancel: &Cancel, place: &Path) -> Result<()> {
    loop {
        match flock(lock, how) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if cancel.is_cancelled() => {
                return Err(Error::new(ErrorKind::Cancelled, "the build", "it was stopped"));
            }
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PATIENCE),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Error::io(error, "cannot be locked", place)),
        }
    }
}

/// Makes a cache aside, and gives it its place; of several who do so one wins.
fn make(
    place: &Path,
    data: &Path,
    request: &CacheRequest<'_>,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(error, "cannot be made", data);
    let unique = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let unique = unique.map_or(0, |time| time.as_nanos());
    let id = std::thread::current().id();
    let aside = place.join(format!("new-{}-{id:?}-{unique}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&aside).map_err(failed)?;
    let filled = fill(&aside).and_then(|()| {
        if request.owner != (0, 0) {
            lchown(&aside, Some(request.owner.0), Some(request.owner.1)).map_err(failed)?;
        }
        fs::set_permissions(&aside, fs::Permissions::from_mode(request.mode)).map_err(failed)
    });
    let placed = filled.and_then(|()| match fs::rename(&aside, data) {
        Err(_) if data.is_dir() => fs::remove_dir_all(&aside).map_err(failed),
        placed => placed.map_err(failed),
    });
    if placed.is_err() {
        let _ = fs::remove_dir_all(&aside);
    }
    placed
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn request(id: &str, sharing: Sharing) -> CacheRequest<'_> {
        CacheRequest { namespace: "", id, sharing, owner: (0, 0), mode: 0o755 }
    }

    fn inode(mount: &CacheMount) -> u64 {
        rustix::fs::fstat(&mount.directory).unwrap().st_ino
    }

    #[test]
    fn cve_2024_9675_the_name_of_a_cache_is_never_a_path() {
        let state = tempfile::tempdir().unwrap();
        let root = state.path().join("mounts");
        let cancel = Cancel::new().unwrap();
        let long = "x".repeat(4096);
        for id in ["../../../etc", "/etc", "..", "", ".", "a\0b", &long, "a/../../b"] {
            open(&root, &request(id, Sharing::Shared), &cancel, |_| Ok(())).unwrap();
        }
        let outside: Vec<_> = fs::read_dir(state.path()).unwrap().collect();
        assert_eq!(outside.len(), 1);
        for entry in fs::read_dir(&root).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        }
    }

    #[test]
    fn caches_are_shared_locked_or_private() {
        let root = tempfile::tempdir().unwrap();
        let cancel = Cancel::new().unwrap();
        let get =
            |sharing| open(root.path(), &request("go", sharing), &cancel, |_| Ok(())).unwrap();
        let (one, two) = (get(Sharing::Shared), get(Sharing::Shared));
        assert_eq!(inode(&one), inode(&two));
        let first = inode(&one);
        drop((one, two));
        // What other tests start at this moment holds the locks too, until it is the program that it becomes.
        let mut private = get(Sharing::Private);
        for _ in 0..500 {
            if inode(&private) == first {
                break;
            }
            std::thread::sleep(PATIENCE);
            private = get(Sharing::Private);
        }
        assert_eq!(inode(&private), first);
        let other = get(Sharing::Private);
        assert_ne!(inode(&other), first);
        drop((private, other));
        let locked = get(Sharing::Locked);
        assert_eq!(inode(&locked), first);
        // Who is stopped does not wait for ever.
        let stopped = Cancel::new().unwrap();
        stopped.cancel();
        let request = request("go", Sharing::Locked);
        let error = open(root.path(), &request, &stopped, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_new_cache_is_filled_once_and_owners_have_their_own() {
        let root = tempfile::tempdir().unwrap();
        let cancel = Cancel::new().unwrap();
        let fill = |path: &Path| {
            fs::write(path.join("begin"), "x").map_err(|e| Error::io(e, "cannot be written", path))
        };
        let mut wanted = request("x", Sharing::Shared);
        wanted.mode = 0o1777;
        let mount = open(root.path(), &wanted, &cancel, fill).unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&mount.directory));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o1777);
        assert!(Path::new(&path).join("begin").exists());
        let refuse = |_: &Path| panic!("it is there already");
        open(root.path(), &wanted, &cancel, refuse).unwrap();
        for (namespace, owner) in [("", (0, 7)), ("", (7, 0)), ("another", (0, 0))] {
            let mut wanted = wanted.clone();
            (wanted.namespace, wanted.owner) = (namespace, owner);
            if owner == (0, 0) || rustix::process::geteuid().is_root() {
                let own = open(root.path(), &wanted, &cancel, |_| Ok(())).unwrap();
                assert_ne!(inode(&own), inode(&mount), "{namespace} {owner:?}");
            }
        }
        let broken = |_: &Path| Err(Error::new(ErrorKind::Io, "x", "y"));
        wanted.id = "other";
        assert!(open(root.path(), &wanted, &cancel, broken).is_err());
        let left = walk(root.path());
        assert!(left.iter().all(|path| !path.contains("new-")), "{left:?}");
    }

    fn walk(directory: &Path) -> Vec<String> {
        let mut all = Vec::new();
        for entry in fs::read_dir(directory).unwrap().flatten() {
            all.push(entry.path().display().to_string());
            if entry.path().is_dir() {
                all.extend(walk(&entry.path()));
            }
        }
        all
    }
}
