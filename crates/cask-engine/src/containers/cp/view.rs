//! The files of this machine or of a container, as paths lead to them.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cask_rootfs::{Directory, ErrorKind as Rootfs, Kind, Metadata, Root};

use super::CopyEnd;
use crate::containers::{Container, Containers, MountType, Status, spec};
use crate::{Error, ErrorKind, Result};

/// The links that a path leads through at most. Source: Linux, `MAXSYMLINKS`.
const MOST_LINKS: usize = 40;

/// Files, and who they get to belong to.
pub(super) struct View<'a> {
    containers: &'a Containers,
    container: Option<&'a Container>,
    /// It is mounted for this alone.
    mounted: bool,
    root: Root,
    /// What is seen elsewhere than in the root of a container that does not run.
    mounts: Vec<Mounted>,
    /// Where relative paths begin.
    directory: Vec<u8>,
    written: Vec<u8>,
    owner: (u32, u32),
}

/// A volume or a bound file.
struct Mounted {
    target: Vec<u8>,
    root: Root,
    /// Where in the root: nothing, or the name of a file.
    below: Vec<u8>,
}

/// Where a path leads.
struct Resolved {
    /// From `/` on, without links.
    path: Vec<u8>,
    found: Option<Metadata>,
}

/// What is copied.
pub(super) struct Taken<'v> {
    pub(super) root: &'v Root,
    /// Its path in that root.
    pub(super) path: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) found: Metadata,
    /// Of a directory what is in it, without itself.
    pub(super) contents_only: bool,
    /// It is all of a container: then the kernel's own files are left out.
    pub(super) whole: bool,
}

/// Where it gets to.
pub(super) struct Placed<'v> {
    pub(super) root: &'v Root,
    /// The directory, in that root.
    pub(super) path: Vec<u8>,
    /// What it is called there, if not as where it comes from.
    pub(super) name: Option<Vec<u8>>,
    /// The directory as whoever is told of it knows it.
    pub(super) shown: Vec<u8>,
}

impl<'a> View<'a> {
    pub(super) fn open(containers: &'a Containers, end: &CopyEnd<'a>) -> Result<Self> {
        match end {
            CopyEnd::Host(path) => Self::host(containers, path),
            CopyEnd::Container(container, path) => Self::container(containers, container, path),
        }
    }

    fn host(containers: &'a Containers, path: &Path) -> Result<Self> {
        let here = rustix::process::getcwd(Vec::new()).map_err(|error| {
            Error::new(ErrorKind::Io, "asking where this is", "").with_source(error)
        })?;
        let owner = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Ok(Self {
            containers,
            container: None,
            mounted: false,
            root: Root::open("/")?,
            mounts: Vec::new(),
            directory: here.into_bytes(),
            written: path.as_os_str().as_bytes().to_vec(),
            owner,
        })
    }

    fn container(containers: &'a Containers, container: &'a Container, path: &str) -> Result<Self> {
        let runs = matches!(container.state.status, Status::Running | Status::Paused);
        let root = match runs {
            true => container.process()?.root()?,
            false => Root::open(containers.mount(container)?)?,
        };
        let mut view = Self {
            containers,
            container: Some(container),
            mounted: !runs,
            root,
            mounts: Vec::new(),
            directory: container.config.process.directory.clone().unwrap_or_default().into_bytes(),
            written: path.as_bytes().to_vec(),
            owner: (0, 0),
        };
        let user = container.config.process.user.clone().unwrap_or_default();
        let identity = spec::identity(&view.root, &user, &[])?;
        view.owner = container.config.namespaces.user.outside(identity.uid, identity.gid)?;
        if !runs {
            view.mounts = mounts(containers, container)?;
        }
        Ok(view)
    }

    pub(super) fn is_host(&self) -> bool {
        self.container.is_none()
    }

    /// Whom what is copied here belongs to; `None` is whom it belonged to.
    pub(super) fn owner(&self, keep: bool) -> Option<(u32, u32)> {
        (self.is_host() || !keep).then_some(self.owner)
    }

    /// Finds what is copied.
    pub(super) fn take(&self) -> Result<Taken<'_>> {
        let resolved = self.resolve(&self.written)?;
        let Some(found) = resolved.found else { return Err(self.nowhere()) };
        if self.is_host() && !found.is_directory() && ends_as_directory(&self.written) {
            let written = self.shown();
            let absolute = [self.directory.as_slice(), b"/", &self.written].concat();
            let why = format!("stat {}: not a directory", String::from_utf8_lossy(&absolute));
            let words = format!("{written:?} could not be found on the host");
            return Err(Error::new(ErrorKind::Invalid, words, why));
        }
        let last = self.written.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let at_root = resolved.path.is_empty();
        let (root, path) = self.locate(&resolved.path);
        Ok(Taken {
            root,
            path,
            name: name_of(&resolved.path).to_vec(),
            found,
            contents_only: found.is_directory() && (last == b"." || at_root),
            whole: at_root && !self.is_host(),
        })
    }

    /// Finds where it gets to.
    pub(super) fn place(&self, is_directory: bool) -> Result<Placed<'_>> {
        let resolved = self.resolve(&self.written)?;
        let found = match resolved.found {
            Some(found) => found,
            None => return self.place_beside(&resolved.path),
        };
        if found.is_directory() {
            return Ok(self.placed(&resolved.path, None));
        }
        let path = String::from_utf8_lossy(&resolved.path).into_owned();
        if is_directory {
            let why = "destination must be a directory when copying a directory";
            return Err(Error::new(ErrorKind::Invalid, "", why));
        }
        if self.is_host() && !found.is_file() {
            let why = format!("{path:?} must be a directory or a regular file");
            return Err(Error::new(ErrorKind::Invalid, "invalid destination", why));
        }
        if ends_as_directory(&self.written) {
            let why = format!("{path:?}: exists but is not a directory");
            return Err(Error::new(ErrorKind::Invalid, "copying to container", why));
        }
        let name = name_of(&resolved.path).to_vec();
        Ok(self.placed(parent_of(&resolved.path), Some(name)))
    }

    /// Under a name that is not there yet, in a directory that is.
    fn place_beside(&self, path: &[u8]) -> Result<Placed<'_>> {
        if self.written.ends_with(b"/") {
            return Err(self.nowhere());
        }
        let parent = parent_of(path);
        match self.resolve(&[b"/", parent].concat())?.found {
            Some(found) if found.is_directory() => {
                Ok(self.placed(parent, Some(name_of(path).to_vec())))
            }
            _ => Err(self.nowhere()),
        }
    }

    /// Finds where something is unpacked; `None` where it leads to no directory.
    pub(super) fn place_in_directory(&self) -> Result<Option<Placed<'_>>> {
        let resolved = self.resolve(&self.written)?;
        let is_directory = resolved.found.is_some_and(|found| found.is_directory());
        Ok(is_directory.then(|| self.placed(&resolved.path, None)))
    }

    fn placed(&self, directory: &[u8], name: Option<Vec<u8>>) -> Placed<'_> {
        let (root, path) = self.locate(directory);
        let shown = if directory.is_empty() { b"/".to_vec() } else { directory.to_vec() };
        Placed { root, path, name, shown }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// A path leads nowhere. The words are podman's.
    fn nowhere(&self) -> Error {
        let place = match self.container {
            Some(container) => format!("container {}", container.name()),
            None => "the host".to_owned(),
        };
        let words = format!("{:?} could not be found on {place}", self.shown());
        Error::new(ErrorKind::Invalid, words, "no such file or directory")
    }

    /// Follows a path, link by link, so that what is mounted on the way is seen.
    fn resolve(&self, text: &[u8]) -> Result<Resolved> {
        let parts = |text: &[u8]| -> VecDeque<Vec<u8>> {
            text.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
        };
        let mut left = match text.starts_with(b"/") {
            true => parts(text),
            false => parts(&[self.directory.as_slice(), b"/", text].concat()),
        };
        let mut path = Vec::new();
        let mut links = 0;
        let mut found = Some(self.root.directory("")?.own_metadata()?);
        while let Some(part) = left.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    path.truncate(parent_of(&path).len());
                    found = self.look(&path)?;
                    continue;
                }
                _ => path.extend([b"/", part.as_slice()].concat()),
            }
            found = self.look(&path)?;
            match &found {
                None => {
                    let rest = left.iter().filter(|part| !matches!(&part[..], b"" | b"."));
                    for part in rest {
                        path.extend([b"/", part.as_slice()].concat());
                    }
                    return Ok(Resolved { path, found: None });
                }
                Some(entry) if entry.kind == Kind::Symlink => {
                    links += 1;
                    if links > MOST_LINKS {
                        let why = "too many levels of symbolic links";
                        return Err(Error::new(ErrorKind::Invalid, self.shown(), why));
                    }
                    let target =
                        self.directory_of(&path)?.read_link(OsStr::from_bytes(name_of(&path)))?;
                    let target = target.as_bytes();
                    let keep = if target.starts_with(b"/") { 0 } else { parent_of(&path).len() };
                    path.truncate(keep);
                    for part in parts(target).into_iter().rev() {
                        left.push_front(part);
                    }
                    found = self.look(&path)?;
                }
                Some(_) => {}
            }
        }
        Ok(Resolved { path, found })
    }

    fn look(&self, path: &[u8]) -> Result<Option<Metadata>> {
        let (root, path) = self.locate(path);
        match root.metadata(OsStr::from_bytes(&path)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if matches!(error.kind(), Rootfs::NotFound | Rootfs::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn directory_of(&self, path: &[u8]) -> Result<Directory> {
        let (root, path) = self.locate(path);
        Ok(root.directory(OsStr::from_bytes(parent_of(&path)))?)
    }

    /// In which root a path without links is, and where there.
    fn locate(&self, path: &[u8]) -> (&Root, Vec<u8>) {
        let below = |mounted: &&Mounted| {
            path.strip_prefix(mounted.target.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        match self.mounts.iter().filter(below).max_by_key(|mounted| mounted.target.len()) {
            Some(mounted) => {
                let rest = &path[mounted.target.len()..];
                (&mounted.root, [mounted.below.as_slice(), rest].concat())
            }
            None => (&self.root, path.to_vec()),
        }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        if let (true, Some(container)) = (self.mounted, self.container) {
            // What stays mounted is taken back when the container is removed.
            let _ = self.containers.unmount(container, false);
        }
    }
}

/// What a container that does not run would see from elsewhere.
fn mounts(containers: &Containers, container: &Container) -> Result<Vec<Mounted>> {
    let mut found = Vec::new();
    // What would be changed of an overlay is there only while it runs.
    let mounts = container.config.files.mounts.iter().filter(|mount| !mount.overlay);
    for mount in mounts {
        let source = match mount.kind {
            MountType::Bind => mount.source.clone().into(),
            MountType::Volume => containers.volume_of(mount)?,
            _ => continue,
        };
        let target = mount.target.as_os_str().as_bytes().to_vec();
        let subpath = mount.subpath.as_bytes();
        let kind = std::fs::metadata(&source);
        match kind {
            Ok(kind) if kind.is_dir() => {
                let below = if subpath.is_empty() { Vec::new() } else { [b"/", subpath].concat() };
                found.push(Mounted { target, root: Root::open(&source)?, below });
            }
            Ok(_) => {
                let (Some(parent), Some(name)) = (source.parent(), source.file_name()) else {
                    continue;
                };
                let below = [b"/", name.as_bytes()].concat();
                found.push(Mounted { target, root: Root::open(parent)?, below });
            }
            // It is said when the container starts.
            Err(_) => {}
        }
    }
    Ok(found)
}

fn ends_as_directory(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.")
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn parent_of(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)]
}
