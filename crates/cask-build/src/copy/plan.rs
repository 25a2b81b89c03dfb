//! What the layer will have, path by path.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cask_containerfile::{Behavior, Dialect};
use cask_layer::Fragment;
use cask_rootfs::Kind;

use super::select::Selection;
use crate::view::{Node, Resolution, Status, View, Walker, join, parent_and_name, resolve, shown};
use crate::{Error, ErrorKind, Result};

/// The entries of the layer, put upon what the stage has.
pub(super) struct Plan {
    walker: Walker,
    /// By path without links in it. Whatever is here has its directories here, too.
    pub(super) nodes: BTreeMap<Vec<u8>, Planned>,
    /// Directories of the stage that something else has replaced.
    masked: HashSet<Vec<u8>>,
    /// What directories are that are missing.
    made: Made,
    groups: HashMap<(u64, u64, u64), u64>,
    last_group: u64,
    /// The permissions, owner, group and time that the last name of a file in an archive gave to it, by its number.
    pub(super) last_names: HashMap<u64, (u32, u32, u32, i64)>,
}

/// What a directory gets that nobody describes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) seconds: i64,
}

/// One entry.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) seconds: i64,
    pub(super) device_major: u32,
    pub(super) device_minor: u32,
    pub(super) target: Vec<u8>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) content: Content,
    /// Entries of the same number are names of one file.
    pub(super) group: Option<u64>,
    /// Of a directory: whether the stage has it too, and what is in it is still to be seen.
    in_view: bool,
    /// Of a directory: whether the stage has one that must not be seen.
    pub(super) is_opaque: bool,
}

/// Where the bytes of a file are.
#[derive(Clone)]
pub(super) enum Content {
    None,
    Bytes(Arc<[u8]>),
    /// An entry of a selection.
    Entry(Arc<Selection>, usize),
    /// A part of a file with this number.
    Part {
        file: usize,
        offset: u64,
        length: u64,
        sparse: Option<Arc<[Fragment]>>,
        size: u64,
    },
    /// A file of the stage.
    Stage {
        path: Vec<u8>,
        status: Status,
    },
}

/// What becomes of what has the name already. A directory that is there gets what is known of the one that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A directory and something else are an error.
    Refuses,
    /// A directory and something else replace each other, as with `tar -x`.
    Replaces,
}

impl Rule {
    /// What COPY does with it.
    pub(super) fn of_copy(dialect: Dialect) -> Self {
        match dialect.does(Behavior::FileReplacesDirectory) {
            true => Self::Replaces,
            false => Self::Refuses,
        }
    }
}

impl Planned {
    pub(super) fn of(status: &Status) -> Self {
        Self {
            kind: status.kind,
            mode: status.mode,
            uid: status.uid,
            gid: status.gid,
            seconds: status.modified.seconds,
            device_major: status.device_major,
            device_minor: status.device_minor,
            target: Vec::new(),
            xattrs: Vec::new(),
            content: Content::None,
            group: None,
            in_view: false,
            is_opaque: false,
        }
    }

    pub(super) fn new(kind: Kind, mode: u32, made: Made) -> Self {
        Self {
            kind,
            mode,
            uid: made.uid,
            gid: made.gid,
            seconds: made.seconds,
            device_major: 0,
            device_minor: 0,
            target: Vec::new(),
            xattrs: Vec::new(),
            content: Content::None,
            group: None,
            in_view: false,
            is_opaque: false,
        }
    }

    fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

impl Plan {
    pub(super) fn new(view: &View, made: Made) -> Self {
        Self {
            walker: view.walker(),
            nodes: BTreeMap::new(),
            masked: HashSet::new(),
            made,
            groups: HashMap::new(),
            last_group: 0,
            last_names: HashMap::new(),
        }
    }

    pub(super) fn made(&self) -> Made {
        self.made
    }

    /// Follows a path through what is planned and what the stage has.
    pub(super) fn resolve(&mut self, path: &[u8]) -> Result<Resolution> {
        resolve(path, true, |path| self.lookup(path))
    }

    /// Follows a path to a directory, and makes what is missing of it. Gives its path without links.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        let resolution = self.resolve(path)?;
        self.made_directory(resolution)
    }

    /// Follows a path as if a directory were the root: links lead nowhere but into it. Links of the stage lead where
    /// they do in the image, unless there are others on the way.
    pub(super) fn resolve_below(&mut self, root: &[u8], path: &[u8]) -> Result<Resolution> {
        let (mut of_stage, mut planned) = (false, false);
        let found = resolve(path, true, |path| {
            let path = join(root, path);
            let node = self.lookup(&path)?;
            if node.as_ref().is_some_and(|node| node.kind == Kind::Symlink) {
                let is_planned = self.nodes.contains_key(&path);
                (of_stage, planned) = (of_stage || !is_planned, planned || is_planned);
            }
            Ok(node)
        });
        if of_stage && !planned {
            return self.resolve(&join(root, path));
        }
        let found = found?;
        let below = |path: Vec<u8>| match path.is_empty() {
            true => root.to_vec(),
            false => join(root, &path),
        };
        Ok(match found {
            Resolution::Found(path) => Resolution::Found(below(path)),
            Resolution::Missing(path) => Resolution::Missing(below(path)),
            Resolution::Blocked(path) => Resolution::Blocked(below(path)),
        })
    }

    /// As [`directory`](Self::directory), where another directory is the root.
    pub(super) fn directory_below(&mut self, root: &[u8], path: &[u8]) -> Result<Vec<u8>> {
        let resolution = self.resolve_below(root, path)?;
        self.made_directory(resolution)
    }

    fn made_directory(&mut self, resolution: Resolution) -> Result<Vec<u8>> {
        match resolution {
            Resolution::Found(found) => match self.lookup(&found)? {
                Some(node) if node.kind == Kind::Directory => {
                    self.ensure(&found)?;
                    Ok(found)
                }
                _ => Err(cannot_copy_to(&found)),
            },
            Resolution::Missing(found) => {
                self.ensure(&found)?;
                Ok(found)
            }
            Resolution::Blocked(at) => Err(cannot_copy_to(&at)),
        }
    }

    /// Makes directories that are an owner's, where they are missing.
    pub(super) fn make(&mut self, paths: &[String], owner: (u32, u32)) -> Result<()> {
        let own = self.made;
        (self.made.uid, self.made.gid) = owner;
        let made = paths.iter().try_for_each(|path| match self.resolve(path.as_bytes())? {
            Resolution::Missing(found) => self.ensure(&found),
            _ => Ok(()),
        });
        self.made = own;
        made
    }

    /// Whether there is nothing at a path.
    pub(super) fn lacks(&mut self, path: &str) -> Result<bool> {
        Ok(matches!(self.resolve(path.as_bytes())?, Resolution::Missing(_)))
    }

    /// What is at a path without links in it.
    pub(super) fn lookup(&mut self, path: &[u8]) -> Result<Option<Node>> {
        if path.is_empty() {
            return Ok(Some(Node { kind: Kind::Directory, target: Vec::new() }));
        }
        if let Some(planned) = self.nodes.get(path) {
            return Ok(Some(Node { kind: planned.kind, target: planned.target.clone() }));
        }
        let (parent, _) = parent_and_name(path);
        if self.nodes.get(parent).is_some_and(|planned| !planned.in_view) || self.is_masked(path) {
            return Ok(None);
        }
        self.walker.node(path)
    }

    fn is_masked(&self, path: &[u8]) -> bool {
        if self.masked.is_empty() {
            return false;
        }
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| self.masked.contains(&path[..end]))
    }

    /// Puts a directory and those on the way to it into the layer, as the stage has them or made.
    fn ensure(&mut self, path: &[u8]) -> Result<()> {
        if path.is_empty() || self.nodes.get(path).is_some_and(Planned::is_directory) {
            return Ok(());
        }
        let (parent, _) = parent_and_name(path);
        self.ensure(parent)?;
        let planned = match self.lookup(path)? {
            Some(node) if node.kind == Kind::Directory => self.existing(path)?,
            Some(_) => return Err(cannot_copy_to(path)),
            None => Planned::new(Kind::Directory, 0o755, self.made),
        };
        self.nodes.insert(path.to_vec(), planned);
        Ok(())
    }

    /// A directory as the stage has it.
    fn existing(&mut self, path: &[u8]) -> Result<Planned> {
        let status = self.walker.status(path)?;
        let status = status.ok_or_else(|| crate::view::not_a_directory(path))?;
        let mut planned = Planned::of(&status);
        planned.xattrs = self.walker.xattrs(path)?;
        planned.in_view = true;
        Ok(planned)
    }

    /// Puts an entry at a path without links in it, whose directory is there.
    ///
    /// A link is replaced, also by a directory where it leads to one, and it replaces a directory, as
    /// with buildah and Docker's first builder; BuildKit refuses both.
    pub(super) fn put(&mut self, path: &[u8], planned: Planned, rule: Rule) -> Result<()> {
        let (parent, _) = parent_and_name(path);
        self.ensure(parent)?;
        let is_directory = planned.is_directory();
        match self.lookup(path)?.map(|node| node.kind) {
            Some(Kind::Directory) if is_directory => {
                self.ensure(path)?;
                if let Some(before) = self.nodes.get_mut(path) {
                    let (in_view, is_opaque) = (before.in_view, before.is_opaque);
                    *before = Planned { in_view, is_opaque, ..planned };
                }
                return Ok(());
            }
            Some(Kind::Directory) if rule == Rule::Refuses && planned.kind != Kind::Symlink => {
                let detail = "cannot replace to directory with file: a directory has the name";
                return Err(Error::new(ErrorKind::Invalid, shown(path), detail));
            }
            Some(Kind::Directory) => self.remove(path)?,
            Some(Kind::Symlink) | None => {}
            Some(_) if is_directory && rule == Rule::Refuses => return Err(cannot_copy_to(path)),
            Some(_) => {}
        }
        let is_opaque = is_directory && self.is_masked(path);
        self.nodes.insert(path.to_vec(), Planned { is_opaque, ..planned });
        Ok(())
    }

    /// Takes a directory away, with all that is in it.
    fn remove(&mut self, path: &[u8]) -> Result<()> {
        let prefix = join(path, b"/");
        let prefix = &prefix[..=path.len()];
        let below: Vec<Vec<u8>> = self
            .nodes
            .range(prefix.to_vec()..)
            .take_while(|(path, _)| path.starts_with(prefix))
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            self.nodes.remove(&path);
        }
        self.nodes.remove(path);
        if self.walker.node(path)?.is_some_and(|node| node.kind == Kind::Directory) {
            self.masked.insert(path.to_vec());
        }
        Ok(())
    }

    /// A file of the stage as content: for hard links to it.
    pub(super) fn stage_file(&mut self, path: &[u8]) -> Result<Option<Planned>> {
        if self.is_masked(path) {
            return Ok(None);
        }
        let Some(status) = self.walker.status(path)? else { return Ok(None) };
        if status.is_directory() {
            return Ok(None);
        }
        let mut planned = Planned::of(&status);
        match status.kind {
            Kind::Symlink => planned.target = self.walker.read_link(path)?,
            Kind::File => {
                planned.xattrs = self.walker.xattrs(path)?;
                planned.content = Content::Stage { path: path.to_vec(), status };
            }
            _ => {}
        }
        Ok(Some(planned))
    }

    /// The number of a file that may have several names: of a device, and of a source.
    pub(super) fn group(&mut self, source: u64, device: u64, inode: u64) -> u64 {
        let next = self.last_group + 1;
        let group = *self.groups.entry((source, device, inode)).or_insert(next);
        self.last_group = self.last_group.max(group);
        group
    }

    /// A number that no file has yet.
    pub(super) fn new_group(&mut self) -> u64 {
        self.last_group += 1;
        self.last_group
    }

    pub(super) fn walker(&mut self) -> &mut Walker {
        &mut self.walker
    }
}

pub(super) fn cannot_copy_to(path: &[u8]) -> Error {
    let detail = "cannot copy to non-directory: something else has the name";
    Error::new(ErrorKind::Invalid, shown(path), detail)
}
