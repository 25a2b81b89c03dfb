//! Changing a container that was made.

use cask_runtime::Cgroup;

use super::resources::{change_group, whole};
use super::{
    Container, ContainerConfig, Containers, HealthChange, ResourcesConfig, RestartPolicy, health,
};
use crate::{Error, ErrorKind, Result};

/// What is changed of a container. What it does not say stays as it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ContainerChange {
    /// Limits.
    pub resources: ResourcesConfig,
    /// Whether it begins again when it has ended.
    pub restart: Option<RestartPolicy>,
    /// Variables of its environment, `NAME=VALUE`, which it has when it begins the next time.
    pub environment: Vec<String>,
    /// Variables that it does not have any more then.
    pub unset_environment: Vec<String>,
    /// Limits of its processes, as [`limits`](super::ProcessConfig::limits), in place of those that it has, from its
    /// next start on.
    pub limits: Option<Vec<String>>,
    /// How it is checked, from now on.
    pub health: HealthChange,
}

impl Containers {
    /// Changes a container; its limits, how it is checked and when it begins again at once where it runs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for limits that contradict one another or that the kernel does not take, for what is
    /// changed of a check that there is none of, and for a container that goes when it ends and shall begin again;
    /// [`ErrorKind::Unsupported`] where it runs without a control group. Then all of it stays as it is.
    pub fn update(&self, container: &Container, change: &ContainerChange) -> Result<()> {
        let held = container.place.lock()?;
        let (mut config, state) = container.place.load()?;
        let before = config.health.clone();
        change.apply(&mut config)?;
        config.resources.check()?;
        let mut limits = whole(&config.resources)?;
        if change.resources.memory.is_none() && config.resources.memory_swap.is_none() {
            limits.memory_and_swap_bytes = None;
        }
        if state.status.is_up() && change.resources != ResourcesConfig::default() {
            let group = state.cgroup.as_deref().map(Cgroup::open).transpose()?.flatten();
            let group = group.ok_or_else(|| {
                let words = format!("container {} has no control group", config.id);
                Error::new(ErrorKind::Unsupported, words, "its limits are those of this program")
            })?;
            change_group(&group, limits, &config.resources)?;
        }
        if state.status.is_up() {
            health::recount(&container.place, &before, &config.health)?;
        }
        container.place.save(&config, &state)?;
        drop(held);
        if state.status.is_up() && before != config.health {
            health::tell_monitor(container);
        }
        self.tell("update", &config);
        Ok(())
    }
}

impl ContainerChange {
    fn apply(&self, config: &mut ContainerConfig) -> Result<()> {
        config.resources.take(&self.resources);
        if let Some(policy) = self.restart {
            let begins_again = !matches!(policy, RestartPolicy::No | RestartPolicy::Unsaid);
            if config.lifecycle.auto_remove && begins_again {
                let words =
                    "cannot set restart policy on a container that will be removed when it ends";
                return Err(Error::new(ErrorKind::Invalid, words, ""));
            }
            config.lifecycle.restart = policy;
        }
        if let Some(new) = &self.limits {
            super::spec::limits(new)?;
            config.process.limits.clone_from(new);
        }
        if self.health.is_any() {
            self.health.apply(&mut config.health)?;
            config.health.fill(None);
            config.health.check()?;
        }
        let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
        let variables = &mut config.process.environment;
        variables.retain(|entry| !self.unset_environment.contains(&name(entry)));
        for new in &self.environment {
            match variables.iter_mut().find(|entry| name(entry) == name(new)) {
                Some(old) => old.clone_from(new),
                None => variables.push(new.clone()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_where_they_stand() {
        let mut config = ContainerConfig::default();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        config.process.environment = words(&["A=1", "B=2", "C=3"]);
        let change = ContainerChange {
            environment: words(&["C=", "A=x=y", "D=4"]),
            unset_environment: words(&["B", "E"]),
            ..ContainerChange::default()
        };
        change.apply(&mut config).unwrap();
        assert_eq!(config.process.environment, ["A=x=y", "C=", "D=4"]);
    }

    #[test]
    fn what_goes_when_it_ends_does_not_begin_again() {
        let mut config = ContainerConfig::default();
        config.lifecycle.auto_remove = true;
        let change =
            |policy| ContainerChange { restart: Some(policy), ..ContainerChange::default() };
        change(RestartPolicy::No).apply(&mut config).unwrap();
        let error = change(RestartPolicy::Always).apply(&mut config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
