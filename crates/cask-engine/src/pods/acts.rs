//! What is done to all containers of a pod.

use cask_runtime::{Cgroup, Signal};

use super::{ExitPolicy, Pod, Pods};
use crate::containers::whole_limits;
use crate::{
    Container, Containers, Error, ErrorKind, RemoveOptions, ResourcesConfig, Result, Status,
};

/// What could not be done to containers of a pod, by their IDs.
type Failures = Vec<(String, Error)>;

impl Pods {
    /// The containers of a pod, the infra container first, then those that were made first.
    pub(super) fn containers_of(&self, pod: &Pod) -> Result<Vec<Container>> {
        let mut found = Vec::new();
        for one in self.members(pod)? {
            match self.containers.find(&one.id) {
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {}
                other => found.push(other?),
            }
        }
        found.sort_by_cached_key(|one| (!one.config.pod.infra, one.config.created.clone()));
        Ok(found)
    }

    /// Starts the containers of a pod that do not run; those that run before the others have ended then.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] where there are none; [`ErrorKind::NotStarted`] where one that runs before the
    /// others failed. What else does not start is given back.
    pub fn start(&self, pod: &Pod) -> Result<Failures> {
        let all = self.containers_of(pod)?;
        if all.is_empty() {
            let words =
                format!("no containers in pod {} have no dependencies, cannot start pod", pod.id());
            return Err(Error::new(ErrorKind::ContainerNotKnown, words, "no such container"));
        }
        for one in all.iter().filter(|one| !one.config.pod.init.is_empty()) {
            self.run_before(one)?;
        }
        let mut failures = Vec::new();
        let idle = |one: &&Container| one.config.pod.init.is_empty() && !one.state.status.is_up();
        for one in all.iter().filter(idle) {
            if let Err(error) = self.containers.start(one, false, None) {
                failures.push((one.id().to_owned(), error));
            }
        }
        if failures.is_empty() {
            self.tell("start", pod);
        }
        Ok(failures)
    }

    /// Has a container run, and end, before the others of its pod begin.
    fn run_before(&self, container: &Container) -> Result<()> {
        self.containers.start(container, false, None)?;
        let code = self.containers.wait(container)?;
        if code != 0 {
            // The words are podman's.
            let words = format!("init container {} exited with code {code}", container.id());
            return Err(Error::new(ErrorKind::NotStarted, words, ""));
        }
        match container.config.pod.init.as_str() {
            "once" => self.containers.remove(container, &RemoveOptions::default()),
            _ => Ok(()),
        }
    }

    /// Stops the containers of a pod, the infra container last.
    ///
    /// # Errors
    /// As [`members`](Self::members). What does not end is given back.
    pub fn stop(&self, pod: &Pod, timeout: Option<u32>) -> Result<Failures> {
        let all = self.containers_of(pod)?;
        let (infra, others): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.config.pod.infra);
        let stop = |one: &Container| match self.containers.stop(one, timeout) {
            Ok(_) => None,
            // It was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => None,
            Err(error) => Some((one.id().to_owned(), error)),
        };
        let mut failures: Failures = std::thread::scope(|scope| {
            let stopping: Vec<_> = others.iter().map(|one| scope.spawn(|| stop(one))).collect();
            stopping.into_iter().filter_map(|one| one.join().ok().flatten()).collect()
        });
        failures.extend(infra.into_iter().filter_map(stop));
        if failures.is_empty() {
            self.tell("stop", pod);
        }
        Ok(failures)
    }

    /// Stops those that run, and starts all.
    ///
    /// # Errors
    /// As [`stop`](Self::stop) and [`start`](Self::start).
    pub fn restart(&self, pod: &Pod) -> Result<Failures> {
        let mut failures = self.stop(pod, None)?;
        failures.extend(self.start(pod)?);
        if failures.is_empty() {
            self.tell("restart", pod);
        }
        Ok(failures)
    }

    /// Sends a signal to those that run.
    ///
    /// # Errors
    /// As [`members`](Self::members).
    pub fn kill(&self, pod: &Pod, signal: Signal) -> Result<Failures> {
        self.each(pod, "kill", Status::is_up, |one| match self.containers.kill(one, signal) {
            // It ended meanwhile, with another one.
            Err(error) if error.kind() == ErrorKind::StateImproper => Ok(()),
            other => other,
        })
    }

    /// Has all processes of a pod stand.
    ///
    /// # Errors
    /// As [`members`](Self::members).
    pub fn pause(&self, pod: &Pod) -> Result<Failures> {
        let runs = |status| status == Status::Running;
        self.each(pod, "pause", runs, |one| self.containers.pause(one))
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// As [`members`](Self::members).
    pub fn unpause(&self, pod: &Pod) -> Result<Failures> {
        let stands = |status| status == Status::Paused;
        self.each(pod, "unpause", stands, |one| self.containers.unpause(one))
    }

    /// Those that are in a pod are acted on from the last to the first: the infra container is the last.
    fn each(
        &self,
        pod: &Pod,
        status: &str,
        is_meant: impl Fn(Status) -> bool,
        act: impl Fn(&Container) -> Result<()>,
    ) -> Result<Failures> {
        let mut failures = Vec::new();
        for one in self.containers_of(pod)?.iter().rev() {
            if is_meant(one.state.status)
                && let Err(error) = act(one)
                // It may have ended with another one meanwhile.
                && self.containers.reload(one).is_ok_and(|now| is_meant(now.state.status))
            {
                failures.push((one.id().to_owned(), error));
            }
        }
        if failures.is_empty() {
            self.tell(status, pod);
        }
        Ok(failures)
    }
}

impl Containers {
    /// Makes what a container of a pod needs that is the pod's: its control group.
    pub(crate) fn prepare_pod(&self, container: &Container) -> Result<()> {
        let id = &container.config.pod.id;
        if id.is_empty() {
            return Ok(());
        }
        let pod = match self.pods().find(id) {
            Err(error) if error.kind() == ErrorKind::PodNotKnown => return Ok(()),
            pod => pod?,
        };
        let Some(name) = pod.control_group() else { return Ok(()) };
        if pod.config.resources != ResourcesConfig::default() && Cgroup::open(&name)?.is_none() {
            Cgroup::create(&name, &whole_limits(&pod.config.resources)?)?;
        }
        Ok(())
    }

    /// Has a pod end with the last of its containers, where it is to do so.
    pub(crate) fn end_pod_with(&self, container: &Container) {
        let membership = &container.config.pod;
        if membership.id.is_empty() || membership.infra || !membership.init.is_empty() {
            return;
        }
        let pods = self.pods();
        let Ok(pod) = pods.find(&membership.id) else { return };
        if pod.config.exit_policy != ExitPolicy::Stop {
            return;
        }
        let Ok(members) = pods.members(&pod) else { return };
        let others = members.iter().filter(|one| !one.pod.infra && one.id != container.id());
        if others.into_iter().any(|one| one.state.status.has_process()) {
            return;
        }
        if let Ok(Some(infra)) = pods.infra(&pod) {
            let _ = self.stop(&infra, Some(0));
        }
    }
}
