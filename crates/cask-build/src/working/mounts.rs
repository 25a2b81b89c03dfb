//! What commands in working containers see beside their files.

use std::any::Any;
use std::path::{Path, PathBuf};

use cask_containerfile::instruction::{Mount as Words, MountKind, Propagation};
use cask_rootfs::Root;
use cask_runtime::{Cancel, Mount, Propagation as Travel};
use cask_storage::Image;

use super::state::Kind;
use super::{WorkingContainer, WorkingContainers};
use crate::build::BuildTools;
use crate::run::cache_mount::{self, CacheRequest};
use crate::run::memory;
use crate::{Error, ErrorKind, Result, config};

/// Where the source of a bind mount is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MountFrom {
    /// A directory of this machine: nothing outside of it is reached.
    Directory(PathBuf),
    /// An image of the store. What is written is lost.
    Image(Box<Image>),
    /// Another working container.
    Container(Box<WorkingContainer>),
}

/// A mount, taken hold of; what it needs goes when this is dropped.
#[derive(Debug)]
pub struct OpenedMount {
    /// The mount.
    pub mount: Mount,
    /// Whether the command's user gets it.
    pub(super) gives: bool,
    _keep: Option<Box<dyn Any>>,
}

/// The files of a container, mounted until this is dropped.
struct Kept(WorkingContainer);

impl Drop for Kept {
    fn drop(&mut self) {
        // A mount that stays is counted, and goes with the container.
        let _ = self.0.unmount_quietly();
    }
}

impl WorkingContainers {
    /// Takes hold of a mount for a command in a container, as `--mount` describes it: of the types
    /// `bind`, `cache` and `tmpfs`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what such a mount cannot have; [`ErrorKind::Missing`] and
    /// [`ErrorKind::Runtime`] for its source; [`ErrorKind::Cancelled`], [`ErrorKind::Storage`] and
    /// [`ErrorKind::Io`].
    ///
    /// Source: buildah, `internal/parse`, `GetBindMount`, `GetCacheMount` and `GetTmpfsMount`.
    pub fn open_mount(
        &self,
        container: &WorkingContainer,
        text: &str,
        from: MountFrom,
        cancel: &Cancel,
    ) -> Result<OpenedMount> {
        let invalid =
            |detail: &str| Error::new(ErrorKind::Invalid, format!("mount {text:?}"), detail);
        let words = Words::parse(text).map_err(|error| invalid(&error.to_string()))?;
        let target = words.target.as_deref().filter(|target| !target.is_empty());
        let target = target.ok_or_else(|| invalid("must set volume destination"))?;
        let working = container.state.execution_text(Kind::Oci, "WorkingDir");
        let target = config::working_directory(working, target);
        if target == "/" {
            return Err(invalid("nothing can be mounted over the root itself"));
        }
        if words.changes_owner && !matches!(words.kind, MountKind::Bind | MountKind::Cache) {
            return Err(invalid("U is for mounts of the types bind and cache"));
        }
        if words.relabel.is_some() && cask_runtime::has_selinux() {
            return Err(invalid("labels of SELinux are not supported: leave the option out"));
        }
        let (mut mount, keep) = match words.kind {
            MountKind::Bind => self.bind(&words, &target, from)?,
            MountKind::Cache if words.from.is_none() => self.cache(&words, &target, cancel)?,
            MountKind::Cache => {
                return Err(invalid("a cache of a command begins empty: leave from out"));
            }
            MountKind::Tmpfs => {
                (memory(words.size_bytes, words.mode, words.copies_up, &target), None)
            }
            _ => {
                return Err(invalid(
                    "the type is for builds: a command has mounts of the types bind, cache and tmpfs",
                ));
            }
        };
        mount.options.access.read_only = words.is_read_only;
        mount.options.propagation = match words.propagation {
            None | Some(Propagation::Private | Propagation::RecursivePrivate) => Travel::Private,
            Some(Propagation::Slave | Propagation::RecursiveSlave) => Travel::Slave,
            Some(_) => {
                return Err(invalid(
                    "bind-propagation is one of private, rprivate, slave and rslave",
                ));
            }
        };
        Ok(OpenedMount { mount, gives: words.changes_owner, _keep: keep })
    }

    fn bind(
        &self,
        words: &Words,
        target: &str,
        from: MountFrom,
    ) -> Result<(Mount, Option<Box<dyn Any>>)> {
        let source = words.source.as_deref().unwrap_or_default();
        let storage = |error| Error::storage(error, format!("the mount on {target}"));
        let found = match from {
            MountFrom::Directory(directory) => (below(&directory, source, target)?, None),
            MountFrom::Image(image) => {
                let layer = self.store().begin_working_layer(image.top_layer.as_ref());
                let mut layer = layer.map_err(storage)?;
                let path = layer.mount().map_err(storage)?.to_owned();
                (below(&path, source, target)?, Some(Box::new(layer) as Box<dyn Any>))
            }
            MountFrom::Container(container) => {
                let path = container.mount_quietly()?;
                let kept = Kept(*container);
                (below(&path, source, target)?, Some(Box::new(kept) as Box<dyn Any>))
            }
        };
        Ok(found)
    }

    /// The caches are those of builds.
    fn cache(
        &self,
        words: &Words,
        target: &str,
        cancel: &Cancel,
    ) -> Result<(Mount, Option<Box<dyn Any>>)> {
        let root = BuildTools::new(self.store().clone())?.state_directory.join("mounts");
        let request = CacheRequest {
            namespace: "",
            id: words.id.as_deref().unwrap_or(target),
            sharing: words.sharing.unwrap_or_default(),
            owner: (words.uid.unwrap_or(0), words.gid.unwrap_or(0)),
            mode: words.mode.unwrap_or(0o755),
        };
        let cache = cache_mount::open(&root, &request, cancel, |_| Ok(()))?;
        let source = cache
            .directory
            .try_clone()
            .map_err(|error| Error::io(error, "cannot be opened", &root))?;
        Ok((Mount::bind(source, target), Some(Box::new(cache))))
    }
}

/// Mounts what a path names within a directory, by an open handle.
fn below(directory: &Path, source: &str, target: &str) -> Result<Mount> {
    let root = Root::open(directory).map_err(|error| {
        let kind = match directory.exists() {
            true => ErrorKind::Io,
            false => ErrorKind::Missing,
        };
        Error::new(kind, directory.display(), "cannot be opened").with_source(error)
    })?;
    let source = match source.trim_matches('/') {
        "" => ".",
        source => source,
    };
    Mount::bind_below(&root, Path::new(source), target)
        .map_err(|error| Error::runtime(error, format!("the source of the mount on {target}")))
}
