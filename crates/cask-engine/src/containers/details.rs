//! What else is known of a container.

use std::path::PathBuf;

use cask_storage::{Id, MountOptions};

use super::record::Place;
use super::{Container, ContainerSummary, Containers, Status, etc, spec};
use crate::{Error, ErrorKind, Result};

impl Container {
    /// The host name that it sees.
    pub fn hostname(&self) -> String {
        etc::hostname(&self.config)
    }

    /// The capabilities that it has at most.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn capabilities(&self) -> Result<Vec<String>> {
        Ok(spec::capabilities(&self.config)?.iter().map(|one| one.name().to_owned()).collect())
    }

    /// The capabilities that a user who is not root has from the beginning.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn capabilities_of_user(&self) -> Result<Vec<String>> {
        Ok(spec::ambient(&self.config)?.iter().map(|one| one.name().to_owned()).collect())
    }
}

impl Containers {
    /// Gives a container another name.
    ///
    /// # Errors
    /// [`ErrorKind::NameInUse`], by a container or a pod; [`ErrorKind::Invalid`] for what is no name.
    pub fn rename(&self, container: &Container, name: &str) -> Result<()> {
        super::mounts::check_name(name)?;
        let _held = container.place.lock()?;
        let (mut config, state) = container.place.load_as_written()?;
        let id = Id::parse(container.id())?;
        let call = |name: &str| self.store().set_container_names(&id, &[name.to_owned()]);
        call(name).map_err(|error| match error.kind() {
            cask_storage::ErrorKind::Exists => {
                let words = format!("name {name:?} is in use");
                Error::new(ErrorKind::NameInUse, words, "container already exists")
            }
            _ => error.into(),
        })?;
        if let Err(error) = self.check_pods(name) {
            call(&config.name)?;
            return Err(error);
        }
        name.clone_into(&mut config.name);
        container.place.save_lasting(&config, &state)?;
        self.tell("rename", &config);
        Ok(())
    }

    /// Mounts the root of a container; says where. Taken back by [`unmount`](Self::unmount).
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn mount(&self, container: &Container) -> Result<PathBuf> {
        if let Some(root) = &container.config.rootfs {
            let rootless = self.store().options().rootless;
            return match container.config.rootfs_overlay {
                true => container.place.mount_root(root, rootless),
                false => Ok(root.clone()),
            };
        }
        let mut options = MountOptions::default();
        options.writable = true;
        options.owners = container.config.namespaces.user.owners()?;
        let root = self.store().mount_layer(&Id::parse(&container.config.layer)?, &options)?;
        container.config.namespaces.user.keep_root(&root)?;
        Ok(root)
    }

    /// Takes back one mount of a container, or with `force` all of them.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] for `force` where it runs; [`ErrorKind::Storage`].
    pub fn unmount(&self, container: &Container, force: bool) -> Result<()> {
        if force && container.state.status.is_up() {
            let words = format!("container {} is running or paused", container.id());
            return Err(Error::new(ErrorKind::StateImproper, words, "container state improper"));
        }
        if container.config.rootfs.is_none() {
            self.store().unmount_layer(&Id::parse(&container.config.layer)?, force)?;
        }
        container.place.unmount_root()
    }

    /// Tells an error of a container that was removed meanwhile from any other: its layer is gone before it is.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] for one that is gone, or is going; otherwise the same.
    pub fn unless_removed<T, E: From<Error>>(
        &self,
        container: &Container,
        result: std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        unless_removed(&container.place, container.name(), result)
    }

    /// Where the root of a container is mounted, if it is.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn mounted_at(&self, container: &Container) -> Result<Option<PathBuf>> {
        let mounts = self.store().mounts()?;
        let found = mounts.into_iter().find(|mount| mount.layer.as_str() == container.config.layer);
        Ok(found.map(|mount| mount.path))
    }

    /// Where the parts of its root are, as `inspect` has them.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] where it was removed meanwhile; [`ErrorKind::Storage`].
    pub fn graph_driver(&self, container: &Container) -> Result<Vec<(&'static str, String)>> {
        self.unless_removed(container, self.parts(container))
    }

    fn parts(&self, container: &Container) -> Result<Vec<(&'static str, String)>> {
        let Ok(layer) = Id::parse(&container.config.layer) else { return Ok(Vec::new()) };
        let top = self.store().graph_root().join(self.store().driver().as_str());
        let of = |id: &Id, name: &str| top.join(id.as_str()).join(name).display().to_string();
        if self.store().driver() != cask_storage::DriverKind::Overlay {
            return Ok(Vec::new());
        }
        let chain = self.store().layer_chain(&layer)?;
        let lower: Vec<String> = chain.iter().skip(1).map(|layer| of(&layer.id, "diff")).collect();
        let mut parts = vec![("LowerDir", lower.join(":"))];
        if let Some(path) = self.mounted_at(container)? {
            parts.push(("MergedDir", path.display().to_string()));
        }
        parts.push(("UpperDir", of(&layer, "diff")));
        parts.push(("WorkDir", of(&layer, "work")));
        Ok(parts)
    }

    /// How much it wrote, and how much it sees, in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] where it was removed meanwhile; [`ErrorKind::Storage`]; [`ErrorKind::Io`].
    pub fn size(&self, container: &Container) -> Result<(u64, u64)> {
        self.unless_removed(container, self.size_of(&container.config.layer))
    }

    /// As [`size`](Self::size).
    ///
    /// # Errors
    /// As [`size`](Self::size).
    pub fn summary_size(&self, summary: &ContainerSummary) -> Result<(u64, u64)> {
        unless_removed(summary.place(), &summary.name, self.size_of(&summary.layer))
    }

    fn size_of(&self, layer: &str) -> Result<(u64, u64)> {
        let Ok(layer) = Id::parse(layer) else { return Ok((0, 0)) };
        let top = self.store().graph_root().join(self.store().driver().as_str());
        let written = match self.store().driver() {
            cask_storage::DriverKind::Overlay => tree_size(&top.join(layer.as_str()).join("diff")),
            _ => 0,
        };
        let chain = self.store().layer_chain(&layer)?;
        let below =
            chain.iter().skip(1).filter_map(|layer| u64::try_from(layer.diff_size_bytes).ok());
        Ok((written, written + below.sum::<u64>()))
    }
}

fn unless_removed<T, E: From<Error>>(
    place: &Place,
    name: &str,
    result: std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    result.map_err(|error| match place.load() {
        Ok((_, state)) if state.status == Status::Removing => Error::no_container(name).into(),
        Err(gone) if gone.kind() == ErrorKind::ContainerNotKnown => {
            Error::no_container(name).into()
        }
        _ => error,
    })
}

/// The bytes of all files below a directory; each once.
pub(super) fn tree_size(top: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut seen = std::collections::HashSet::new();
    let mut left = vec![top.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                left.push(entry.path());
            }
            if found.nlink() == 1 || found.is_dir() || seen.insert((found.dev(), found.ino())) {
                bytes += found.len();
            }
        }
    }
    bytes
}
