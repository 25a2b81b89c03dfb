//! How much space containers and volumes take.

use super::details::tree_size;
use super::{Container, Containers, MountType, Volume};
use crate::Result;

/// How much space a container takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContainerUsage {
    /// The container.
    pub container: Container,
    /// The bytes of what it wrote over its image.
    pub written_bytes: u64,
    /// How many volumes it has.
    pub volumes: usize,
}

/// How much space a volume takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// The bytes of its files.
    pub size_bytes: u64,
    /// How many containers have it.
    pub containers: usize,
}

impl Containers {
    /// Says how much space containers and volumes take. What is damaged is left out.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage); [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn disk_usage(&self) -> Result<(Vec<ContainerUsage>, Vec<VolumeUsage>)> {
        let volumes_of = |container: &Container| {
            let mounts = container.config.files.mounts.iter();
            let volumes = mounts.filter(|mount| mount.kind == MountType::Volume);
            volumes.map(|mount| mount.source.clone()).collect::<Vec<_>>()
        };
        let mut containers = Vec::new();
        for container in self.all(|_| ())? {
            // One that goes meanwhile takes nothing.
            let written_bytes = self.size(&container).map_or(0, |(written, _)| written);
            let volumes = volumes_of(&container).len();
            containers.push(ContainerUsage { container, written_bytes, volumes });
        }
        let mut volumes = Vec::new();
        for volume in self.volumes().list()? {
            let has_it =
                |usage: &&ContainerUsage| volumes_of(&usage.container).contains(&volume.name);
            let users = containers.iter().filter(has_it).count();
            let size_bytes = tree_size(&volume.mount_point);
            volumes.push(VolumeUsage { volume, size_bytes, containers: users });
        }
        Ok((containers, volumes))
    }
}
