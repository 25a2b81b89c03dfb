//! How a container joins a pod.

use super::{Pod, PodSpace, Pods};
use crate::{
    Container, ContainerConfig, CreateOptions, Error, ErrorKind, NetworkAttachment, NetworkMode,
    RestartPolicy, Result, SpaceMode,
};

impl Pods {
    /// Has a container that is about to be made be in a pod, and share what that shares but what is its `own`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what only the pod can have, in podman's words; [`ErrorKind::ContainerNotKnown`] where
    /// its infra container is no more.
    pub fn join(&self, pod: &Pod, options: &mut CreateOptions, own: &[PodSpace]) -> Result<()> {
        let config = &mut options.config;
        config.pod.id.clone_from(&pod.config.id);
        if config.lifecycle.restart == RestartPolicy::Unsaid && config.pod.init.is_empty() {
            config.lifecycle.restart = pod.config.restart;
        }
        if config.resources.cgroup_parent.is_none() {
            config.resources.cgroup_parent = pod.cgroup_parent();
        }
        let shares_network =
            pod.config.shared.contains(&PodSpace::Net) && !own.contains(&PodSpace::Net);
        if options.publish_all && shares_network {
            return refused(PORTS, SHARED);
        }
        let Some(infra) = self.infra(pod)? else { return Ok(()) };
        config.lifecycle.requires.push(infra.config.id.clone());
        for space in pod.config.shared.iter().filter(|space| !own.contains(space)) {
            share(config, *space, &infra)?;
        }
        let is_mapped = !infra.config.namespaces.user.mode.is_empty();
        if is_mapped || pod.config.shared.contains(&PodSpace::User) {
            options.users = crate::UsersRequest {
                mode: format!("container:{}", infra.config.id),
                caller: options.users.caller.take(),
                ..Default::default()
            };
        }
        inherit(&mut options.config, &infra.config);
        Ok(())
    }
}

/// Why what belongs to a pod is refused. Source: podman, `pkg/specgen/container_validate.go`, for all the words.
const SHARED: &str = "network cannot be configured when it is shared with a pod";
const PORTS: &str = "published or exposed ports must be defined when the pod is created";

fn refused(words: &str, why: &str) -> Result<()> {
    let words = format!("invalid config provided: {words}");
    Err(Error::new(ErrorKind::Invalid, words, why))
}

fn share(config: &mut ContainerConfig, space: PodSpace, infra: &Container) -> Result<()> {
    let id = || infra.config.id.clone();
    let spaces = &mut config.namespaces;
    match space {
        PodSpace::Cgroup => spaces.cgroup = SpaceMode::Container(id()),
        PodSpace::Ipc => spaces.ipc = SpaceMode::Container(id()),
        PodSpace::Pid => spaces.pid = SpaceMode::Container(id()),
        PodSpace::User => {}
        PodSpace::Uts => {
            if config.network.hostname.is_some() {
                let words = "cannot set hostname when joining the pod UTS namespace";
                return refused(words, "invalid configuration");
            }
            spaces.uts = SpaceMode::Container(id());
            config.network.hostname = Some(infra.hostname());
        }
        PodSpace::Net => {
            let network = &mut config.network;
            let asks = |one: &NetworkAttachment| *one != NetworkAttachment::of(&one.network);
            if network.attachments.iter().any(asks) {
                return refused("networks must be defined when the pod is created", SHARED);
            }
            if !network.ports.is_empty() {
                return refused(PORTS, SHARED);
            }
            if !network.add_hosts.is_empty() {
                return refused("extra host entries must be specified on the pod", SHARED);
            }
            network.mode = NetworkMode::Container(id());
            network.attachments.clear();
        }
    }
    Ok(())
}

/// What all containers of a pod are given that its infra container has.
///
/// Source: podman, `pkg/specgen/generate/container_create.go`, `Inherit`.
fn inherit(config: &mut ContainerConfig, infra: &ContainerConfig) {
    for mount in &infra.files.mounts {
        if !config.files.mounts.iter().any(|own| own.target == mount.target) {
            let mut mount = mount.clone();
            mount.anonymous = false;
            config.files.mounts.push(mount);
        }
    }
    for device in &infra.files.devices {
        if !config.files.devices.contains(device) {
            config.files.devices.push(device.clone());
        }
    }
    let (own, of_pod) = (&mut config.security, &infra.security);
    if own.options.is_empty() && !of_pod.options.is_empty() {
        own.options.clone_from(&of_pod.options);
        own.no_new_privileges |= of_pod.no_new_privileges;
        own.seccomp_unconfined |= of_pod.seccomp_unconfined;
        own.seccomp_profile.clone_from(&of_pod.seccomp_profile);
        own.mask.extend(of_pod.mask.iter().cloned());
        own.unmask.extend(of_pod.unmask.iter().cloned());
    }
}
