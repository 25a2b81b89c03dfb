//! Pods that are made as others were.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Pod, Pods};
use crate::containers::name_of_copy;
use crate::{CloneOptions, Container, RemoveOptions, ResourcesConfig, Result};

/// In what a copy of a pod is not like it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PodCloneOptions {
    /// Its name; empty is that of the other with `-clone` behind it, and a number where that is taken.
    pub name: String,
    /// The command line that makes it.
    pub create_command: Vec<String>,
    /// Labels that it has besides the other's.
    pub labels: BTreeMap<String, String>,
    /// The host name that it has instead of the other's.
    pub hostname: Option<String>,
    /// The limits that it has instead of the other's.
    pub resources: ResourcesConfig,
}

impl Pods {
    /// Makes a pod as another one was made, with a copy of each of its containers; all of it or nothing. Nothing of it runs
    /// yet.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`clone_container`](crate::Containers::clone_container).
    pub fn clone_pod(&self, pod: &Pod, options: &PodCloneOptions) -> Result<Pod> {
        let infra = self.infra(pod)?;
        let members = self.containers_of(pod)?;
        let mut config = pod.config.clone();
        config.infra = None;
        config.name.clone_from(&options.name);
        config.create_command.clone_from(&options.create_command);
        config.labels.extend(options.labels.clone());
        if let Some(hostname) = &options.hostname {
            config.hostname.clone_from(hostname);
        }
        config.resources.take(&options.resources);
        config.resources.check()?;
        let choose = |is_taken: &dyn Fn(&str) -> bool| name_of_copy(pod.name(), is_taken);
        let made = self.establish(config, false, choose, |pod, root| {
            infra.as_ref().map(|infra| self.copy_infra(infra, pod, root)).transpose()
        })?;
        let how = CloneOptions { pod: Some(made.clone()), ..CloneOptions::default() };
        for member in members.iter().filter(|one| !one.config.pod.infra) {
            if let Err(error) = self.containers.clone_container(member, None, &how) {
                let _ =
                    self.remove(&made, &RemoveOptions { force: true, ..RemoveOptions::default() });
                return Err(error);
            }
        }
        Ok(made)
    }

    fn copy_infra(&self, infra: &Container, pod: &Pod, root: PathBuf) -> Result<Container> {
        let mut config = infra.config.clone();
        (config.id, config.layer, config.name) = Default::default();
        config.network.hostname = Some(pod.config.hostname.clone()).filter(|name| !name.is_empty());
        let root = config.process.pause.then_some(root);
        pod.settle_infra(&mut config, root);
        self.containers.register_copy(config)
    }
}
