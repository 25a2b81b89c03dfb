//! Removing pods.

use cask_runtime::Cgroup;

use super::{Pod, PodState, Pods};
use crate::{Containers, Error, ErrorKind, RemoveOptions, Result};

impl Pods {
    /// Removes a pod with its containers, and the volumes that were made for them alone.
    ///
    /// # Errors
    /// [`ErrorKind::PodNotKnown`] where somebody else removed it; [`ErrorKind::StateImproper`] where one of its
    /// containers runs that is not its infra container, without `force`; those of
    /// [`Containers::remove`](crate::Containers::remove).
    pub fn remove(&self, pod: &Pod, options: &RemoveOptions) -> Result<()> {
        let held = self.hold(pod.id())?;
        let mut members = self.members(pod)?;
        let up = members.iter().filter(|one| !one.pod.infra && one.state.status.is_up());
        if let Some(one) = up.into_iter().next().filter(|_| !options.force) {
            let (container, pod, state) = (&one.id, pod.id(), one.state.word());
            // The words are podman's.
            let words = format!(
                "removing container {container} from pod {pod}: cannot remove container {container} as it is {state} - running or paused containers cannot be removed without force"
            );
            return Err(Error::new(ErrorKind::StateImproper, words, "container state improper"));
        }
        // The others need it until their end.
        members.sort_by_key(|one| one.pod.infra);
        for one in &members {
            let mut how = options.clone();
            how.force |= one.pod.infra;
            how.volumes = true;
            if one.pod.infra {
                how.timeout = Some(0);
            }
            match self.containers.find(&one.id) {
                Ok(container) => self.containers.remove_any(&container, &how)?,
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(name) = pod.control_group()
            && let Some(group) = Cgroup::open(&name)?
        {
            group.remove()?;
        }
        self.forget(pod)?;
        drop(held);
        self.tell("remove", pod);
        Ok(())
    }

    /// Removes the pods whose containers have all ended; gives each with what came of that.
    ///
    /// # Errors
    /// As [`with_members`](Self::with_members).
    pub fn prune(&self) -> Result<Vec<(Pod, Result<()>)>> {
        self.tidy()?;
        let mut all = self.with_members()?;
        all.retain(|(_, members)| {
            matches!(PodState::of(members), PodState::Stopped | PodState::Exited)
        });
        let remove = |(pod, _): (Pod, _)| {
            let removed = self.remove(&pod, &RemoveOptions::default());
            (pod, removed)
        };
        Ok(all.into_iter().map(remove).collect())
    }
}

impl Containers {
    /// Refuses to remove the infra container of a pod that there is. The words are podman's.
    pub(crate) fn check_no_infra(&self, container: &crate::Container) -> Result<()> {
        let pod = &container.config.pod;
        if !pod.infra || self.pods().find(&pod.id).is_err() {
            return Ok(());
        }
        let words = format!(
            "container {} is the infra container of pod {} and cannot be removed without removing the pod",
            container.id(),
            pod.id
        );
        Err(Error::new(ErrorKind::Invalid, words, ""))
    }
}
