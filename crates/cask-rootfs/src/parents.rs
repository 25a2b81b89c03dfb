//! Directories that were used a moment ago.

use std::ffi::{OsStr, OsString};

use crate::root::split;
use crate::{Directory, Error, ErrorKind, Operation, Result, Root};

/// How many directories are remembered: deeper than most trees, fewer than any limit of open files.
const REMEMBERED: usize = 16;

/// The last few directories of a [`Root`] that were used, so that the next entry of one of them does
/// not cost a walk from the root.
///
/// A remembered directory is one that the path led to *then*. Whoever removes, replaces or renames a
/// directory or a symbolic link must call [`forget`](Self::forget), or later entries go to the old
/// place. That is a matter of correctness only: an old place is inside the root, too.
#[derive(Debug)]
pub struct Parents<'r> {
    root: &'r Root,
    recent: Vec<(OsString, Directory)>,
}

impl<'r> Parents<'r> {
    /// Begins with nothing remembered.
    pub fn new(root: &'r Root) -> Self {
        Self { root, recent: Vec::with_capacity(REMEMBERED) }
    }

    /// The root that the paths are in.
    pub fn root(&self) -> &'r Root {
        self.root
    }

    /// Opens a directory as [`Root::directory`] does, or gives the remembered one.
    ///
    /// # Errors
    ///
    /// As [`Root::directory`].
    pub fn directory(&mut self, path: impl AsRef<OsStr>) -> Result<&Directory> {
        let root = self.root;
        self.remembered(path.as_ref(), |path| root.directory(path))
    }

    /// Opens a directory as [`Root::create_dir_all`] does, or gives the remembered one.
    ///
    /// # Errors
    ///
    /// As [`Root::create_dir_all`].
    pub fn create_dir_all(
        &mut self,
        path: impl AsRef<OsStr>,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<&Directory> {
        let root = self.root;
        self.remembered(path.as_ref(), |path| root.create_dir_all(path, mode, owner))
    }

    /// Opens the directory of an entry as [`Root::entry`] does, or gives the remembered one.
    ///
    /// # Errors
    ///
    /// As [`Root::entry`].
    pub fn entry<'p>(
        &mut self,
        path: &'p (impl AsRef<OsStr> + ?Sized),
    ) -> Result<(&Directory, &'p OsStr)> {
        let path = path.as_ref();
        let Some((parent, name)) = split(path) else {
            let kind = ErrorKind::InvalidName;
            return Err(Error::plain(kind, Operation::Resolve, self.root.name(), path));
        };
        Ok((self.directory(parent)?, name))
    }

    /// Forgets everything remembered, which closes it.
    pub fn forget(&mut self) {
        self.recent.clear();
    }

    fn remembered(
        &mut self,
        path: &OsStr,
        open: impl FnOnce(&OsStr) -> Result<Directory>,
    ) -> Result<&Directory> {
        // The newest is at the end. One path in two spellings is remembered twice, which is harmless.
        match self.recent.iter().rposition(|(known, _)| known == path) {
            Some(found) if found + 1 == self.recent.len() => {}
            Some(found) => self.recent[found..].rotate_left(1),
            None => {
                let directory = open(path)?;
                if self.recent.len() == REMEMBERED {
                    self.recent.remove(0);
                }
                self.recent.push((path.to_owned(), directory));
            }
        }
        Ok(&self.recent.last().expect("found or pushed just now").1)
    }
}
