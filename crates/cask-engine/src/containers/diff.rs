//! What a container or an image changed of what lies below it.

mod tree;
mod upper;

use std::fmt;

use cask_rootfs::Root;
use cask_storage::{DriverKind, Id, MountOptions};

use super::{Container, ContainerSummary, Containers};
use crate::{Error, ErrorKind, Found, Result};

/// What of every container is made when it starts, and so is no change of its own.
///
/// Source: podman, `libpod/diff.go`, `initInodes`.
const MADE_AT_START: [&[u8]; 12] = [
    b"/dev",
    b"/etc/hostname",
    b"/etc/hosts",
    b"/etc/resolv.conf",
    b"/proc",
    b"/run",
    b"/run/notify",
    b"/run/.containerenv",
    b"/run/podman-init",
    b"/run/secrets",
    b"/sys",
    b"/etc/mtab",
];

/// What became of a file. The order is that of podman's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is another one, or something in a directory is.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
}

impl ChangeKind {
    /// The letter of `diff`.
    pub fn letter(self) -> char {
        match self {
            Self::Changed => 'C',
            Self::Added => 'A',
            Self::Deleted => 'D',
        }
    }
}

/// A file that was changed.
#[derive(Clone, PartialEq, Eq)]
pub struct FileChange {
    /// What became of it.
    pub kind: ChangeKind,
    /// Its path, from `/` on.
    pub path: Vec<u8>,
}

impl fmt::Debug for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.letter(), String::from_utf8_lossy(&self.path))
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DiffSide<'a> {
    /// The files of a container.
    Container(&'a Container),
    /// The files of a container of another program.
    External(&'a ContainerSummary),
    /// The files of an image.
    Image(&'a Found),
}

impl DiffSide<'_> {
    fn layer(self) -> Result<Option<Id>> {
        match self {
            Self::Container(container) if container.config.layer.is_empty() => {
                let why = "it has a root of its own, and no layer that changes are kept in";
                Err(Error::new(ErrorKind::Unsupported, container.id(), why))
            }
            Self::Container(container) => Ok(Some(Id::parse(&container.config.layer)?)),
            Self::External(found) => Ok(Some(Id::parse(&found.layer)?)),
            Self::Image(found) => Ok(found.image.top_layer.clone()),
        }
    }
}

impl Containers {
    /// What differs in `of` from `from`, or without that from the layer below it; sorted by path.
    ///
    /// Where one is the layer above the other, that one layer is read. Else both are mounted and compared; then a
    /// directory in which something changed counts as changed too.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a container with a root of its own; [`ErrorKind::Storage`].
    pub fn diff(&self, of: DiffSide<'_>, from: Option<DiffSide<'_>>) -> Result<Vec<FileChange>> {
        let Some(layer) = of.layer()? else { return Ok(Vec::new()) };
        let chain = self.store().layer_chain(&layer)?;
        let parent = chain.get(1).map(|layer| layer.id.clone());
        let from = match from {
            Some(side) => side.layer()?,
            None => parent.clone(),
        };
        let mut found = if from == parent && self.store().driver() == DriverKind::Overlay {
            let roots = chain.iter().map(|layer| self.store().layer_files(&layer.id));
            let roots = roots.collect::<Result<Vec<Root>, _>>()?;
            let Some((upper, lowers)) = roots.split_first() else { return Ok(Vec::new()) };
            upper::changes(upper, lowers)?
        } else {
            self.compare(from.as_ref(), &layer)?
        };
        found.retain(|change| !MADE_AT_START.contains(&change.path.as_slice()));
        Ok(found)
    }

    fn compare(&self, old: Option<&Id>, new: &Id) -> Result<Vec<FileChange>> {
        let mut mounted = Mounted { containers: self, layers: Vec::new() };
        let tree = mounted.root(new)?;
        let base = old.map(|old| mounted.root(old)).transpose()?;
        Ok(tree::changes(base.as_ref(), &tree)?)
    }
}

/// Layers that are mounted as long as they are compared.
struct Mounted<'c> {
    containers: &'c Containers,
    layers: Vec<Id>,
}

impl Mounted<'_> {
    fn root(&mut self, layer: &Id) -> Result<Root> {
        let path = self.containers.store().mount_layer(layer, &MountOptions::default())?;
        self.layers.push(layer.clone());
        Ok(Root::open(path)?)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        for layer in &self.layers {
            // What stays mounted is taken back with its layer.
            let _ = self.containers.store().unmount_layer(layer, false);
        }
    }
}

fn join(parent: &[u8], name: &std::ffi::OsStr) -> Vec<u8> {
    [parent, b"/", name.as_encoded_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn shown(changes: &[FileChange]) -> String {
        let one = |change: &FileChange| format!("{change:?}");
        changes.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn fill(directory: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
    }

    #[test]
    fn trees_are_compared() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fill(old.path(), &[("a/same", ""), ("a/gone", ""), ("b/other", "x"), ("gone/x", "")]);
        fill(new.path(), &[("a/same", ""), ("b/other", "xy"), ("new/x", "")]);
        let same = fs::metadata(old.path().join("a/same")).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(new.path().join("a/same")).unwrap();
        file.set_modified(same).unwrap();
        let (old, new) = (Root::open(old.path()).unwrap(), Root::open(new.path()).unwrap());
        let found = tree::changes(Some(&old), &new).unwrap();
        let expected = "C /a, D /a/gone, C /b, C /b/other, D /gone, A /new, A /new/x";
        assert_eq!(shown(&found), expected);
        assert_eq!(shown(&tree::changes(Some(&old), &old).unwrap()), "");
        let all = "A /b, A /b/other";
        assert!(shown(&tree::changes(None, &new).unwrap()).contains(all));
    }

    #[test]
    fn an_upper_layer_tells_what_was_changed() {
        let (lower, upper) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fill(lower.path(), &[("a/old", ""), ("quiet/x", "")]);
        fill(upper.path(), &[("a/old", "x"), ("a/new", ""), ("quiet/x", "more")]);
        let times = fs::metadata(lower.path().join("quiet")).unwrap().modified().unwrap();
        fs::File::open(upper.path().join("quiet")).unwrap().set_modified(times).unwrap();
        let upper = Root::open(upper.path()).unwrap();
        let lowers = [Root::open(lower.path()).unwrap()];
        let found = upper::changes(&upper, &lowers).unwrap();
        // The directory itself is as it was.
        assert_eq!(shown(&found), "C /a, A /a/new, C /a/old, C /quiet/x");
        assert_eq!(shown(&upper::changes(&upper, &[]).unwrap())[..4], *"A /a");
    }
}
