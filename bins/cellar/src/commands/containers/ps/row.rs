//! A container as templates and JSON see it.

use std::collections::BTreeMap;

use cask_engine::{ContainerSummary, PortMapping, Status};
use cask_terminal::table::human_size;
use cask_terminal::value::nil;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Arguments, One, seconds, shortened, status};
use crate::moment;

/// The fields of the usual table, and those that stand beside them. Others have headings of their own words.
pub(super) const FIELDS: [&str; 28] = [
    "ID",
    "Image",
    "Command",
    "CreatedHuman",
    "Created",
    "CreatedAt",
    "RunningFor",
    "Status",
    "State",
    "Ports",
    "Names",
    "Size",
    "Labels",
    "Mounts",
    "Networks",
    "Pod",
    "PodName",
    "Pid",
    "ExitCode",
    "Exited",
    "ExitedAt",
    "StartedAt",
    "ImageID",
    "AutoRemove",
    "IsInfra",
    "Restarts",
    "CGROUPNS",
    "USERNS",
];

/// The namespaces, each with its heading.
pub(super) const SPACES: [(&str, &str); 7] = [
    ("MNT", "MNT"),
    ("Cgroup", "CGROUPNS"),
    ("IPC", "IPC"),
    ("NET", "NET"),
    ("PIDNS", "PIDNS"),
    ("UTS", "UTS"),
    ("User", "USERNS"),
];

/// Headings that are not the words of the field.
pub(super) const TITLES: [(&str, &str); 14] = [
    ("ID", "CONTAINER ID"),
    ("CreatedHuman", "CREATED"),
    ("RunningFor", "RUNNING FOR"),
    ("Pod", "POD ID"),
    ("PodName", "PODNAME"),
    ("CGROUPNS", "CGROUPNS"),
    ("USERNS", "USERNS"),
    SPACES[0],
    SPACES[1],
    SPACES[2],
    SPACES[3],
    SPACES[4],
    SPACES[5],
    SPACES[6],
];

/// What of a row somebody looks at: most of what it can say takes time to put into words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What JSON has.
    Data,
    /// Whatever a template may name.
    Everything,
}

impl Part {
    /// How many fields that are.
    fn fields(self) -> usize {
        match self {
            Self::Data => 24,
            Self::Everything => 10 + 16 + 24,
        }
    }
}

/// A container as templates and JSON see it, which is not the same: what podman's methods say, a template sees before
/// the fields of the same names, which JSON has.
///
/// Source: podman, `pkg/domain/entities/container_ps.go`, `ListContainer`; `cmd/podman/containers/ps.go`, `psReporter`.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) one: &'a One<'a>,
    pub(super) arguments: &'a Arguments,
    pub(super) part: Part,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("containers.psReporter", self.part.fields())?;
        if self.part == Part::Everything {
            self.usual(&mut row)?;
            self.more(&mut row)?;
        }
        self.data(&mut row)?;
        row.end()
    }
}

impl Row<'_> {
    fn summary(&self) -> &ContainerSummary {
        self.one.summary
    }

    fn usual<S: SerializeStruct>(&self, row: &mut S) -> Result<(), S::Error> {
        let summary = self.summary();
        let created = moment::since(Some(self.one.created));
        row.serialize_field("ID json:-", self.one.id(self.arguments))?;
        row.serialize_field("Image json:-", self.one.image())?;
        row.serialize_field("Command json:-", &command(&summary.command, self.arguments.no_trunc))?;
        row.serialize_field("CreatedHuman json:-", &created)?;
        row.serialize_field("Status json:-", &status(summary))?;
        row.serialize_field("Ports json:-", &ports(self.one.ports()))?;
        row.serialize_field("Names json:-", &summary.name)?;
        row.serialize_field("Size json:-", &size(self.one.size))?;
        row.serialize_field("Pod json:-", shortened(&summary.pod.id, self.arguments))?;
        row.serialize_field("PodName json:-", self.one.pod.0)
    }

    /// What only templates see.
    fn more<S: SerializeStruct>(&self, row: &mut S) -> Result<(), S::Error> {
        let summary = self.summary();
        let created = self.one.created.to_string().replace('T', " ").replace('Z', " +0000 UTC");
        row.serialize_field("Created json:-", &created)?;
        row.serialize_field("CreatedAt json:-", &created)?;
        row.serialize_field("RunningFor json:-", &moment::since(Some(self.one.created)))?;
        row.serialize_field("Networks json:-", &summary.networks.join(","))?;
        row.serialize_field("ImageID json:-", shortened(&summary.image_id, self.arguments))?;
        row.serialize_field("Restarts json:-", &summary.state.restarts.to_string())?;
        let spaces = self.namespaces();
        row.serialize_field("MNT json:-", &spaces.mount)?;
        row.serialize_field("Cgroup json:-", &spaces.cgroup)?;
        row.serialize_field("IPC json:-", &spaces.ipc)?;
        row.serialize_field("NET json:-", &spaces.network)?;
        row.serialize_field("PIDNS json:-", &spaces.pid)?;
        row.serialize_field("UTS json:-", &spaces.uts)?;
        row.serialize_field("User json:-", &spaces.user)?;
        row.serialize_field("Label lookup", &summary.labels)?;
        // As podman 4 calls them.
        row.serialize_field("CGROUPNS json:-", &spaces.cgroup)?;
        row.serialize_field("USERNS json:-", &spaces.user)
    }

    /// What JSON has. Of those that have a name of the above, templates see the above.
    fn data<S: SerializeStruct>(&self, row: &mut S) -> Result<(), S::Error> {
        let (summary, state) = (self.summary(), &self.summary().state);
        let mounts: Vec<String> =
            summary.mounts.iter().map(|(_, to)| to.display().to_string()).collect();
        row.serialize_field("AutoRemove", &summary.auto_remove)?;
        row.serialize_field("Command", &summary.command)?;
        row.serialize_field("CreatedAt", &moment::since(Some(self.one.created)))?;
        row.serialize_field("Exited", &(state.status == Status::Exited))?;
        row.serialize_field("ExitedAt", &seconds(&state.finished_at))?;
        row.serialize_field("ExitCode", &state.exit_code)?;
        row.serialize_field("ID json:Id", &summary.id)?;
        row.serialize_field("Image", self.one.image())?;
        row.serialize_field("ImageID", &summary.image_id)?;
        row.serialize_field("IsInfra", &summary.pod.infra)?;
        row.serialize_field("Labels", &Labels(&summary.labels))?;
        row.serialize_field("Mounts", &mounts)?;
        row.serialize_field("Names", &[&summary.name])?;
        row.serialize_field("Namespaces", &self.namespaces())?;
        row.serialize_field("Networks", &summary.networks)?;
        row.serialize_field("Pid", &state.pid)?;
        row.serialize_field("Pod", &summary.pod.id)?;
        row.serialize_field("PodName", self.one.pod.0)?;
        row.serialize_field("Ports", &Ports(self.one.ports()))?;
        row.serialize_field("Size", &self.one.size)?;
        row.serialize_field("StartedAt", &seconds(&state.started_at))?;
        row.serialize_field("State", self.one.state())?;
        row.serialize_field("Status", &status(summary))?;
        row.serialize_field("Created", &self.one.created.unix_seconds())
    }

    fn namespaces(&self) -> Namespaces {
        match self.arguments.namespaces {
            true => Namespaces::of(self.summary().state.pid),
            false => Namespaces::default(),
        }
    }
}

/// The namespaces of a process, by their numbers; each is empty where it does not run.
///
/// Source: podman, `pkg/domain/entities/container_ps.go`, `ListContainerNamespaces`.
#[derive(Clone, Default, Serialize)]
#[serde(rename = "entities.ListContainerNamespaces")]
struct Namespaces {
    #[serde(rename = "MNT json:Mnt,omitempty")]
    mount: String,
    #[serde(rename = "Cgroup json:,omitempty")]
    cgroup: String,
    #[serde(rename = "IPC json:Ipc,omitempty")]
    ipc: String,
    #[serde(rename = "NET json:Net,omitempty")]
    network: String,
    #[serde(rename = "PIDNS json:Pidns,omitempty")]
    pid: String,
    #[serde(rename = "UTS json:Uts,omitempty")]
    uts: String,
    #[serde(rename = "User json:,omitempty")]
    user: String,
}

impl Namespaces {
    fn of(pid: u32) -> Self {
        if pid == 0 {
            return Self::default();
        }
        let number = |name: &str| -> String {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap_or_default();
            link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
        };
        Self {
            mount: number("mnt"),
            cgroup: number("cgroup"),
            ipc: number("ipc"),
            network: number("net"),
            pid: number("pid"),
            uts: number("uts"),
            user: number("user"),
        }
    }
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Size {
    #[serde(rename = "rootFsSize")]
    pub(super) root_bytes: u64,
    #[serde(rename = "rwSize")]
    pub(super) written_bytes: u64,
}

/// Labels, of which none is nil.
struct Labels<'a>(&'a BTreeMap<String, String>);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        nil::map(&Some(self.0).filter(|labels| !labels.is_empty()), serializer)
    }
}

/// Ports, of which none is nil.
struct Ports<'a>(&'a [PortMapping]);

impl Serialize for Ports<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        nil::list(&Some(self.0).filter(|ports| !ports.is_empty()), serializer)
    }
}

/// Ports as the usual table has them.
pub(super) fn ports(ports: &[PortMapping]) -> String {
    let span = |first: u16, count: u16| match count {
        0 | 1 => first.to_string(),
        _ => format!("{first}-{}", first + count - 1),
    };
    let one = |port: &PortMapping| {
        let ip = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
        let (host, inside) =
            (span(port.host_port, port.range), span(port.container_port, port.range));
        format!("{ip}:{host}->{inside}/{}", port.protocol)
    };
    ports.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The size as the usual table has it.
pub(super) fn size(size: Option<Size>) -> String {
    size.map_or(String::new(), |size| {
        format!("{} (virtual {})", human_size(size.written_bytes), human_size(size.root_bytes))
    })
}

/// A command, cut at twenty characters. Source: podman, `cmd/podman/containers/ps.go`, `Command`.
pub(super) fn command(words: &[String], whole: bool) -> String {
    let text = words.join(" ");
    if whole || text.chars().count() <= 20 {
        return text;
    }
    let cut: String = text.chars().take(17).collect();
    format!("{cut}...")
}
