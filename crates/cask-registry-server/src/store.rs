//! The directory: where which repository is.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cask_layout::{Layout, LayoutOptions};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, ErrorKind, RepositoryName, Result};

/// The most directories that are looked into to list the repositories.
const MAX_DIRECTORIES: usize = 100_000;

/// The file that makes a directory a layout.
const MARKER_FILE: &str = "oci-layout";

/// A directory of layouts, or one layout.
#[derive(Debug)]
pub(crate) struct Store {
    root: OwnedFd,
    path: PathBuf,
    /// The only repository, where the directory is a layout itself.
    single: Option<RepositoryName>,
    options: LayoutOptions,
}

impl Store {
    pub(crate) fn open(
        path: &Path,
        name: Option<RepositoryName>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let root = rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(|error| {
            Error::io(error, "opening", path.display())
                .with_hint("serve a directory that exists; an empty one will do")
        })?;
        let is_layout = kind_of(&root, MARKER_FILE)
            .map_err(|error| Error::io(error, "looking into", path.display()))?
            .is_some();
        let single = match (is_layout, name) {
            (true, Some(name)) => Some(name),
            (true, None) => Some(name_of(path)?),
            (false, None) => None,
            (false, Some(name)) => {
                return Err(Error::new(ErrorKind::NotFound, "opening", path.display())
                    .with_detail(format!("it is no OCI layout that could be served as {name}"))
                    .with_hint("without a name, every layout below is a repository"));
            }
        };
        let store = Self { root, path: path.to_owned(), single, options };
        if let Some(name) = &store.single {
            store.find(name)?;
        }
        Ok(store)
    }

    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The layout of a repository; `None` if there is no such repository.
    pub(crate) fn find(&self, name: &RepositoryName) -> cask_layout::Result<Option<Layout>> {
        let Some(directory) = self.directory(name, false)? else { return Ok(None) };
        let layout = self.layout(directory, name)?;
        Ok(layout.exists()?.then_some(layout))
    }

    /// The layout of a repository, whose directory is made if it does not exist. `None` if only
    /// one repository can be, and this is another.
    pub(crate) fn create(&self, name: &RepositoryName) -> cask_layout::Result<Option<Layout>> {
        let Some(directory) = self.directory(name, true)? else { return Ok(None) };
        self.layout(directory, name).map(Some)
    }

    /// Whether a repository could be.
    pub(crate) fn may_hold(&self, name: &RepositoryName) -> bool {
        self.single.as_ref().is_none_or(|single| single == name)
    }

    fn layout(&self, directory: OwnedFd, name: &RepositoryName) -> cask_layout::Result<Layout> {
        Layout::of_directory(directory, self.describe(name), self.options.clone())
    }

    fn describe(&self, name: &RepositoryName) -> PathBuf {
        if self.single.is_some() { self.path.clone() } else { self.path.join(name.as_str()) }
    }

    /// Opens the directory of a repository, step by step and through no link.
    fn directory(
        &self,
        name: &RepositoryName,
        create: bool,
    ) -> cask_layout::Result<Option<OwnedFd>> {
        let fail =
            |error: Errno| cask_layout::Error::of_system(error, "opening", self.describe(name));
        if !self.may_hold(name) {
            return Ok(None);
        }
        let mut directory =
            rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty()).map_err(fail)?;
        if self.single.is_some() {
            return Ok(Some(directory));
        }
        for component in name.components() {
            if create {
                match rustix::fs::mkdirat(&directory, component, Mode::from_raw_mode(0o755)) {
                    // The name of what was made is on the disk before anything in it is promised.
                    Ok(()) => rustix::fs::fsync(&directory).map_err(fail)?,
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(fail(error)),
                }
            }
            directory = match rustix::fs::openat(
                &directory,
                component,
                DIRECTORY | OFlags::NOFOLLOW,
                Mode::empty(),
            ) {
                Ok(next) => next,
                Err(Errno::NOENT) if !create => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) if !create => return Ok(None),
                Err(error) => return Err(fail(error)),
            };
        }
        Ok(Some(directory))
    }

    /// The names of all repositories, in order. Links are not followed, and what is no name is
    /// left out.
    pub(crate) fn repositories(&self) -> Result<Vec<RepositoryName>> {
        if let Some(single) = &self.single {
            return Ok(vec![single.clone()]);
        }
        let fail = |error: Errno| Error::io(error, "listing", self.path.display());
        let root = rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty()).map_err(fail)?;
        let mut found = Vec::new();
        let mut waiting = vec![String::new()];
        let mut seen = 0_usize;
        while let Some(parent) = waiting.pop() {
            let path = if parent.is_empty() { "." } else { parent.as_str() };
            let Ok(directory) = open_below(&root, path) else { continue };
            for name in names(&directory).map_err(fail)? {
                let full =
                    if parent.is_empty() { name.clone() } else { format!("{parent}/{name}") };
                let Ok(repository) = RepositoryName::parse(&full) else { continue };
                if kind_of(&directory, &name).map_err(fail)? != Some(FileType::Directory) {
                    continue;
                }
                seen += 1;
                if seen > MAX_DIRECTORIES {
                    return Err(Error::new(ErrorKind::Io, "listing", self.path.display())
                        .with_detail(format!(
                            "there are more than {MAX_DIRECTORIES} directories"
                        )));
                }
                let marker = format!("{name}/{MARKER_FILE}");
                if kind_of(&directory, &marker).map_err(fail)? == Some(FileType::RegularFile) {
                    found.push(repository);
                }
                waiting.push(full);
            }
        }
        found.sort();
        Ok(found)
    }
}

pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a directory below another by a path of plain names, through no link.
fn open_below(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let mut directory = rustix::fs::openat(root, ".", DIRECTORY, Mode::empty())?;
    for name in path.split('/') {
        directory =
            rustix::fs::openat(&directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(directory)
}

/// What has a name, without following links; `None` if nothing has.
fn kind_of(directory: impl AsFd, name: &str) -> rustix::io::Result<Option<FileType>> {
    match rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory, those that are no UTF-8 left out.
pub(crate) fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The name that a layout has by default: that of its directory.
fn name_of(path: &Path) -> Result<RepositoryName> {
    let full = std::fs::canonicalize(path)
        .map_err(|error| Error::io(error, "resolving", path.display()))?;
    let name = full.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    RepositoryName::parse(&name.to_lowercase()).map_err(|error| {
        Error::new(ErrorKind::InvalidName, "naming the repository of", path.display())
            .with_source(error)
            .with_hint("give the repository a name")
    })
}

/// Opens a file below a directory for reading and writing.
pub(crate) fn open_file(
    directory: &OwnedFd,
    name: &str,
    flags: OFlags,
) -> rustix::io::Result<File> {
    let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o644)).map(File::from)
}
