//! What a tree has that another has not.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;

use cask_rootfs::{Directory, Metadata, Parents, Root};

use super::tree::{join, look, names};
use super::write::{Archive, exported};
use super::{DiffError, DiffErrorKind, DiffOptions, Diffed};

/// Writes what has to be done to `base` to get `tree` as a layer, whiteouts included.
///
/// As [`diff_tree`](crate::diff_tree), but only what is new or differs in type, permissions, owner,
/// device, size, time or an attribute, together with the directories on the way to it; for a directory
/// neither time nor size count. What only `base` has becomes a whiteout, of the time zero.
///
/// Source: containers/storage, `pkg/archive`, `ChangesDirs`.
///
/// # Errors
///
/// As [`diff_tree`](crate::diff_tree).
pub fn diff_changes<W: Write>(
    base: &Root,
    tree: &Root,
    output: W,
    options: &DiffOptions,
) -> Result<(Diffed, W), DiffError> {
    let mut walk = Walk {
        archive: Archive::new(output, options),
        compare_contents: options.compare_contents,
        base: Parents::new(base),
        tree: Parents::new(tree),
        levels: Vec::new(),
    };
    let first = walk.level(Vec::new(), true)?;
    walk.levels.push(first);
    while let Some(level) = walk.levels.last_mut() {
        match level.left.pop() {
            Some((name, sides)) => walk.name(&name, sides)?,
            None => {
                walk.levels.pop();
            }
        }
    }
    walk.archive.finish()
}

struct Walk<'r, 'o, W> {
    archive: Archive<'o, W>,
    compare_contents: bool,
    base: Parents<'r>,
    tree: Parents<'r>,
    levels: Vec<Level>,
}

/// A directory on the way down.
struct Level {
    path: Vec<u8>,
    /// What it is, until it is written.
    unwritten: Option<Metadata>,
    left: Vec<(OsString, Sides)>,
}

/// Where a name is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Base,
    Tree,
    Both,
}

impl<W: Write> Walk<'_, '_, W> {
    fn level(&mut self, path: Vec<u8>, in_base: bool) -> Result<Level, DiffError> {
        let tree = names(&mut self.tree, &path)?;
        let base = if in_base { names(&mut self.base, &path)? } else { Vec::new() };
        Ok(Level { path, unwritten: None, left: merge(base, tree) })
    }

    fn name(&mut self, name: &OsStr, sides: Sides) -> Result<(), DiffError> {
        let level = self.levels.last().expect("the name came from it");
        let path = join(&level.path, name);
        let parent = OsStr::from_bytes(&level.path).to_owned();
        let fail = |error| DiffError::read(&path, error);
        if name.as_bytes().starts_with(b".wh.") {
            if sides != Sides::Base {
                self.archive.outcome.leave_out(&path);
            }
            return Ok(());
        }
        let new = match sides {
            Sides::Base => None,
            _ => look(self.tree.directory(&parent).map_err(fail)?, name, &path)?,
        };
        let old = match sides {
            Sides::Tree => None,
            _ => look(self.base.directory(&parent).map_err(fail)?, name, &path)?,
        };
        let Some(new) = new else {
            if old.is_some() {
                self.write_parents()?;
                self.archive.whiteout(&path, None)?;
            }
            return Ok(());
        };
        let same = match &old {
            Some(old) => self.is_same(&parent, name, &path, old, &new)?,
            None => false,
        };
        if !same {
            self.write_parents()?;
            let directory = self.tree.directory(&parent).map_err(fail)?;
            self.archive.entry(directory, name, &path, &new)?;
        }
        if new.is_directory() {
            let in_base = old.is_some_and(|old| old.is_directory());
            let mut level = self.level(path, in_base)?;
            level.unwritten = same.then_some(new);
            self.levels.push(level);
        }
        Ok(())
    }

    /// Writes the directories on the way to a change.
    fn write_parents(&mut self) -> Result<(), DiffError> {
        for index in 0..self.levels.len() {
            let Some(found) = self.levels[index].unwritten.take() else { continue };
            let path = &self.levels[index].path;
            let (directory, name) =
                self.tree.entry(OsStr::from_bytes(path)).map_err(|e| DiffError::read(path, e))?;
            self.archive.entry(directory, name, path, &found)?;
        }
        Ok(())
    }

    fn is_same(
        &mut self,
        parent: &OsStr,
        name: &OsStr,
        path: &[u8],
        old: &Metadata,
        new: &Metadata,
    ) -> Result<bool, DiffError> {
        if !looks_same(old, new) {
            return Ok(false);
        }
        if old.is_same_file(new) {
            return Ok(true);
        }
        let fail = |error| DiffError::read(path, error);
        let base = self.base.directory(parent).map_err(fail)?;
        let tree = self.tree.directory(parent).map_err(fail)?;
        if attributes(base, name, path)? != attributes(tree, name, path)? {
            return Ok(false);
        }
        if new.kind == cask_rootfs::Kind::Symlink {
            return Ok(base.read_link(name).map_err(fail)? == tree.read_link(name).map_err(fail)?);
        }
        if self.compare_contents && new.is_file() {
            return has_same_contents(base, tree, name, path);
        }
        Ok(true)
    }
}

fn looks_same(old: &Metadata, new: &Metadata) -> bool {
    let about = |found: &Metadata| {
        let devices = (found.device_major, found.device_minor);
        (found.kind, found.mode, found.uid, found.gid, devices)
    };
    let contents = |found: &Metadata| (found.size_bytes, found.modified);
    about(old) == about(new) && (new.is_directory() || contents(old) == contents(new))
}

type Attributes = Vec<(OsString, Option<Vec<u8>>)>;

fn attributes(directory: &Directory, name: &OsStr, path: &[u8]) -> Result<Attributes, DiffError> {
    let fail = |error| DiffError::read(path, error);
    let names = exported(directory, name).map_err(fail)?;
    let value = |attribute: OsString| match directory.attribute(name, &attribute) {
        Ok(value) => Ok((attribute, value)),
        Err(error) => Err(fail(error)),
    };
    names.into_iter().map(value).collect()
}

fn has_same_contents(
    base: &Directory,
    tree: &Directory,
    name: &OsStr,
    path: &[u8],
) -> Result<bool, DiffError> {
    let fail = |error| DiffError::io(DiffErrorKind::Read, path, error);
    let open = |directory: &Directory| {
        let file = directory.open_file(name).map_err(|error| DiffError::read(path, error))?;
        Ok(std::io::BufReader::with_capacity(64 << 10, file))
    };
    let (mut old, mut new) = (open(base)?, open(tree)?);
    let (mut left, mut right) = (vec![0; 32 << 10], vec![0; 32 << 10]);
    loop {
        let count = old.read(&mut left).map_err(fail)?;
        if count == 0 {
            return Ok(new.read(&mut right).map_err(fail)? == 0);
        }
        match new.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(fail(error)),
        }
    }
}

/// Merges two lists of names, the first name last in all three.
fn merge(mut base: Vec<OsString>, mut tree: Vec<OsString>) -> Vec<(OsString, Sides)> {
    let mut merged = Vec::with_capacity(base.len().max(tree.len()));
    loop {
        let (side, name) = match (base.last(), tree.last()) {
            (None, None) => break,
            (Some(_), None) => (Sides::Base, base.pop()),
            (None, Some(_)) => (Sides::Tree, tree.pop()),
            (Some(old), Some(new)) => match old.cmp(new) {
                Ordering::Less => (Sides::Base, base.pop()),
                Ordering::Greater => (Sides::Tree, tree.pop()),
                Ordering::Equal => {
                    base.pop();
                    (Sides::Both, tree.pop())
                }
            },
        };
        merged.extend(name.map(|name| (name, side)));
    }
    merged.reverse();
    merged
}
