//! What lists say of containers, which is read several times sooner than all of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cask_storage::{Id, MountOptions};
use serde::Deserialize;

use super::health::Health;
use super::record::Place;
use super::{
    Container, ContainerState, Containers, NetworkMode, PodMembership, PortMapping, RestartPolicy,
    Status,
};
use crate::{Error, ErrorKind, Result};

/// What lists say of a container: a part of what [`Container`] has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// The image that it was made from; empty for one that has a root of its own.
    pub image_id: String,
    /// What the image was called then.
    pub image_name: String,
    /// The layer that it writes to.
    pub layer: String,
    /// What runs: entry point and command.
    pub command: Vec<String>,
    /// What is mounted, and where.
    pub mounts: Vec<(String, PathBuf)>,
    /// Which network.
    pub network: NetworkMode,
    /// The networks of names that it is on, sorted.
    pub networks: Vec<String>,
    /// Ports of this machine that lead to its own.
    pub ports: Vec<PortMapping>,
    /// Labels: the image's, and its own.
    pub labels: BTreeMap<String, String>,
    /// It is removed when it ends.
    pub auto_remove: bool,
    /// Whether it begins again.
    pub restart: RestartPolicy,
    /// What became of it. Of one that another program made nothing is known.
    pub state: ContainerState,
    /// The pod that it is in.
    pub pod: PodMembership,
    /// Another program made it: it is in the store, and nothing more is known of it.
    pub external: bool,
    checked: bool,
    place: Place,
}

/// The part of a configuration that makes a summary. Source: [`ContainerConfig`](super::ContainerConfig).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    id: String,
    name: String,
    created: String,
    image_id: String,
    image_name: String,
    layer: String,
    process: Process,
    files: Files,
    network: Network,
    labels: BTreeMap<String, String>,
    lifecycle: Lifecycle,
    health: Check,
    pod: PodMembership,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Process {
    entrypoint: Option<Vec<String>>,
    command: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Files {
    mounts: Vec<Mount>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mount {
    source: String,
    target: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Network {
    mode: NetworkMode,
    ports: Vec<PortMapping>,
    attachments: Vec<Attachment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attachment {
    network: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lifecycle {
    auto_remove: bool,
    restart: RestartPolicy,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Check {
    test: Vec<String>,
}

impl ContainerSummary {
    pub(super) fn new(part: Part, state: ContainerState, place: Place) -> Self {
        let mut command = part.process.entrypoint.unwrap_or_default();
        command.extend(part.process.command);
        let attachments = part.network.attachments.into_iter();
        let mut networks: Vec<String> = attachments.map(|one| one.network).collect();
        networks.sort();
        let mounts = part.files.mounts.into_iter().map(|mount| (mount.source, mount.target));
        Self {
            id: part.id,
            name: part.name,
            created: part.created,
            image_id: part.image_id,
            image_name: part.image_name,
            layer: part.layer,
            command,
            mounts: mounts.collect(),
            network: part.network.mode,
            networks,
            ports: part.network.ports,
            labels: part.labels,
            auto_remove: part.lifecycle.auto_remove,
            restart: part.lifecycle.restart,
            state,
            pod: part.pod,
            external: false,
            checked: super::health::is_command(&part.health.test),
            place,
        }
    }

    /// What its last checks said.
    pub fn health(&self) -> Health {
        if self.checked { Health::load(&self.place) } else { Health::default() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it should be gone: it ended, and nobody is left who would remove it.
    pub(super) fn outlived_its_removal(&self) -> bool {
        self.auto_remove
            && (self.state.status == Status::Exited || self.state.beginning)
            && !self.place.has_monitor()
    }
}

impl From<Container> for ContainerSummary {
    fn from(container: Container) -> Self {
        let Container { config, state, place } = container;
        let mounts = config.files.mounts.into_iter();
        let attachments = config.network.attachments.into_iter();
        let part = Part {
            id: config.id,
            name: config.name,
            created: config.created,
            image_id: config.image_id,
            image_name: config.image_name,
            layer: config.layer,
            process: Process {
                entrypoint: config.process.entrypoint,
                command: config.process.command,
            },
            files: Files {
                mounts: mounts
                    .map(|mount| Mount { source: mount.source, target: mount.target })
                    .collect(),
            },
            network: Network {
                mode: config.network.mode,
                ports: config.network.ports,
                attachments: attachments.map(|one| Attachment { network: one.network }).collect(),
            },
            labels: config.labels,
            lifecycle: Lifecycle {
                auto_remove: config.lifecycle.auto_remove,
                restart: config.lifecycle.restart,
            },
            health: Check { test: config.health.test },
            pod: config.pod,
        };
        Self::new(part, state, place)
    }
}

impl Containers {
    /// What lists say of the containers of the store that other programs made, such as builds.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn external(&self) -> Result<Vec<ContainerSummary>> {
        let mut found = Vec::new();
        for other in self.store().containers()? {
            let place = self.place(&other.id);
            if place.kept.exists() {
                continue;
            }
            let image_id = other.image.as_ref().map(ToString::to_string).unwrap_or_default();
            let image = self.images().find(&image_id).ok().map(|found| found.image);
            let is_of_build = self.images().is_of_build(&other);
            // The words are podman's. Source: podman, `pkg/ps/ps.go`, `ListStorageContainer`.
            let image_name = match image {
                Some(image) => image.names_history.first().or(image.names.first()).cloned(),
                None => (is_of_build && image_id.is_empty()).then(|| "scratch".to_owned()),
            };
            let made_by = if is_of_build { "buildah" } else { "storage" };
            let part = Part {
                id: other.id.to_string(),
                name: other.names.first().cloned().unwrap_or_default(),
                created: other.created.map(|time| time.to_string()).unwrap_or_default(),
                image_name: image_name.unwrap_or_default(),
                image_id,
                layer: other.layer.as_ref().map(ToString::to_string).unwrap_or_default(),
                process: Process { entrypoint: None, command: vec![made_by.to_owned()] },
                ..Part::default()
            };
            let mut summary = ContainerSummary::new(part, ContainerState::default(), place);
            summary.external = true;
            found.push(summary);
        }
        Ok(found)
    }

    /// The container of another program that has a name, an ID, or alone an ID that begins so.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`]; [`ErrorKind::Ambiguous`]; [`ErrorKind::Storage`].
    pub fn find_external(&self, text: &str) -> Result<ContainerSummary> {
        let mut all = self.external()?;
        if let Some(place) = all.iter().position(|one| one.name == text || one.id == text) {
            return Ok(all.swap_remove(place));
        }
        all.retain(|one| !text.is_empty() && one.id.starts_with(text));
        match (all.pop(), all.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(_), false) => {
                let words = format!("more than one result for container name or ID {text}");
                Err(Error::new(ErrorKind::Ambiguous, words, "container already exists"))
            }
            (None, _) => Err(Error::no_container(text)),
        }
    }

    /// As [`mount`](Self::mount), of a container of another program.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn mount_external(&self, found: &ContainerSummary) -> Result<PathBuf> {
        let mut options = MountOptions::default();
        options.writable = true;
        Ok(self.store().mount_layer(&Id::parse(&found.layer)?, &options)?)
    }

    /// Takes back one mount of such a container, or with `force` all of them.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn unmount_external(&self, found: &ContainerSummary, force: bool) -> Result<()> {
        self.store().unmount_layer(&Id::parse(&found.layer)?, force)?;
        Ok(())
    }

    /// Where the root of such a container is mounted, if it is.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn external_mounted_at(&self, found: &ContainerSummary) -> Result<Option<PathBuf>> {
        let mounts = self.store().mounts()?;
        let mount = mounts.into_iter().find(|mount| mount.layer.as_str() == found.layer);
        Ok(mount.map(|mount| mount.path))
    }
}
