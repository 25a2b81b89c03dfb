//! Pods: containers that share namespaces, limits and their end.
//!
//! ```text
//! GRAPH ROOT/cask/pods/ (of a transient store RUN ROOT/cask/pods/)
//!   lock             held while a pod is made, for its name
//!   <id>/pod.json    what it was made with
//!   <id>/lock        held while a container joins it, and while it is removed
//!   <id>/root        the root of its infra container, which is empty
//! ```
//!
//! Which containers are in a pod, only they say (see [`PodMembership`](crate::PodMembership)); what became of it, only
//! they tell. The infra container is the one whose namespaces the others join: it is a container like every other, and
//! nothing runs in it but a process that waits.

mod acts;
mod copy;
mod join;
mod record;
mod remove;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::containers::Event;
use crate::{
    Container, ContainerSummary, Containers, CreateOptions, Error, ErrorKind, ResourcesConfig,
    RestartPolicy, Result, Status,
};

pub use copy::PodCloneOptions;

/// The pods of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pods {
    containers: Containers,
}

/// One pod, as it was when it was looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pod {
    /// What it was made with.
    pub config: PodConfig,
}

/// Everything that a pod was made with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PodConfig {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// The host name that somebody gave it; empty is its name.
    pub hostname: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The command line that made it.
    pub create_command: Vec<String>,
    /// What becomes of it when its last container ends.
    pub exit_policy: ExitPolicy,
    /// The ID of its infra container, if it has one.
    pub infra: Option<String>,
    /// What its containers share with that.
    pub shared: Vec<PodSpace>,
    /// Its containers have no control group of the pod's above their own.
    pub separate_groups: bool,
    /// The control group above that of the pod.
    pub cgroup_parent: Option<String>,
    /// How much all of its containers together may use.
    pub resources: ResourcesConfig,
    /// Whether its containers begin again, those that say nothing of it themselves.
    pub restart: RestartPolicy,
}

/// What becomes of a pod when the last container ends that is not its infra container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExitPolicy {
    /// Nothing: the infra container goes on.
    #[default]
    Continue,
    /// The infra container is stopped too.
    Stop,
}

/// Something that the containers of a pod can share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PodSpace {
    /// Control groups that they see.
    Cgroup,
    /// Shared memory and queues.
    Ipc,
    /// The network.
    Net,
    /// Processes.
    Pid,
    /// Users.
    User,
    /// The host name.
    Uts,
}

/// What became of a pod, which is what became of its containers. The words are podman's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PodState {
    /// None of them ran yet, or there are none.
    Created,
    /// All run.
    Running,
    /// Some run.
    Degraded,
    /// Some ended, and none runs.
    Stopped,
    /// All ended.
    Exited,
    /// All stand.
    Paused,
    /// Something else, such as that they are being removed.
    Error,
}

/// How a pod is made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PodOptions {
    /// What is wanted of it. Who it is, and when it was made, is filled in.
    pub config: PodConfig,
    /// Its infra container; `None` is that it has none. Who it is, and what it runs where it has no image, is filled in.
    pub infra: Option<CreateOptions>,
    /// The pod that has its name is removed with its containers.
    pub replace: bool,
}

impl Pod {
    /// Its ID.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The host name of its containers, where they share it.
    pub fn hostname(&self) -> &str {
        match self.config.hostname.as_str() {
            "" => &self.config.name,
            given => given,
        }
    }

    /// The control group above those of its containers; `None` where it has no need of one.
    pub fn control_group(&self) -> Option<String> {
        let PodConfig { id, cgroup_parent, separate_groups, resources, .. } = &self.config;
        if *separate_groups {
            return None;
        }
        match cgroup_parent {
            Some(parent) => Some(format!("{}/{id}", parent.trim_matches('/'))),
            None => (*resources != ResourcesConfig::default()).then(|| format!("cask/pod_{id}")),
        }
    }
}

impl Pod {
    /// That group as containers have it above their own.
    pub(crate) fn cgroup_parent(&self) -> Option<String> {
        self.control_group().map(|group| format!("/{group}"))
    }
}

impl ExitPolicy {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Stop => "stop",
        }
    }
}

impl FromStr for ExitPolicy {
    type Err = Error;

    /// Reads `continue` or `stop`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "continue" => Ok(Self::Continue),
            "stop" => Ok(Self::Stop),
            other => {
                let words =
                    format!("running pod create option: invalid pod exit policy: {other:?}");
                Err(Error::new(ErrorKind::Invalid, words, ""))
            }
        }
    }
}

impl PodSpace {
    /// Those that are shared where nobody says which.
    pub const USUAL: [Self; 3] = [Self::Ipc, Self::Net, Self::Uts];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }

    /// Reads words with commas between them; a `+` before the first is that the usual ones are shared too, and `none`
    /// that none is.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let (rest, mut found) = match text.strip_prefix('+') {
            Some(rest) => (rest, Self::USUAL.to_vec()),
            None => (text, Vec::new()),
        };
        let all = [Self::Cgroup, Self::Ipc, Self::Net, Self::Pid, Self::User, Self::Uts];
        for word in rest.split(',').filter(|word| !matches!(*word, "" | "none")) {
            let space = all.into_iter().find(|space| space.as_str() == word).ok_or_else(|| {
                let words = format!(
                    "invalid kernel namespace to share: {word}. Options are: cgroup, ipc, net, pid, uts or none"
                );
                Error::new(ErrorKind::Invalid, words, "")
            })?;
            found.push(space);
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

impl PodState {
    /// Source: podman, `libpod/pod_status.go`, `createPodStatusResults`.
    pub fn of<'c>(containers: impl IntoIterator<Item = &'c ContainerSummary>) -> Self {
        Self::of_each(containers.into_iter().map(|one| one.state.status))
    }

    fn of_each(statuses: impl IntoIterator<Item = Status>) -> Self {
        let (mut all, mut running, mut paused, mut ended, mut created) = (0, 0, 0, 0, 0);
        for status in statuses {
            all += 1;
            match status {
                Status::Running => running += 1,
                Status::Paused => paused += 1,
                Status::Exited => ended += 1,
                Status::Created => created += 1,
                Status::Initialized | Status::Removing => {}
            }
        }
        match () {
            () if all == 0 => Self::Created,
            () if running == all => Self::Running,
            () if running > 0 => Self::Degraded,
            () if paused == all => Self::Paused,
            () if ended == all => Self::Exited,
            () if ended > 0 => Self::Stopped,
            () if created < all => Self::Error,
            () => Self::Created,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Stopped => "Stopped",
            Self::Exited => "Exited",
            Self::Paused => "Paused",
            Self::Error => "Error",
        }
    }
}

impl fmt::Display for PodState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Containers {
    /// The pods beside them.
    pub fn pods(&self) -> Pods {
        Pods { containers: self.clone() }
    }
}

impl Pods {
    fn directory(&self) -> PathBuf {
        let store = self.containers.store();
        // As their containers.
        match store.options().transient {
            true => store.run_root().join("cask/pods"),
            false => store.graph_root().join("cask/pods"),
        }
    }

    /// What lists say of the containers of a pod, sorted by their IDs.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn members(&self, pod: &Pod) -> Result<Vec<ContainerSummary>> {
        let mut found = self.containers.summaries(&[], |_| ())?;
        found.retain(|one| one.pod.id == pod.config.id);
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// All pods, by the moments when they were made, each with what lists say of its containers.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Storage`] for a pod that cannot be read.
    pub fn with_members(&self) -> Result<Vec<(Pod, Vec<ContainerSummary>)>> {
        let mut members: BTreeMap<String, Vec<ContainerSummary>> = BTreeMap::new();
        for one in self.containers.summaries(&[], |_| ())? {
            if !one.pod.id.is_empty() {
                members.entry(one.pod.id.clone()).or_default().push(one);
            }
        }
        let with = |pod: Pod| {
            let mut own = members.remove(pod.id()).unwrap_or_default();
            own.sort_by(|a, b| a.id.cmp(&b.id));
            (pod, own)
        };
        Ok(self.all()?.into_iter().map(with).collect())
    }

    /// The infra container of a pod, if it has one.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] where it was removed by force; [`ErrorKind::Storage`].
    pub fn infra(&self, pod: &Pod) -> Result<Option<Container>> {
        pod.config.infra.as_deref().map(|id| self.containers.find(id)).transpose()
    }

    /// The pod that was made last, if there is one.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn latest(&self) -> Result<Option<Pod>> {
        Ok(self.all()?.pop())
    }

    /// Tells of something that was done to a pod.
    fn tell(&self, status: &str, pod: &Pod) {
        self.containers.tell_all(&[Event::of_pod(status, &pod.config)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_what_its_containers_are() {
        use Status::{Created, Exited, Initialized, Paused, Running};
        let check = |statuses: &[Status], expected: &str| {
            let found = PodState::of_each(statuses.iter().copied());
            assert_eq!(found.as_str(), expected, "{statuses:?}");
        };
        check(&[], "Created");
        check(&[Created, Created], "Created");
        check(&[Running, Running], "Running");
        check(&[Running, Exited], "Degraded");
        check(&[Running, Paused], "Degraded");
        check(&[Paused, Paused], "Paused");
        check(&[Exited, Exited], "Exited");
        check(&[Exited, Created], "Stopped");
        check(&[Initialized, Created], "Error");
    }

    #[test]
    fn what_is_shared_is_read() {
        let check = |text: &str, expected: &str| {
            let found = PodSpace::parse_list(text)
                .map(|found| found.into_iter().map(PodSpace::as_str).collect::<Vec<_>>().join(" "));
            assert_eq!(found.unwrap_or_else(|_| "refused".to_owned()), expected, "{text:?}");
        };
        check("", "");
        check("none", "");
        check("net,ipc", "ipc net");
        check("+pid", "ipc net pid uts");
        check("+", "ipc net uts");
        check("mnt", "refused");
        check("net,bogus", "refused");
    }
}
