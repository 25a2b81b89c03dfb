//! What sets the commands of a working container apart from the machine, and what they may use of it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_runtime::{
    Cgroup, CgroupLimits, Device, Namespace, Namespaces, Seccomp, SeccompProfile, is_cdi_device,
};
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

use super::WorkingContainer;
use super::state::State;
use crate::{Error, ErrorKind, Result};

/// The profile that peers remember where nobody names one.
///
/// Source: buildah, `pkg/parse`, `SeccompDefaultPath`.
const USUAL_PROFILE: &str = "/usr/share/containers/seccomp.json";

/// What sets commands apart, and what they may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkingConfinement {
    /// What they have for themselves, or with others.
    pub namespaces: WorkingNamespaces,
    /// Devices of the machine: `SOURCE[:PATH][:PERMISSIONS]`, or `VENDOR/CLASS=NAME` where a vendor describes it.
    pub devices: Vec<String>,
    /// What they may use together.
    pub resources: WorkingResources,
    /// Whether they may make every call of the kernel.
    pub danger_no_seccomp: bool,
    /// A file that says which, instead of what is usual.
    pub seccomp_profile: Option<PathBuf>,
}

/// What commands have for themselves, or with others. `None` is what is usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkingNamespaces {
    /// Shared memory and queues.
    pub ipc: Option<WorkingNamespace>,
    /// Processes.
    pub pid: Option<WorkingNamespace>,
    /// The name of the machine.
    pub uts: Option<WorkingNamespace>,
    /// The control group that is taken for the topmost.
    pub cgroup: Option<WorkingNamespace>,
}

impl WorkingNamespaces {
    /// Opens those that belong to others.
    pub(crate) fn open(&self) -> Result<Namespaces> {
        let open = |chosen: &Option<WorkingNamespace>| {
            chosen.as_ref().map_or(Ok(Namespace::New), WorkingNamespace::open)
        };
        let mut namespaces = Namespaces::default();
        namespaces.communication = open(&self.ipc)?;
        namespaces.processes = open(&self.pid)?;
        namespaces.names = open(&self.uts)?;
        namespaces.control_groups = open(&self.cgroup)?;
        Ok(namespaces)
    }
}

/// Where commands have something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkingNamespace {
    /// For themselves.
    Private,
    /// With the machine.
    Host,
    /// In the namespace that a file of this path refers to.
    Path(String),
}

impl WorkingNamespace {
    /// Reads what a flag says: `private`, `container` or nothing; `host`; `ns:PATH` or a path.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] for a path where nothing is.
    ///
    /// Source: buildah, `pkg/parse`, `NamespaceOptions`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "private" | "container" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            text => {
                let path = text.strip_prefix("ns:").unwrap_or(text);
                match std::path::Path::new(path).exists() {
                    true => Ok(Self::Path(path.to_owned())),
                    false => {
                        let detail = "is no namespace: use private, host or ns:PATH";
                        Err(Error::new(ErrorKind::Missing, format!("{text:?}"), detail))
                    }
                }
            }
        }
    }

    fn open(&self) -> Result<Namespace> {
        Ok(match self {
            Self::Private => Namespace::New,
            Self::Host => Namespace::Host,
            Self::Path(path) => Namespace::Join(open_namespace(path)?),
        })
    }
}

/// Opens the namespace that a file refers to.
pub(super) fn open_namespace(path: &str) -> Result<Arc<OwnedFd>> {
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let opened =
        opened.map_err(|error| Error::io(error, "cannot be opened", std::path::Path::new(path)))?;
    Ok(Arc::new(opened))
}

/// What commands may use together; zero and empty are no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkingResources {
    /// Memory.
    pub memory_bytes: u64,
    /// Memory and swap together; -1 for no limit.
    pub memory_and_swap_bytes: i64,
    /// The period of the processor's time, in microseconds.
    pub processor_period_micros: u64,
    /// Processor time in each period, in microseconds.
    pub processor_quota_micros: i64,
    /// The share of processor time where it is short.
    pub processor_shares: u64,
    /// The processors that may be used.
    pub processors: String,
    /// The memory nodes that may be used.
    pub memory_nodes: String,
    /// The control group above that of the commands.
    pub parent: String,
}

impl WorkingConfinement {
    /// Writes it down.
    pub(super) fn remember(
        &self,
        state: &mut State,
        network: Option<WorkingNamespace>,
        users: Option<WorkingNamespace>,
    ) -> Result<()> {
        let Self { namespaces, devices, resources, danger_no_seccomp, seccomp_profile } = self;
        let profile = match (danger_no_seccomp, seccomp_profile) {
            (true, _) => "unconfined".to_owned(),
            (false, Some(path)) => path.display().to_string(),
            (false, None) => String::new(),
        };
        let entry = |name: &str, chosen: &Option<WorkingNamespace>, usual: bool| {
            let (host, path) = match chosen {
                None => (usual, ""),
                Some(WorkingNamespace::Private) => (false, ""),
                Some(WorkingNamespace::Host) => (true, ""),
                Some(WorkingNamespace::Path(path)) => (false, path.as_str()),
            };
            json!({"Name": name, "Host": host, "Path": path})
        };
        let entries = [
            entry("cgroup", &namespaces.cgroup, !Cgroup::is_unified()),
            entry("ipc", &namespaces.ipc, false),
            entry("mount", &None, false),
            entry("network", &network, false),
            entry("pid", &namespaces.pid, false),
            entry("user", &users, true),
            entry("uts", &namespaces.uts, false),
        ];
        state.set("NamespaceOptions", json!(entries));
        let (described, plain): (Vec<&String>, Vec<&String>) =
            devices.iter().partition(|text| is_cdi_device(text));
        let devices = plain.into_iter().map(|text| remembered(text)).collect::<Result<Vec<_>>>()?;
        state.set("Devices", json!(devices));
        if !described.is_empty() {
            state.set("DeviceSpecs", json!(described));
        }
        let common = [
            ("CgroupParent", json!(resources.parent)),
            ("CPUPeriod", json!(resources.processor_period_micros)),
            ("CPUQuota", json!(resources.processor_quota_micros)),
            ("CPUShares", json!(resources.processor_shares)),
            ("CPUSetCPUs", json!(resources.processors)),
            ("CPUSetMems", json!(resources.memory_nodes)),
            ("Memory", json!(resources.memory_bytes)),
            ("MemorySwap", json!(resources.memory_and_swap_bytes)),
            ("SeccompProfilePath", json!(profile)),
        ];
        for (key, value) in common {
            state.set_common(key, value);
        }
        Ok(())
    }
}

/// Reads a device, and gives it as buildah has it in its state.
///
/// Source: runc, `libcontainer/devices`, `Device`; buildah, `internal/parse`, `DeviceFromPath`.
fn remembered(text: &str) -> Result<Value> {
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or_default();
    let (mut path, mut permissions) = (source, "rwm");
    for part in parts {
        let is_permissions = !part.is_empty() && part.bytes().all(|byte| b"rwm".contains(&byte));
        match (is_permissions, part.starts_with('/')) {
            (true, _) => permissions = part,
            (false, true) => path = part,
            (false, false) => {
                let detail = "is not SOURCE[:PATH][:PERMISSIONS]";
                return Err(Error::new(ErrorKind::Invalid, format!("device {text:?}"), detail));
            }
        }
    }
    let device = Device::of(source.as_ref(), path).map_err(|e| Error::runtime(e, source))?;
    let kind = if device.block { b'b' } else { b'c' };
    Ok(json!({
        "type": kind, "major": device.major, "minor": device.minor, "permissions": permissions,
        "allow": false, "path": path, "file_mode": device.mode, "uid": device.uid,
        "gid": device.gid, "Source": source, "Destination": path,
    }))
}

impl WorkingContainer {
    /// The devices that are remembered.
    pub(super) fn devices(&self) -> Result<Vec<Device>> {
        let listed = self.state.value("Devices").and_then(Value::as_array).into_iter().flatten();
        let mut devices = Vec::new();
        for entry in listed {
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            let source = text("Source").or(text("path")).unwrap_or_default();
            let path = text("path").unwrap_or(source);
            let device = Device::of(source.as_ref(), path);
            devices.push(device.map_err(|error| Error::runtime(error, source))?);
        }
        Ok(devices)
    }

    /// What a command has for itself: what is said for it, or else what is remembered.
    pub(super) fn namespaces(&self, own: &WorkingNamespaces) -> Result<Namespaces> {
        let listed = self.state.value("NamespaceOptions").and_then(Value::as_array);
        let remembered = |name: &str| {
            let entry = listed.into_iter().flatten().find(|entry| entry["Name"] == name)?;
            match (entry["Host"].as_bool(), entry["Path"].as_str()) {
                (Some(true), _) => Some(WorkingNamespace::Host),
                (_, Some(path)) if !path.is_empty() => {
                    Some(WorkingNamespace::Path(path.to_owned()))
                }
                _ => None,
            }
        };
        let chosen =
            |own: &Option<WorkingNamespace>, name: &str| own.clone().or_else(|| remembered(name));
        let chosen = WorkingNamespaces {
            ipc: chosen(&own.ipc, "ipc"),
            pid: chosen(&own.pid, "pid"),
            uts: chosen(&own.uts, "uts"),
            cgroup: chosen(&own.cgroup, "cgroup"),
        };
        chosen.open()
    }

    /// Which calls of the kernel a command may make, and the profile that says so, if that is not the usual one.
    pub(super) fn seccomp(&self, usual: Seccomp) -> Result<(Seccomp, Option<Arc<SeccompProfile>>)> {
        let path = self.state.common("SeccompProfilePath").and_then(Value::as_str);
        Ok(match path.unwrap_or_default() {
            "unconfined" => (Seccomp::DangerUnconfined, None),
            // Ours is that of the same release.
            "" | USUAL_PROFILE => (usual, None),
            path => {
                let path = Path::new(path);
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::io(error, "cannot be read", path))?;
                let profile = SeccompProfile::parse(&text)
                    .map_err(|error| Error::runtime(error, path.display()))?;
                (usual, Some(Arc::new(profile)))
            }
        })
    }

    /// The control group of a command, where something is limited.
    pub(super) fn group(&self) -> Result<Option<Cgroup>> {
        let number = |key: &str| {
            let value = self.state.common(key)?;
            value.as_u64().filter(|number| *number > 0)
        };
        let text = |key: &str| {
            let value = self.state.common(key)?.as_str()?;
            Some(value.to_owned()).filter(|text| !text.is_empty())
        };
        let mut limits = CgroupLimits::default();
        limits.memory_bytes = number("Memory");
        limits.memory_and_swap_bytes = match self.state.common("MemorySwap").and_then(Value::as_i64)
        {
            Some(-1) => Some(u64::MAX),
            _ => number("MemorySwap"),
        };
        limits.processor_period_micros = number("CPUPeriod");
        limits.processor_quota_micros = number("CPUQuota");
        limits.processor_shares = number("CPUShares");
        limits.processors = text("CPUSetCPUs");
        limits.memory_nodes = text("CPUSetMems");
        let parent = text("CgroupParent");
        if limits == CgroupLimits::default() && parent.is_none() {
            return Ok(None);
        }
        let parent = parent.as_deref().unwrap_or("cask").trim_matches('/').to_owned();
        let name = format!("{parent}/working-{}-{}", self.id().short(), std::process::id());
        Cgroup::create(&name, &limits).map(Some).map_err(|error| Error::runtime(error, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_private_the_machine_s_or_another_one() {
        fn check(text: &str, expected: Option<WorkingNamespace>) {
            assert_eq!(WorkingNamespace::parse(text).ok(), expected, "{text}");
        }
        check("private", Some(WorkingNamespace::Private));
        check("", Some(WorkingNamespace::Private));
        check("host", Some(WorkingNamespace::Host));
        check("ns:/proc/self/ns/ipc", Some(WorkingNamespace::Path("/proc/self/ns/ipc".to_owned())));
        check("/proc/self/ns/ipc", Some(WorkingNamespace::Path("/proc/self/ns/ipc".to_owned())));
        check("ns:/nowhere", None);
        check("bridge", None);
    }

    #[test]
    fn devices_are_remembered_as_buildah_has_them() {
        let device = remembered("/dev/null:/dev/foo:r").unwrap();
        let expected = json!({
            "type": 99, "major": 1, "minor": 3, "permissions": "r", "allow": false,
            "path": "/dev/foo", "file_mode": 0o666, "uid": 0, "gid": 0,
            "Source": "/dev/null", "Destination": "/dev/foo",
        });
        assert_eq!(device, expected);
        assert!(remembered("/dev/null:foo").is_err());
        assert!(remembered("/etc/passwd").is_err());
    }
}
