//! Containers that are made as others were.

use super::super::mounts::check_name;
use super::super::{
    Container, ContainerConfig, Containers, NetworkMode, PodMembership, ResourcesConfig, SpaceMode,
    record,
};
use super::CreateOptions;
use crate::{Found, PodSpace, Result};

/// In what a copy of a container is not like it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CloneOptions {
    /// Its name; empty is that of the other with `-clone` behind it, and a number where that is taken.
    pub name: String,
    /// The limits that it has instead of the other's.
    pub resources: ResourcesConfig,
    /// The pod that it is in instead of the other's.
    pub pod: Option<crate::Pod>,
}

/// What is behind the name of a copy. Source: podman, `pkg/specgen/generate/container_create.go`, `CheckName`.
const SUFFIX: &str = "-clone";

impl Containers {
    /// Makes a container as another one was made, from the same image or from this one. It does not run yet.
    ///
    /// Both have the same volumes, those without a name too. Files that were named for the other alone (its ID, its
    /// processes, its log) are not written for the copy, and it stays when it has ended.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn clone_container(
        &self,
        container: &Container,
        image: Option<&Found>,
        options: &CloneOptions,
    ) -> Result<Container> {
        let mut config = container.config.clone();
        (config.id, config.layer) = Default::default();
        config.name = match options.name.as_str() {
            "" => self.name_of_copy(container.name()),
            name => name.to_owned(),
        };
        check_name(&config.name)?;
        if let Some(found) = image {
            // What it runs stays what it was made to run.
            self.take_image(&mut config, found)?;
            (config.rootfs, config.rootfs_overlay) = (None, false);
        }
        // There is one only.
        config.pod.infra = false;
        if let Some(pod) = &options.pod {
            config = self.move_into(pod, config)?;
        }
        config.resources.take(&options.resources);
        config.resources.check()?;
        self.register_copy(config)
    }

    /// Makes a container with what another one had.
    pub(crate) fn register_copy(&self, mut config: ContainerConfig) -> Result<Container> {
        let life = &mut config.lifecycle;
        (life.id_file, life.pid_file, life.monitor_pid_file) = (None, None, None);
        life.auto_remove = false;
        config.log.path = None;
        super::super::spec::check(&config)?;
        super::check_sources(&config)?;
        config.created = record::now();
        self.register(config)
    }

    /// Has a container be in another pod than the one that it was copied from.
    fn move_into(&self, pod: &crate::Pod, mut config: ContainerConfig) -> Result<ContainerConfig> {
        let pods = self.pods();
        let mut own = Vec::new();
        if let Ok(before) = pods.find(&config.pod.id) {
            if config.resources.cgroup_parent == before.cgroup_parent() {
                config.resources.cgroup_parent = None;
            }
            if let Some(infra) = &before.config.infra {
                config.lifecycle.requires.retain(|id| id != infra);
                own.extend(
                    before.config.shared.iter().filter(|space| !joins(&config, **space, infra)),
                );
                if !own.contains(&PodSpace::Uts) {
                    config.network.hostname = None;
                }
            }
        }
        config.pod = PodMembership { init: config.pod.init, ..PodMembership::default() };
        let mut wanted = CreateOptions { config, ..CreateOptions::default() };
        pods.join(pod, &mut wanted, &own)?;
        Ok(wanted.config)
    }

    fn name_of_copy(&self, name: &str) -> String {
        let of_pod = |name: &str| self.pods().is_named(name).unwrap_or_default();
        name_of_copy(name, |name| self.store().container_named(name).is_ok() || of_pod(name))
    }
}

/// Whether a container shares something with this other one.
fn joins(config: &ContainerConfig, space: PodSpace, other: &str) -> bool {
    let spaces = &config.namespaces;
    let is_of = |mode: &SpaceMode| matches!(mode, SpaceMode::Container(id) if id == other);
    match space {
        PodSpace::Cgroup => is_of(&spaces.cgroup),
        PodSpace::Ipc => is_of(&spaces.ipc),
        PodSpace::Net => matches!(&config.network.mode, NetworkMode::Container(id) if id == other),
        PodSpace::Pid => is_of(&spaces.pid),
        PodSpace::User => true,
        PodSpace::Uts => is_of(&spaces.uts),
    }
}

/// A name for a copy that is free.
pub(crate) fn name_of_copy(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let (start, number) = match name.find(SUFFIX) {
        None => {
            let first = format!("{name}{SUFFIX}");
            if !is_taken(&first) {
                return first;
            }
            (first, 0)
        }
        Some(at) => {
            let (start, behind) = name.split_at(at + SUFFIX.len());
            match behind.parse::<u32>() {
                Ok(number) => (start.to_owned(), number),
                Err(_) => (name.to_owned(), 0),
            }
        }
    };
    let names = (number.saturating_add(1)..).map(|number| format!("{start}{number}"));
    names.into_iter().find(|name| !is_taken(name)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_are_podmans() {
        let check = |name: &str, taken: &[&str], expected: &str| {
            assert_eq!(name_of_copy(name, |name| taken.contains(&name)), expected, "{name}");
        };
        check("a", &[], "a-clone");
        check("a", &["a-clone"], "a-clone1");
        check("a", &["a-clone", "a-clone1"], "a-clone2");
        check("a-clone", &["a-clone"], "a-clone1");
        check("a-clone1", &[], "a-clone2");
        check("a-clone9", &["a-clone10"], "a-clone11");
        check("a-cloned", &["a-cloned"], "a-cloned1");
    }
}
