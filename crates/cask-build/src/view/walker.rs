//! Walking a view: directories put together from layers, the last ones remembered.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use cask_rootfs::{Directory, Kind, Metadata, Order};

use super::links::{Node, Resolution, parent_and_name, resolve};
use super::{Marks, Status, View, shown};
use crate::{Error, ErrorKind, Result};

/// How many directories are remembered, deeper than most trees.
const REMEMBERED: usize = 24;

/// Extended attributes: names and values, sorted.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads a view by paths that have no links in them, and remembers where it was.
pub(crate) struct Walker {
    view: View,
    /// The newest at the end; `None` for what is no directory.
    recent: Vec<(Vec<u8>, Option<Arc<Merged>>)>,
}

/// A directory: its parts, the newest first, with the number of their layer.
#[derive(Debug, Default)]
struct Merged {
    parts: Vec<(usize, Directory)>,
}

/// An entry: which part of its directory has it.
struct Child {
    part: usize,
    found: Metadata,
}

impl Walker {
    pub(super) fn new(view: View) -> Self {
        Self { view, recent: Vec::new() }
    }

    /// Follows a path through links.
    pub(crate) fn resolve(&mut self, path: &[u8], follow_last: bool) -> Result<Resolution> {
        resolve(path, follow_last, |path| self.node(path))
    }

    /// What is at a path, with the target of a link.
    pub(crate) fn node(&mut self, path: &[u8]) -> Result<Option<Node>> {
        let Some(status) = self.status(path)? else { return Ok(None) };
        let target = match status.kind {
            Kind::Symlink => self.read_link(path)?,
            _ => Vec::new(),
        };
        Ok(Some(Node { kind: status.kind, target }))
    }

    /// Describes what is at a path.
    pub(crate) fn status(&mut self, path: &[u8]) -> Result<Option<Status>> {
        if path.is_empty() {
            return self.root_status().map(Some);
        }
        let (parent, name) = parent_and_name(path);
        let Some(directory) = self.directory(parent)? else { return Ok(None) };
        let Some(child) = self.child(&directory, OsStr::from_bytes(name))? else { return Ok(None) };
        let layer = directory.parts[child.part].0;
        self.exact(layer, path, Status::of(&child.found)).map(Some)
    }

    fn root_status(&self) -> Result<Status> {
        let Some(layer) = self.view.0.layers.first() else { return Ok(Status::empty_root()) };
        let directory = layer.root.directory("").map_err(failed)?;
        let status = Status::of(&directory.own_metadata().map_err(failed)?);
        self.exact(0, b"", status)
    }

    /// Puts the owner and the permissions of the layer in the place of those on the disk.
    fn exact(&self, layer: usize, path: &[u8], mut status: Status) -> Result<Status> {
        let layer = &self.view.0.layers[layer];
        if let Some(recorded) = &layer.recorded {
            recorded.apply(path, &mut status)?;
        }
        if let Some(maps) = &layer.maps
            && let Some(inside) = maps.to_container(status.uid, status.gid)
        {
            (status.uid, status.gid) = inside;
        }
        Ok(status)
    }

    /// Reads the target of a link.
    pub(crate) fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.with_child(path, |directory, name| directory.read_link(name))
            .map(OsStringExt::into_vec)
    }

    /// Opens a regular file.
    pub(crate) fn open(&mut self, path: &[u8]) -> Result<File> {
        self.with_child(path, |directory, name| directory.open_file(name))
    }

    /// The extended attributes that belong to the contents of a layer: `user.`, but for those of the
    /// storage, and `security.capability` and `security.ima`.
    pub(crate) fn xattrs(&mut self, path: &[u8]) -> Result<Xattrs> {
        if path.is_empty() {
            return Ok(Vec::new());
        }
        self.with_child(path, |directory, name| {
            let names = match directory.attributes(name) {
                Err(error) if error.kind() == cask_rootfs::ErrorKind::Unsupported => Vec::new(),
                other => other?,
            };
            let mut found = Vec::new();
            for attribute in names.iter().filter(|name| is_content(name.as_bytes())) {
                if let Some(value) = directory.attribute(name, attribute)? {
                    found.push((attribute.as_bytes().to_vec(), value));
                }
            }
            Ok(found)
        })
    }

    /// The names in a directory, sorted; `None` where there is no directory.
    pub(crate) fn names(&mut self, path: &[u8]) -> Result<Option<Vec<OsString>>> {
        let Some(directory) = self.directory(path)? else { return Ok(None) };
        let marks = self.view.0.marks;
        let mut names: Vec<OsString> = Vec::new();
        for (_, part) in &directory.parts {
            let entries = part.entries(Order::Any).map_err(failed)?;
            names.extend(entries.into_iter().map(|entry| entry.name));
        }
        names.sort_unstable();
        names.dedup();
        if marks != Marks::None {
            if marks == Marks::Names {
                names.retain(|name| !name.as_bytes().starts_with(b".wh."));
            }
            let mut kept = Vec::with_capacity(names.len());
            for name in names {
                if self.child(&directory, &name)?.is_some() {
                    kept.push(name);
                }
            }
            names = kept;
        }
        Ok(Some(names))
    }

    fn with_child<T>(
        &mut self,
        path: &[u8],
        read: impl FnOnce(&Directory, &OsStr) -> cask_rootfs::Result<T>,
    ) -> Result<T> {
        let (parent, name) = parent_and_name(path);
        let name = OsStr::from_bytes(name);
        let missing = || {
            let detail = format!("is not there any more in {}", self.view.name());
            Error::new(ErrorKind::Missing, shown(path), detail)
        };
        let Some(directory) = Self::directory_of(&self.view, &mut self.recent, parent)? else {
            return Err(missing());
        };
        // A whole tree needs no look at what the layers say of the name.
        let part = match directory.parts.as_slice() {
            [_] if self.view.0.marks == Marks::None => 0,
            _ => match child(&self.view, &directory, name)? {
                Some(child) => child.part,
                None => return Err(missing()),
            },
        };
        let Some((_, part)) = directory.parts.get(part) else { return Err(missing()) };
        #[cfg(test)]
        swap::now(path);
        read(part, name).map_err(|error| match error.kind() {
            cask_rootfs::ErrorKind::NotFound => missing(),
            _ => failed(error),
        })
    }

    fn child(&self, directory: &Merged, name: &OsStr) -> Result<Option<Child>> {
        child(&self.view, directory, name)
    }

    fn directory(&mut self, path: &[u8]) -> Result<Option<Arc<Merged>>> {
        Self::directory_of(&self.view, &mut self.recent, path)
    }

    fn directory_of(
        view: &View,
        recent: &mut Vec<(Vec<u8>, Option<Arc<Merged>>)>,
        path: &[u8],
    ) -> Result<Option<Arc<Merged>>> {
        if let Some(index) = recent.iter().rposition(|(known, _)| known == path) {
            recent[index..].rotate_left(1);
            return Ok(recent.last().and_then(|(_, directory)| directory.clone()));
        }
        let opened = if path.is_empty() {
            Some(open_root(view)?)
        } else {
            let (parent, name) = parent_and_name(path);
            match Self::directory_of(view, recent, parent)? {
                Some(parent) => open_child(view, &parent, OsStr::from_bytes(name), path)?,
                None => None,
            }
        };
        let opened = opened.map(Arc::new);
        if recent.len() >= REMEMBERED {
            recent.remove(0);
        }
        recent.push((path.to_vec(), opened.clone()));
        Ok(opened)
    }
}

fn open_root(view: &View) -> Result<Merged> {
    let mut parts = Vec::new();
    for (index, layer) in view.0.layers.iter().enumerate() {
        let directory = layer.root.directory("").map_err(failed)?;
        let is_opaque = match view.0.marks {
            Marks::None => false,
            Marks::Overlay => {
                let opaque = |name| directory.own_attribute(name).map_err(failed);
                is_yes(opaque("trusted.overlay.opaque")?) || is_yes(opaque("user.overlay.opaque")?)
            }
            Marks::Names => is_there(&directory, OsStr::new(OPAQUE_NAME))?,
        };
        parts.push((index, directory));
        if is_opaque {
            break;
        }
    }
    Ok(Merged { parts })
}

const OPAQUE_NAME: &str = ".wh..wh..opq";

/// Opens a directory in a directory; `None` where that is none.
fn open_child(view: &View, parent: &Merged, name: &OsStr, path: &[u8]) -> Result<Option<Merged>> {
    let mut parts: Vec<(usize, Directory)> = Vec::new();
    let marks = view.0.marks;
    for (layer, part) in &parent.parts {
        match look(marks, part, name)? {
            Look::Nothing => continue,
            Look::Found(found) if found.is_directory() => {}
            Look::Deleted | Look::Found(_) => break,
        }
        #[cfg(test)]
        swap::now(path);
        let directory = match part.open_dir(name) {
            Ok(directory) => directory,
            // It was one a moment ago: somebody swaps. What is not there cannot be followed.
            Err(error) => return Err(failed(error)),
        };
        let is_opaque = match marks {
            Marks::None => true,
            Marks::Overlay => {
                let attributes = part.attributes(name).map_err(failed)?;
                if attributes.iter().any(|name| is_overlay(name.as_bytes(), "redirect")) {
                    let detail = "is renamed by an attribute of overlay, which is not read here";
                    return Err(Error::new(ErrorKind::Storage, shown(path), detail));
                }
                let mut is_opaque = false;
                for attribute in &attributes {
                    if is_overlay(attribute.as_bytes(), "opaque") {
                        is_opaque |= is_yes(part.attribute(name, attribute).map_err(failed)?);
                    }
                }
                is_opaque
            }
            Marks::Names => is_there(&directory, OsStr::new(OPAQUE_NAME))?,
        };
        parts.push((*layer, directory));
        if is_opaque {
            break;
        }
    }
    Ok((!parts.is_empty()).then_some(Merged { parts }))
}

fn child(view: &View, directory: &Merged, name: &OsStr) -> Result<Option<Child>> {
    for (part, (_, directory)) in directory.parts.iter().enumerate() {
        match look(view.0.marks, directory, name)? {
            Look::Nothing => {}
            Look::Deleted => return Ok(None),
            Look::Found(found) => return Ok(Some(Child { part, found })),
        }
    }
    Ok(None)
}

/// What one layer says of a name.
enum Look {
    Nothing,
    Deleted,
    Found(Metadata),
}

fn look(marks: Marks, directory: &Directory, name: &OsStr) -> Result<Look> {
    let found = match directory.metadata(name) {
        Ok(found) => found,
        Err(error) if error.kind() == cask_rootfs::ErrorKind::NotFound => {
            if marks == Marks::Names {
                let mark = [b".wh.", name.as_bytes()].concat();
                if mark.len() <= 255 && is_there(directory, OsStr::from_bytes(&mark))? {
                    return Ok(Look::Deleted);
                }
            }
            return Ok(Look::Nothing);
        }
        Err(error) => return Err(failed(error)),
    };
    if marks == Marks::Overlay {
        let device = (found.device_major, found.device_minor);
        if found.kind == Kind::CharDevice && device == (0, 0) {
            return Ok(Look::Deleted);
        }
        if found.is_file() && found.size_bytes == 0 {
            let attributes = directory.attributes(name).map_err(failed)?;
            if attributes.iter().any(|name| is_overlay(name.as_bytes(), "whiteout")) {
                return Ok(Look::Deleted);
            }
        }
    }
    Ok(Look::Found(found))
}

fn is_there(directory: &Directory, name: &OsStr) -> Result<bool> {
    match directory.metadata(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == cask_rootfs::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

fn is_overlay(attribute: &[u8], what: &str) -> bool {
    let name = attribute
        .strip_prefix(b"trusted.overlay.")
        .or_else(|| attribute.strip_prefix(b"user.overlay."));
    name == Some(what.as_bytes())
}

fn is_yes(value: Option<Vec<u8>>) -> bool {
    value.as_deref() == Some(b"y")
}

/// Source: containers/storage, `pkg/archive`, `readSecurityXattrToTarHeader` and
/// `readUserXattrToTarHeader`.
pub(crate) fn is_content(attribute: &[u8]) -> bool {
    let own = attribute.starts_with(b"user.")
        && !attribute.starts_with(b"user.overlay.")
        && attribute != b"user.containers.override_stat"
        && !attribute.contains(&b'=');
    own || attribute == b"security.capability" || attribute == b"security.ima"
}

/// An error of a root, as this crate's.
pub(crate) fn failed(error: cask_rootfs::Error) -> Error {
    let kind = match error.kind() {
        cask_rootfs::ErrorKind::InvalidName | cask_rootfs::ErrorKind::NameTooLong => {
            ErrorKind::Invalid
        }
        _ => ErrorKind::Io,
    };
    let subject = error.root().join(error.path());
    Error::new(kind, subject.display(), "cannot be read").with_source(error)
}

/// Lets tests change the tree between the look at a name and its use.
#[cfg(test)]
pub(crate) mod swap {
    use std::cell::{Cell, RefCell};
    use std::fs;
    use std::path::PathBuf;
    use std::rc::Rc;

    pub(crate) type Hook = Box<dyn FnMut(&[u8])>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Sets what happens before a name is used; returns when `during` does.
    pub(crate) fn with<T>(hook: impl FnMut(&[u8]) + 'static, during: impl FnOnce() -> T) -> T {
        HOOK.with(|cell| *cell.borrow_mut() = Some(Box::new(hook)));
        let result = during();
        HOOK.with(|cell| *cell.borrow_mut() = None);
        result
    }

    /// Something that a link stands for, until this is dropped.
    struct Swapped {
        victim: PathBuf,
        aside: PathBuf,
    }

    impl Drop for Swapped {
        fn drop(&mut self) {
            fs::remove_file(&self.victim).unwrap();
            fs::rename(&self.aside, &self.victim).unwrap();
        }
    }

    /// Puts a link in the place of something when its path is used for the `turn`th time, and takes that back before
    /// anything else is used, so that who looks again sees nothing of it. Also gives whether it came to that.
    pub(crate) fn for_a_moment(
        during: &'static str,
        turn: usize,
        victim: PathBuf,
        target: PathBuf,
    ) -> (impl FnMut(&[u8]) + 'static, Rc<Cell<bool>>) {
        let (mut seen, mut swapped) = (0, None);
        let done = Rc::new(Cell::new(false));
        let is_done = Rc::clone(&done);
        let hook = move |path: &[u8]| {
            drop(swapped.take());
            seen += usize::from(path == during.as_bytes());
            if seen == turn && !done.replace(true) {
                let aside = victim.with_extension("aside");
                fs::rename(&victim, &aside).unwrap();
                std::os::unix::fs::symlink(&target, &victim).unwrap();
                swapped = Some(Swapped { victim: victim.clone(), aside });
            }
        };
        (hook, is_done)
    }

    pub(super) fn now(path: &[u8]) {
        HOOK.with(|cell| {
            if let Some(hook) = cell.borrow_mut().as_mut() {
                hook(path);
            }
        });
    }
}
