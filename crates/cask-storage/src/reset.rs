//! Taking a whole store away, in whatever state it is.
//!
//! What goes is what containers-storage, podman, buildah and these programs make in a store, by its names. Whoever
//! named the wrong directory, or keeps something else in there, still has that afterwards.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::driver::overlay_mount::detach;
use crate::file::is_missing;
use crate::mount_points::is_mounted;
use crate::temp::remove_tree;
use crate::{Error, ErrorKind, Result, Store, StoreOptions};

/// The drivers that a store may have files of, known here or not.
const DRIVERS: [&str; 7] = ["overlay", "overlay2", "vfs", "btrfs", "zfs", "aufs", "devicemapper"];
/// What a driver's name may be followed by.
const KINDS: [&str; 5] = ["", "-layers", "-images", "-containers", "-locks"];
/// What else there is in a graph root.
///
/// Source: containers/storage, `store.go`; podman, `libpod/options.go` and `pkg/domain/infra`; containers/common,
/// `pkg/config/default.go`.
const IN_GRAPH_ROOT: [&str; 14] = [
    "storage.lock",
    "userns.lock",
    "defaultNetworkBackend",
    "db.sql",
    "db.sql-shm",
    "db.sql-wal",
    "libpod",
    "volumes",
    "secrets",
    "networks",
    "artifacts",
    "cache",
    "tmp",
    "cask",
];
/// What else there is in a run root.
const IN_RUN_ROOT: [&str; 5] = ["libpod", "networks", "secrets", "storage.lock", "cask"];

/// What is left of a store that was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reset {
    /// What is not a store's, and stays.
    pub foreign: Vec<PathBuf>,
}

impl StoreOptions {
    /// Refuses directories that cannot be a store's alone: those at the top of the file system, and those that hold one
    /// of `precious`, such as the user's home directory.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`].
    pub fn check_reset(&self, precious: &[PathBuf]) -> Result<()> {
        let precious: Vec<PathBuf> = precious.iter().map(|path| whole(path)).collect();
        for root in self.own_roots() {
            let real = whole(root);
            let depth = real.components().filter(|part| matches!(part, Component::Normal(_)));
            let held = precious.iter().find(|path| path.starts_with(&real));
            let why = match held {
                _ if depth.count() < 2 => "it is a directory of the whole system".to_owned(),
                Some(held) => format!("{} is in it", held.display()),
                None => continue,
            };
            return Err(Error::new(ErrorKind::Denied, "resetting the store", root.display())
                .with_detail(why)
                .with_hint(
                    "remove its containers and images with rm --all --force and rmi --all",
                ));
        }
        Ok(())
    }

    /// Takes away everything that is in the store: containers, images, volumes, and what programs keep beside them.
    /// A store that cannot be read goes like every other; nothing of it may run or be in use.
    ///
    /// What is mounted in the directories of drivers and containers is unmounted. Other mounts are emptied where a
    /// store has such a directory, and nothing else on them is touched. Stores that can only be read stay.
    ///
    /// # Errors
    /// As [`check_reset`](Self::check_reset), with nothing precious; [`ErrorKind::Locked`] where somebody works on it;
    /// [`ErrorKind::InUse`] for what is mounted and is not the store's; [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    /// What could be removed is gone then.
    pub fn reset(&self) -> Result<Reset> {
        self.check_reset(&[])?;
        let store = Store::open(self.clone()).ok();
        // Somebody may be about to write what is removed.
        let held = match store.as_ref().map(|store| store.inner.hold_all()) {
            Some(Err(error)) if error.kind() == ErrorKind::Locked => return Err(error),
            Some(held) => held.ok(),
            None => None,
        };
        let mut left = Reset::default();
        let mut failed = None;
        for root in self.own_roots() {
            let names: &[&str] = if *root == self.run_root { &IN_RUN_ROOT } else { &IN_GRAPH_ROOT };
            if let Err(error) = clear(root, names, &mut left) {
                failed.get_or_insert(error);
            }
        }
        drop(held);
        failed.map_or(Ok(left), Err)
    }

    /// The directories that are this store's own.
    fn own_roots(&self) -> Vec<&PathBuf> {
        let mut roots = vec![&self.graph_root];
        roots.extend(self.image_store.as_ref());
        roots.push(&self.run_root);
        roots
    }
}

/// A path without links, as far as it is there.
fn whole(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    for above in path.ancestors() {
        if let Ok(real) = fs::canonicalize(above) {
            return rest.iter().rev().fold(real, |path, name| path.join(name));
        }
        rest.extend(above.file_name());
    }
    path.to_owned()
}

/// Removes what has one of these names, and the directory too if nothing else is in it.
fn clear(root: &Path, names: &[&str], left: &mut Reset) -> Result<()> {
    // Mounts are listed without links.
    let root = &whole(root);
    let entries = match fs::read_dir(root) {
        Err(error) if is_missing(&error) => return Ok(()),
        entries => entries.map_err(|error| Error::io(error, "listing", root))?,
    };
    let of_driver =
        |name: &str| DRIVERS.iter().any(|driver| name.strip_prefix(driver).is_some_and(is_kind));
    let mut failed = None;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (name, path) = (name.to_string_lossy(), entry.path());
        let removed = match () {
            () if of_driver(&name) => unmount_below(&path).and_then(|()| remove(&path)),
            () if name == "volumes" || name == "cask" || name == "networks" => {
                unmount_below(&path).and_then(|()| remove(&path))
            }
            () if names.contains(&&*name) => remove(&path),
            () => {
                left.foreign.push(path);
                Ok(())
            }
        };
        if let Err(error) = removed {
            failed.get_or_insert(error);
        }
    }
    // One that has something in it, or is mounted, stays.
    let _ = fs::remove_dir(root);
    failed.map_or(Ok(()), Err)
}

fn is_kind(rest: &str) -> bool {
    KINDS.contains(&rest)
}

/// Takes away the mounts below a directory, the innermost first, and those on itself that show nothing but itself, as
/// peers mount the directory of a driver.
fn unmount_below(directory: &Path) -> Result<()> {
    let mounts = Mounts::read()?;
    for point in mounts.below(directory) {
        detach(point)?;
    }
    for _ in mounts.bound_to_itself(directory) {
        detach(directory)?;
    }
    Ok(())
}

/// Removes a file or a directory; a mount is emptied and stays, and what has another one in it is not touched.
fn remove(path: &Path) -> Result<()> {
    if let Some(point) = Mounts::read()?.below(path).next() {
        return Err(Error::new(ErrorKind::InUse, "deleting", path.display())
            .with_detail(format!("{} is mounted in it", point.display()))
            .with_hint(format!("unmount it with umount {}", point.display())));
    }
    if !is_mounted(path) {
        return remove_tree(path);
    }
    let entries = fs::read_dir(path).map_err(|error| Error::io(error, "listing", path))?;
    entries.flatten().try_for_each(|entry| remove_tree(&entry.path()))
}

/// What is mounted where, in the order of mounting.
struct Mounts(Vec<Mount>);

struct Mount {
    /// The part of its file system that is shown.
    root: PathBuf,
    point: PathBuf,
}

impl Mounts {
    /// Source: proc_pid_mountinfo(5).
    fn read() -> Result<Self> {
        let path = Path::new("/proc/self/mountinfo");
        let text = fs::read(path).map_err(|error| Error::io(error, "reading", path))?;
        let one = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == b' ').skip(3);
            let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
            Some(Mount { root, point })
        };
        Ok(Self(text.split(|byte| *byte == b'\n').filter_map(one).collect()))
    }

    fn below(&self, directory: &Path) -> impl Iterator<Item = &Path> {
        let points = self.0.iter().rev().map(|mount| &*mount.point);
        points.filter(move |point| point.starts_with(directory) && *point != directory)
    }

    /// The mounts of a directory on itself. A disk that somebody mounted there is another device, or another directory
    /// of this one.
    fn bound_to_itself(&self, directory: &Path) -> impl Iterator<Item = &Mount> {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let same = directory.parent().is_some_and(|above| device(above) == device(directory));
        let shows_it = |mount: &Mount| {
            let root = mount.root.strip_prefix("/").unwrap_or(&mount.root);
            root.file_name().is_some() && directory.ends_with(root)
        };
        self.0.iter().filter(move |mount| same && mount.point == directory && shows_it(mount))
    }
}

/// Spaces and the like are octal numbers in there.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_store_s_stays() {
        let place = tempfile::tempdir().unwrap();
        let (graph, run) = (place.path().join("graph"), place.path().join("run"));
        let options = StoreOptions::new(&graph, &run);
        drop(Store::open(options.clone()).unwrap());
        for directory in
            ["volumes/a/_data", "cask/containers", "libpod", "overlay-images/x", "vfs/dir"]
        {
            fs::create_dir_all(graph.join(directory)).unwrap();
        }
        fs::write(graph.join("overlay-images/images.json"), "{").unwrap();
        fs::write(graph.join("db.sql"), "").unwrap();
        fs::write(graph.join("letters.txt"), "dear").unwrap();
        fs::create_dir(graph.join("overlay-notes")).unwrap();
        let mut foreign = options.reset().unwrap().foreign;
        foreign.sort();
        let real = fs::canonicalize(&graph).unwrap();
        assert_eq!(foreign, [real.join("letters.txt"), real.join("overlay-notes")]);
        assert_eq!(fs::read_dir(&graph).unwrap().count(), 2);
        assert!(!run.exists());
        // Once more: nothing is there.
        fs::remove_dir_all(&graph).unwrap();
        assert_eq!(options.reset().unwrap(), Reset::default());
        assert!(!graph.exists() && !run.exists());
    }

    #[test]
    fn a_link_in_a_store_leads_to_nothing_that_goes() {
        let place = tempfile::tempdir().unwrap();
        let (graph, run, other) =
            (place.path().join("graph"), place.path().join("run"), place.path().join("other"));
        fs::create_dir_all(other.join("kept")).unwrap();
        fs::create_dir_all(&graph).unwrap();
        std::os::unix::fs::symlink(&other, graph.join("volumes")).unwrap();
        StoreOptions::new(&graph, &run).reset().unwrap();
        assert!(other.join("kept").is_dir() && !graph.exists());
    }

    #[test]
    fn directories_of_the_system_and_those_above_what_is_precious_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::symlink("/", place.path().join("link")).unwrap();
        let check = |graph: &Path, run: &Path, refused: bool| {
            let found = StoreOptions::new(graph, run).check_reset(&[home.join("new")]);
            assert_eq!(found.is_err(), refused, "{graph:?} {run:?}");
        };
        let good = place.path().join("store");
        check(&good, &good, false);
        check(&home.join("other"), &good, false);
        for bad in ["/", "/etc", "/var", "/nosuch", "/.."].map(Path::new) {
            check(bad, &good, true);
            check(&good, bad, true);
        }
        check(&place.path().join("link"), &good, true);
        check(&home, &good, true);
        check(&good, place.path(), true);
        check(&home.join("new"), &good, true);
    }

    #[test]
    fn names_in_the_list_of_mounts_may_have_spaces() {
        assert_eq!(unescaped(br"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescaped(br"/a\04"), Path::new(r"/a\04"));
    }
}
