//! Copies of trees. Whoever writes to one meanwhile leads the copy nowhere outside of it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use cask_rootfs::{Directory, Kind, Metadata, Order, Parents, Root};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::{Error, ErrorKind, Result};

/// The attributes by which the overlay marks an opaque directory.
pub(super) const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Copies a tree: files (sharing their blocks where the file system can), owners, modes, times,
/// attributes, devices, and which names are the same file.
pub(crate) fn tree(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    Copy::new(rootless).all(from, to)
}

/// Copies a tree as [`tree`] does, to whom its owners are mapped. Who is in no range stays who that is.
pub(crate) fn mapped(
    from: &Path,
    to: &Path,
    rootless: bool,
    owners: impl Fn(u32, u32) -> (u32, u32) + 'static,
) -> Result<()> {
    Copy { owners: Some(Box::new(owners)), ..Copy::new(rootless) }.all(from, to)
}

/// Copies a tree as [`tree`] does, with what marks directories opaque and files deleted for the overlay.
pub(crate) fn upper(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    Copy { keeps_marks: true, ..Copy::new(rootless) }.all(from, to)
}

/// Makes a tree whose files are those of another one, by other names; directories are copied, with
/// the attributes that mark them opaque. A file that cannot have another name is copied too.
pub(crate) fn linked(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    Copy { links: true, keeps_marks: true, ..Copy::new(rootless) }.all(from, to)
}

/// Copies a tree to which somebody may be writing: what goes meanwhile is as if it had never been.
pub(crate) fn living(from: &Path, to: &Path, rootless: bool, keeps_marks: bool) -> Result<()> {
    Copy { lives: true, keeps_marks, ..Copy::new(rootless) }.all(from, to)
}

/// Gives a directory what is known of another, but for what marks it opaque.
pub(super) fn directory_facts(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    let copy = Copy::new(rootless);
    let failed = |error| of_source(error, from);
    let directory = Root::open(from).and_then(|root| root.directory("")).map_err(failed)?;
    copy.set(to, &copy.own_facts(&directory).map_err(failed)?)
}

struct Copy {
    /// Files with several names, by device and inode.
    seen: HashMap<(u64, u64), PathBuf>,
    rootless: bool,
    links: bool,
    /// Whether what marks directories opaque stays.
    keeps_marks: bool,
    /// Whether somebody may be writing to it.
    lives: bool,
    /// Whom what belongs to a user and a group gets to belong to.
    owners: Option<Owners>,
}

/// Another user and another group for each.
type Owners = Box<dyn Fn(u32, u32) -> (u32, u32)>;

/// Names and values of extended attributes.
type Attributes = Vec<(OsString, Vec<u8>)>;

/// What is known of a file besides its content.
struct Facts {
    metadata: Metadata,
    attributes: Attributes,
}

impl Copy {
    fn new(rootless: bool) -> Self {
        Self {
            seen: HashMap::new(),
            rootless,
            links: false,
            keeps_marks: false,
            lives: false,
            owners: None,
        }
    }

    fn all(mut self, from: &Path, to: &Path) -> Result<()> {
        let root = Root::open(from).map_err(|error| of_source(error, from))?;
        let mut parents = Parents::new(&root);
        // Directories are waited for in a list: a tree may be deeper than the stack.
        let mut waiting = vec![(PathBuf::new(), to.to_owned())];
        let mut done = Vec::new();
        while let Some((path, to)) = waiting.pop() {
            let shown = from.join(&path);
            let failed = |error| of_source(error, &shown);
            let opened = parents.directory(&path);
            let Some(directory) = self.unless_gone(opened).map_err(failed)? else { continue };
            fs::create_dir(&to).map_err(|error| Error::io(error, "making the directory", &to))?;
            let entries = self.unless_gone(directory.entries(Order::Any)).map_err(failed)?;
            for entry in entries.unwrap_or_default() {
                let (to, name) = (to.join(&entry.name), entry.name);
                let shown = shown.join(&name);
                let failed = |error| of_source(error, &shown);
                let found = self.unless_gone(directory.metadata(&name)).map_err(failed)?;
                match found {
                    None => {}
                    Some(found) if found.is_directory() => waiting.push((path.join(&name), to)),
                    Some(found) => {
                        self.entry(directory, &name, found, &to).map_err(|error| match error {
                            Failure::Source(error) => of_source(error, &shown),
                            Failure::Target(error) => Error::io(error, "copying", &shown),
                            Failure::Facts(error) => error,
                        })?
                    }
                }
            }
            let facts = self.own_facts(directory).map_err(failed)?;
            done.push((to, facts));
        }
        // The times of a directory change as long as something is made in it.
        done.iter().rev().try_for_each(|(to, facts)| self.set(to, facts))
    }

    /// Copies what is no directory. What is read comes first: where that is gone, there is nothing to take back.
    fn entry(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        metadata: Metadata,
        to: &Path,
    ) -> std::result::Result<(), Failure> {
        if self.links && rustix::fs::linkat(directory, name, CWD, to, AtFlags::empty()).is_ok() {
            return Ok(());
        }
        let file = (metadata.device, metadata.inode);
        if metadata.links > 1
            && let Some(first) = self.seen.get(&file)
        {
            return Ok(fs::hard_link(first, to)?);
        }
        let attributes = self.attributes(directory.attributes(name), |attribute| {
            directory.attribute(name, attribute)
        });
        let Some(attributes) = self.unless_gone(attributes)? else { return Ok(()) };
        match metadata.kind {
            Kind::File => {
                let opened = directory.open_file(name);
                let Some(mut source) = self.unless_gone(opened)? else { return Ok(()) };
                copy_content(&mut source, to)?;
            }
            Kind::Symlink => {
                let read = directory.read_link(name);
                let Some(target) = self.unless_gone(read)? else { return Ok(()) };
                symlink(target, to)?;
            }
            kind => {
                let kind = match kind {
                    Kind::Fifo => FileType::Fifo,
                    Kind::CharDevice => FileType::CharacterDevice,
                    Kind::BlockDevice => FileType::BlockDevice,
                    // A socket is nothing without its process.
                    _ => return Ok(()),
                };
                let mode = Mode::from_raw_mode(metadata.mode);
                let device = rustix::fs::makedev(metadata.device_major, metadata.device_minor);
                rustix::fs::mknodat(CWD, to, kind, mode, device).map_err(std::io::Error::from)?;
            }
        }
        if metadata.links > 1 {
            self.seen.insert(file, to.to_owned());
        }
        self.set(to, &Facts { metadata, attributes }).map_err(Failure::Facts)
    }

    /// Nothing where somebody who writes to the tree took it away, or put something else in its place.
    fn unless_gone<T>(&self, result: cask_rootfs::Result<T>) -> cask_rootfs::Result<Option<T>> {
        match result {
            Err(error) if self.lives && is_of_another(&error) => Ok(None),
            result => result.map(Some),
        }
    }

    fn own_facts(&self, directory: &Directory) -> cask_rootfs::Result<Facts> {
        let attributes = self.attributes(directory.own_attributes(), |attribute| {
            directory.own_attribute(attribute)
        })?;
        Ok(Facts { metadata: directory.own_metadata()?, attributes })
    }

    fn attributes(
        &self,
        names: cask_rootfs::Result<Vec<OsString>>,
        value: impl Fn(&OsStr) -> cask_rootfs::Result<Option<Vec<u8>>>,
    ) -> cask_rootfs::Result<Attributes> {
        let mut found = Vec::new();
        for name in names? {
            if !self.keeps_marks && OPAQUE.iter().any(|mark| name == *mark) {
                continue;
            }
            if let Some(value) = value(&name)? {
                found.push((name, value));
            }
        }
        Ok(found)
    }

    fn set(&self, to: &Path, facts: &Facts) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(error, "copying what is known of", to);
        let Facts { metadata, attributes } = facts;
        let owner = (metadata.uid, metadata.gid);
        let (uid, gid) = self.owners.as_ref().map_or(owner, |owners| owners(owner.0, owner.1));
        match lchown(to, Some(uid), Some(gid)) {
            Err(_) if self.rootless => {}
            owned => owned.map_err(failed)?,
        }
        for (name, value) in attributes {
            match rustix::fs::lsetxattr(to, name.as_os_str(), value, XattrFlags::empty()) {
                Err(rustix::io::Errno::OPNOTSUPP) => {}
                Err(rustix::io::Errno::PERM) if self.rootless => {}
                set => set.map_err(|error| Error::io(error, "copying the attributes to", to))?,
            }
        }
        if metadata.kind != Kind::Symlink {
            let mode = fs::Permissions::from_mode(metadata.mode);
            fs::set_permissions(to, mode).map_err(failed)?;
        }
        let times = Timestamps {
            last_access: timespec(metadata.accessed),
            last_modification: timespec(metadata.modified),
        };
        rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(error.into()))
    }
}

/// Why an entry was not copied.
enum Failure {
    Source(cask_rootfs::Error),
    Target(std::io::Error),
    Facts(Error),
}

impl From<cask_rootfs::Error> for Failure {
    fn from(error: cask_rootfs::Error) -> Self {
        Self::Source(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Target(error)
    }
}

/// Whether there is nothing of a name, or another kind of thing than was looked for.
fn is_of_another(error: &cask_rootfs::Error) -> bool {
    // Busy: a directory on the way was moved just then.
    use cask_rootfs::ErrorKind::{Busy, LinkLoop, NotADirectory, NotAFile, NotFound};
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    // What readlink(2) says of what is no link.
    let is_no_link = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::InvalidInput;
    matches!(error.kind(), NotFound | NotADirectory | NotAFile | LinkLoop | Busy)
        || cause.is_some_and(is_no_link)
}

fn of_source(error: cask_rootfs::Error, path: &Path) -> Error {
    let kind = match error.kind() {
        cask_rootfs::ErrorKind::NotFound => ErrorKind::NotFound,
        cask_rootfs::ErrorKind::Denied => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, "copying", path.display()).with_source(error)
}

fn copy_content(source: &mut File, to: &Path) -> std::io::Result<()> {
    let mut target = File::create_new(to)?;
    if rustix::fs::ioctl_ficlone(&target, &*source).is_err() {
        // The kernel copies, and it too shares blocks where it can.
        std::io::copy(source, &mut target)?;
    }
    Ok(())
}

fn timespec(time: cask_rootfs::Timestamp) -> Timespec {
    Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Copies a tree again and again while something is done to it again and again; looks at each copy.
    fn while_changing(at: &Path, change: impl Fn() + Sync, check: impl Fn(&Path)) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    change();
                }
            });
            for number in 0..300 {
                let to = at.join(number.to_string());
                let copied = living(&at.join("tree"), &to, false, true);
                over.store(copied.is_err() || number == 299, Ordering::Relaxed);
                copied.unwrap();
                check(&to);
            }
        });
    }

    #[test]
    fn what_goes_while_it_is_copied_is_no_error() {
        let at = tempfile::tempdir().unwrap();
        let tree = at.path().join("tree");
        fs::create_dir_all(tree.join("kept")).unwrap();
        fs::write(tree.join("kept/file"), "kept").unwrap();
        let change = || {
            fs::create_dir_all(tree.join("a/b")).unwrap();
            (0..8).for_each(|n| fs::write(tree.join(format!("a/b/{n}")), "x").unwrap());
            symlink("b", tree.join("a/link")).unwrap();
            fs::remove_dir_all(tree.join("a")).unwrap();
        };
        while_changing(at.path(), change, |to| {
            assert_eq!(fs::read_to_string(to.join("kept/file")).unwrap(), "kept");
        });
    }

    #[test]
    fn cve_2018_15664_what_is_swapped_for_a_link_while_it_is_copied_leads_nowhere() {
        let at = tempfile::tempdir().unwrap();
        let (tree, outside) = (at.path().join("tree"), at.path().join("outside"));
        fs::create_dir_all(tree.join("d/e")).unwrap();
        fs::create_dir_all(outside.join("e")).unwrap();
        fs::write(outside.join("e/secret"), "secret").unwrap();
        fs::write(tree.join("file"), "own").unwrap();
        let exchange = |a: &str, b: &Path| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(CWD, tree.join(a), CWD, b, flags).unwrap();
        };
        let links = [at.path().join("to-directory"), at.path().join("to-file")];
        symlink(&outside, &links[0]).unwrap();
        symlink(outside.join("e/secret"), &links[1]).unwrap();
        let change = || {
            exchange("d", &links[0]);
            exchange("file", &links[1]);
        };
        while_changing(at.path(), change, |to| {
            assert!(!to.join("d/e/secret").exists() || to.join("d").is_symlink());
            let file = to.join("file");
            let is_own = || fs::read_to_string(&file).unwrap() == "own";
            assert!(!file.exists() || file.is_symlink() || is_own());
        });
    }
}
