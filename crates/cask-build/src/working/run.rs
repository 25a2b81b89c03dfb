//! Commands in working containers.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use cask_rootfs::Root;
use cask_runtime::{
    Cancel, Capability, CapabilitySet, Cgroup, ControlGroupFiles, DEFAULT_PATH, Device, Executor,
    ExitReport, GivenFile, Identity, Io, Limit, Mount, Namespace, RunSpec, Seccomp, TerminalSize,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::WorkingContainer;
use super::confine::{WorkingConfinement, WorkingNamespaces};
use super::mounts::OpenedMount;
use super::network::{self, WorkingNetwork};
use super::state::{Kind, State, texts};
use super::users::WorkingUsers;
use crate::build::{DescribedDevices, StageNetwork};
use crate::copy::clean;
use crate::volume::{Volume, give};
use crate::{Error, ErrorKind, Result};

/// The group that stands for those of whoever runs a command.
const KEEP_GROUPS: &str = "keep-groups";

/// What is remembered for the commands that run in a working container. The texts are as buildah
/// has them in its state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkingRunOptions {
    /// What sets the commands apart.
    pub isolation: WorkingIsolation,
    /// The network that commands have, if nothing else is said.
    pub network: WorkingNetwork,
    /// What commands may do.
    pub capabilities: Vec<Capability>,
    /// Names and their addresses, for `/etc/hosts`: `NAME:ADDRESS`.
    pub hosts: Vec<String>,
    /// Servers of names instead of the machine's; `none` leaves the image's own file.
    pub name_servers: Vec<String>,
    /// Domains that names are looked for in, instead of the machine's.
    pub name_search: Vec<String>,
    /// Options for looking for names, instead of the machine's.
    pub name_options: Vec<String>,
    /// Whether commands get the machine's proxies.
    pub proxies: bool,
    /// What `/dev/shm` may hold: a number with `b`, `k`, `m` or `g`.
    pub shared_memory: String,
    /// Limits: `NAME=SOFT[:HARD]`.
    pub limits: Vec<String>,
    /// Directories of the machine that commands see: `SOURCE:TARGET[:OPTIONS]`.
    pub volumes: Vec<String>,
    /// Groups that commands are in besides those of their user; `keep-groups` stands for the caller's.
    pub groups: Vec<String>,
    /// What else sets commands apart, and what they may use.
    pub confinement: WorkingConfinement,
    /// Users that commands have for themselves; files of the container belong to them.
    pub users: WorkingUsers,
}

impl Default for WorkingRunOptions {
    fn default() -> Self {
        Self {
            isolation: WorkingIsolation::default(),
            network: WorkingNetwork::default(),
            capabilities: CapabilitySet::default().iter().collect(),
            hosts: Vec::new(),
            name_servers: Vec::new(),
            name_search: Vec::new(),
            name_options: Vec::new(),
            proxies: true,
            shared_memory: "65536k".to_owned(),
            limits: Vec::new(),
            volumes: Vec::new(),
            groups: Vec::new(),
            confinement: WorkingConfinement::default(),
            users: WorkingUsers::default(),
        }
    }
}

/// What sets commands apart from the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkingIsolation {
    /// Namespaces.
    #[default]
    Default,
    /// An OCI runtime.
    Oci,
    /// Another root and nothing else.
    Chroot,
    /// An OCI runtime of a user's.
    Rootless,
}

impl WorkingIsolation {
    const fn number(self) -> i64 {
        match self {
            // Others have no such thing, and mean this where nothing is said.
            Self::Default | Self::Oci => 1,
            Self::Chroot => 2,
            Self::Rootless => 3,
        }
    }
}

impl WorkingRunOptions {
    /// Checks the texts: what makes no sense would keep every command from running.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] by text; [`ErrorKind::Missing`] for a volume without a source.
    pub fn check(&self) -> Result<()> {
        limits(&self.limits)?;
        shared_memory(&self.shared_memory)?;
        for volume in volumes(&self.volumes)? {
            volume.check()?;
        }
        self.hosts.iter().try_for_each(|entry| host(entry).map(drop))
    }

    /// Writes down what is to be remembered.
    pub(super) fn remember(&self, state: &mut State) -> Result<()> {
        state.set("Isolation", json!(self.isolation.number()));
        let network = self.network.remember(state);
        state.set("CNIPluginPath", json!(""));
        state.set("CNIConfigDir", json!(""));
        state.set("IDMappingOptions", self.users.remembered());
        let mut names: Vec<&str> = self.capabilities.iter().map(|one| one.name()).collect();
        names.sort_unstable();
        state.set("Capabilities", json!(names));
        state.set("PrependedEmptyLayers", Value::Null);
        state.set("AppendedEmptyLayers", Value::Null);
        state.set("CommonBuildOpts", self.common());
        state.set("TempVolumes", json!({}));
        state.set("ContentDigester", json!({}));
        if !self.groups.is_empty() {
            state.set("GroupAdd", json!(self.groups));
        }
        self.confinement.remember(state, network, self.users.namespace())
    }

    /// Source: buildah, `define/types.go`, `CommonBuildOptions`.
    fn common(&self) -> Value {
        json!({
            "AddHost": self.hosts, "OmitHistory": false, "CgroupParent": "", "CPUPeriod": 0,
            "CPUQuota": 0, "CPUShares": 0, "CPUSetCPUs": "", "CPUSetMems": "",
            "HTTPProxy": self.proxies, "IdentityLabel": 2, "Memory": 0,
            "DNSSearch": self.name_search, "DNSServers": self.name_servers,
            "DNSOptions": self.name_options, "LabelOpts": null, "MemorySwap": 0,
            "NoHosts": false, "OmitTimestamp": false, "SeccompProfilePath": "",
            "ApparmorProfile": "", "ShmSize": self.shared_memory, "Ulimit": self.limits,
            "Volumes": self.volumes, "Secrets": [], "SSHSources": [], "OCIHooksDir": [],
        })
    }
}

/// A command that is to run in a working container, and what is said for it alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkingRun {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Its user, instead of the image's.
    pub user: Option<String>,
    /// Where it begins, instead of where the image says.
    pub directory: Option<String>,
    /// Variables beside those of the image.
    pub environment: Vec<(OsString, OsString)>,
    /// Proxies of the machine: the variables that are passed on where the container has them.
    pub proxies: Vec<(OsString, OsString)>,
    /// The name that it sees the machine have, instead of the image's or one after the container.
    pub host_name: Option<String>,
    /// Its network, instead of the container's.
    pub network: Option<WorkingNetwork>,
    /// Mounts beside those of the container.
    pub mounts: Vec<Mount>,
    /// What it has for itself, instead of what the container remembers.
    pub namespaces: WorkingNamespaces,
    /// The network that was made for it, where that is [another](WorkingNetwork::Other).
    pub own_network: Option<Arc<StageNetwork>>,
    /// Directories and files of the machine.
    pub volumes: Vec<Volume>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Files of the machine that it is given copies of, where nothing else is mounted.
    pub given_files: Vec<GivenFile>,
    /// Devices that vendors describe, beside those of the container.
    pub described_devices: DescribedDevices,
    /// Limits where the container has none: `NAME=SOFT[:HARD]`.
    pub usual_limits: Vec<String>,
    /// Settings of the kernel for namespaces that it has for itself: `NAME=VALUE`.
    pub usual_sysctls: Vec<String>,
    /// Capabilities beside those of the container.
    pub add: Vec<Capability>,
    /// Capabilities that it does not get.
    pub remove: Vec<Capability>,
    /// Whether the image's own `/etc/hosts` stays.
    pub keep_hosts_file: bool,
    /// Whether the image's own `/etc/hostname` stays.
    pub keep_host_name_file: bool,
    /// The text of the machine's `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Standard input, output and error.
    pub io: Option<Io>,
    /// Which calls of the kernel it may make.
    pub seccomp: Seccomp,
    /// Those of the mounts that its user gets.
    given: Vec<Mount>,
}

impl WorkingRun {
    /// A command, and everything as the container has it.
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            user: None,
            directory: None,
            environment: Vec::new(),
            proxies: Vec::new(),
            host_name: None,
            network: None,
            mounts: Vec::new(),
            namespaces: WorkingNamespaces::default(),
            own_network: None,
            volumes: Vec::new(),
            devices: Vec::new(),
            given_files: Vec::new(),
            described_devices: DescribedDevices::default(),
            usual_limits: Vec::new(),
            usual_sysctls: Vec::new(),
            add: Vec::new(),
            remove: Vec::new(),
            keep_hosts_file: false,
            keep_host_name_file: false,
            resolv_conf: String::new(),
            io: None,
            seccomp: Seccomp::default(),
            given: Vec::new(),
        }
    }

    /// Has the command see a mount, which must stay as long as it runs.
    pub fn mount(&mut self, opened: &OpenedMount) {
        self.mounts.push(opened.mount.clone());
        if opened.gives {
            self.given.push(opened.mount.clone());
        }
    }
}

/// What a command has as long as it runs.
#[derive(Default)]
struct Kept {
    group: Option<Arc<Cgroup>>,
    /// Changes of volumes that are dropped.
    changes: Vec<TempDir>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            // What shares the machine's processes may have left some.
            let _ = group.kill().and_then(|()| group.remove());
        }
    }
}

impl WorkingRun {
    /// The limits of the container, and the usual ones that it says nothing of.
    fn limits(&self, own: Vec<String>) -> Vec<String> {
        let name = |limit: &str| limit.split('=').next().unwrap_or_default().to_owned();
        let is_own = |limit: &&String| own.iter().any(|known| name(known) == name(limit));
        let usual = self.usual_limits.iter().filter(|limit| !is_own(limit)).cloned();
        usual.chain(own.iter().cloned()).collect()
    }

    fn shown(&self) -> String {
        self.command.first().map(|word| word.display().to_string()).unwrap_or_default()
    }
}

impl WorkingContainer {
    /// What sets commands apart, as it was remembered.
    pub fn isolation(&self) -> WorkingIsolation {
        match self.state.value("Isolation").and_then(Value::as_i64) {
            Some(2) => WorkingIsolation::Chroot,
            // Others mean a runtime where nothing was said; what was meant cannot be told apart.
            _ => WorkingIsolation::Default,
        }
    }

    /// Runs a command in the container to its end. What it changes is kept; what it is given, the
    /// files about names included, is not.
    ///
    /// # Errors
    /// [`ErrorKind::Command`] where the command cannot begin; [`ErrorKind::Invalid`] for a user who
    /// does not exist, and for remembered texts that make no sense; [`ErrorKind::Runtime`],
    /// [`ErrorKind::Cancelled`], [`ErrorKind::Storage`] and [`ErrorKind::Io`].
    pub fn run(
        &self,
        run: &WorkingRun,
        executor: &dyn Executor,
        cancel: &Cancel,
    ) -> Result<ExitReport> {
        let files = self.files()?;
        let (spec, _kept) = self.run_spec(run, &files.root()?, executor)?;
        executor.run(&spec, cancel).map_err(|error| Error::runtime(error, run.shown()))
    }

    /// Runs a command with a terminal of its own, whose other end is relayed by the caller until the
    /// command has left it.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`ErrorKind::Runtime`] for the caller's errors, and where the executor makes no
    /// terminals.
    pub fn run_with_terminal(
        &self,
        run: &WorkingRun,
        size: TerminalSize,
        executor: &dyn Executor,
        relay: &mut dyn FnMut(&OwnedFd) -> std::io::Result<()>,
    ) -> Result<ExitReport> {
        let files = self.files()?;
        let (spec, _kept) = self.run_spec(run, &files.root()?, executor)?;
        let ran = executor.run_on_terminal(&spec, size, relay);
        ran.map_err(|error| Error::runtime(error, run.shown()))
    }

    fn run_spec(
        &self,
        run: &WorkingRun,
        root: &Root,
        executor: &dyn Executor,
    ) -> Result<(RunSpec, Kept)> {
        let state = &self.state;
        let users = self.users();
        let failed = |error: cask_rootfs::Error| {
            Error::new(ErrorKind::Io, format!("container {}", self.name()), "cannot be opened")
                .with_source(error)
        };
        let opened = root.directory("").map_err(failed)?;
        let descriptor = std::os::fd::AsFd::as_fd(&opened)
            .try_clone_to_owned()
            .map_err(|error| Error::io(error, "cannot be opened", root.name()))?;
        let mut spec = RunSpec::new(descriptor, &run.command);
        let user = run.user.as_deref().unwrap_or_else(|| state.execution_text(Kind::Oci, "User"));
        let identity = Identity::resolve(root, user).map_err(|error| {
            Error::new(ErrorKind::Invalid, user, "unknown user error").with_source(error)
        })?;
        let directory = match run.directory.as_deref() {
            Some(directory) => directory,
            None => state.execution_text(Kind::Oci, "WorkingDir"),
        };
        let directory = format!("/{}", clean(directory));
        let owner = users.outside(identity.uid, identity.gid)?;
        root.create_dir_all(OsStr::new(&directory), 0o755, Some(owner)).map_err(failed)?;
        for volume in state.execution_keys(Kind::Oci, "Volumes") {
            let volume = format!("/{}", clean(&volume));
            let owner = users.outside(0, 0)?;
            root.create_dir_all(OsStr::new(&volume), 0o755, Some(owner)).map_err(failed)?;
        }
        spec.process.directory = directory.into();
        let host_name = self.host_name(run);
        spec.process.environment = self.environment(run, &identity, &host_name);
        spec.process.identity = identity;
        for group in texts(state.value("GroupAdd")) {
            if group == KEEP_GROUPS {
                spec.process.keep_groups = true;
                continue;
            }
            let found = Identity::resolve(root, &format!("0:{group}"));
            let found = found.map_err(|error| Error::runtime(error, format!("group {group}")))?;
            spec.process.identity.groups.push(found.gid);
        }
        spec.process.limits = limits(&run.limits(texts(state.common("Ulimit"))))?;
        spec.privileges.capabilities = self.capabilities(run)?;
        let (seccomp, profile) = self.seccomp(run.seccomp)?;
        (spec.privileges.seccomp, spec.privileges.seccomp_profile) = (seccomp, profile);
        spec.namespaces = self.namespaces(&run.namespaces)?;
        spec.users = users.of_process()?;
        let network = run.network.clone().unwrap_or_else(|| self.network());
        spec.network = self.network_of(&network, run, executor)?;
        if let Some(io) = &run.io {
            spec.io = io.clone();
        }
        spec.files.devices = [self.devices()?, run.devices.clone()].concat();
        let size = state.common("ShmSize").and_then(Value::as_str);
        // buildah leaves it empty where it takes over another program's container.
        if let Some(size) = size.filter(|size| !size.is_empty()) {
            spec.files.shared_memory_bytes = shared_memory(size)?;
        }
        if executor.capabilities().mounts {
            if !matches!(spec.namespaces.names, Namespace::Host) {
                spec.hostname = Some(host_name.clone().into());
            }
            spec.files.mounts = self.own_mounts(run, &network, &host_name)?;
            spec.sysctls = network::sysctls(&run.usual_sysctls, &spec.namespaces, &network)?;
        }
        let mut kept = Kept::default();
        for volume in volumes(&texts(state.common("Volumes")))?.iter().chain(&run.volumes) {
            let mount = volume.open(|| self.changes(&mut kept.changes))?;
            volume.give(&mount, owner)?;
            spec.files.mounts.push(mount);
        }
        for mount in &run.given {
            give(mount, &mount.target, owner)?;
        }
        spec.files.mounts.extend(run.mounts.iter().cloned());
        self.add_given(&mut spec, run, (executor, owner), &mut kept.changes)?;
        kept.group = self.group()?.map(Arc::new);
        if kept.group.is_some() {
            // Programs look there for how much they may use.
            spec.files.control_groups = ControlGroupFiles::ReadOnly;
        }
        spec.cgroup.clone_from(&kept.group);
        Ok((spec, kept))
    }

    /// Adds copies of files of the machine, and what comes with devices of vendors.
    fn add_given(
        &self,
        spec: &mut RunSpec,
        run: &WorkingRun,
        (executor, owner): (&dyn Executor, (u32, u32)),
        kept: &mut Vec<TempDir>,
    ) -> Result<()> {
        if !run.given_files.is_empty() && executor.capabilities().mounts {
            let directory = self.changes(kept)?;
            for file in &run.given_files {
                if spec.files.mounts.iter().any(|known| known.target == file.target) {
                    continue;
                }
                let mount = file.mount(&directory, owner);
                let mount = mount.map_err(|error| Error::runtime(error, "mounts.conf"))?;
                spec.files.mounts.extend(mount);
            }
        }
        self.add_described_devices(spec, run, executor)
    }

    /// Adds what comes with devices of vendors, those of the container first.
    fn add_described_devices(
        &self,
        spec: &mut RunSpec,
        run: &WorkingRun,
        executor: &dyn Executor,
    ) -> Result<()> {
        let mut described = run.described_devices.clone();
        described.names.splice(0..0, texts(self.state.value("DeviceSpecs")));
        let described = described.find()?;
        if !described.is_empty() && !executor.capabilities().mounts {
            let why = "devices of vendors need mounts, which commands do not have so";
            return Err(Error::new(ErrorKind::Invalid, "--device", why));
        }
        described.apply(spec).map_err(|error| Error::runtime(error, "the devices of vendors"))
    }

    /// A directory for changes that are dropped: it is where the container's files are, so that it goes with them
    /// should nobody remove it before.
    fn changes(&self, kept: &mut Vec<TempDir>) -> Result<PathBuf> {
        let place = self.store.container_directory(self.id());
        let made = tempfile::Builder::new().prefix("overlay-").tempdir_in(&place);
        let made = made.map_err(|error| Error::io(error, "cannot be written to", &place))?;
        let path = made.path().to_owned();
        kept.push(made);
        Ok(path)
    }

    fn host_name(&self, run: &WorkingRun) -> String {
        let own = self.state.execution_text(Kind::Docker, "Hostname");
        match &run.host_name {
            Some(name) => name.clone(),
            None if !own.is_empty() => own.to_owned(),
            None => self.id().short().to_owned(),
        }
    }

    /// Source: buildah, `run_common.go`, `configureEnvironment`.
    fn environment(
        &self,
        run: &WorkingRun,
        identity: &Identity,
        host_name: &str,
    ) -> Vec<(OsString, OsString)> {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let mut all = vec![pair("PATH", DEFAULT_PATH)];
        if self.state.common("HTTPProxy").and_then(Value::as_bool) == Some(true) {
            all.extend(run.proxies.iter().cloned());
        }
        for entry in self.state.execution_list(Kind::Oci, "Env") {
            all.extend(entry.split_once('=').map(|(name, value)| pair(name, value)));
        }
        all.extend(run.environment.iter().cloned());
        let mut merged: Vec<(OsString, OsString)> = Vec::with_capacity(all.len() + 2);
        for (name, value) in all {
            match merged.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => merged.push((name, value)),
            }
        }
        if merged.iter().all(|(name, _)| name != "HOSTNAME") {
            merged.push(pair("HOSTNAME", host_name));
        }
        if merged.iter().all(|(name, _)| name != "HOME") {
            let home = identity.home.as_ref().map_or_else(|| OsString::from("/"), Into::into);
            merged.push((OsString::from("HOME"), home));
        }
        merged
    }

    fn capabilities(&self, run: &WorkingRun) -> Result<CapabilitySet> {
        let mut set = CapabilitySet::NONE;
        for name in texts(self.state.value("Capabilities")) {
            let one = name.parse::<Capability>().map_err(|error| Error::runtime(error, &name))?;
            set = set.with(one);
        }
        let added = run.add.iter().fold(set, |set, one| set.with(*one));
        Ok(run.remove.iter().fold(added, |set, one| set.without(*one)))
    }

    /// What every command sees of names and of itself.
    fn own_mounts(
        &self,
        run: &WorkingRun,
        network: &WorkingNetwork,
        host_name: &str,
    ) -> Result<Vec<Mount>> {
        let mut mounts = Vec::new();
        let volumes = self.state.execution_keys(Kind::Oci, "Volumes");
        let mut put = |path: &str, text: String| {
            if volumes.iter().all(|volume| volume != path) {
                mounts.push(Mount::content(text.into_bytes(), path));
            }
        };
        let has_network = *network != WorkingNetwork::None;
        let own = run.own_network.as_deref();
        let own = own.filter(|_| matches!(network, WorkingNetwork::Other(_)));
        let servers = texts(self.state.common("DNSServers"));
        let keep_hosts = self.state.common("NoHosts").and_then(Value::as_bool) == Some(true);
        if !run.keep_hosts_file && !keep_hosts && has_network {
            put("/etc/hosts", self.hosts(host_name, own)?);
        }
        if !run.keep_host_name_file {
            put("/etc/hostname", format!("{host_name}\n"));
        }
        let keep_servers = matches!(servers.as_slice(), [one] if one.eq_ignore_ascii_case("none"));
        if has_network && !keep_servers {
            put("/etc/resolv.conf", self.resolv_conf(&run.resolv_conf, own)?);
        }
        put("/run/.containerenv", self.about());
        Ok(mounts)
    }

    /// The text of `/run/.containerenv`.
    ///
    /// Source: buildah, `run_linux.go`, `Run`.
    fn about(&self) -> String {
        let about: BTreeMap<&str, &str> = [
            ("name", self.name()),
            ("id", self.id().as_str()),
            ("image", self.image_name()),
            ("imageid", self.image_id()),
        ]
        .into();
        let mut text = String::from("\nengine=\"cask\"\n");
        for (key, value) in about {
            let _ = writeln!(text, "{key}={value:?}");
        }
        let _ = writeln!(text, "rootless={}", u8::from(self.store.options().rootless));
        text
    }
}

/// A name and its address.
pub(super) fn host(entry: &str) -> Result<(&str, std::net::IpAddr)> {
    let wrong = || Error::new(ErrorKind::Invalid, format!("host {entry:?}"), "is not NAME:ADDRESS");
    let (name, address) = entry.split_once([':', '=']).ok_or_else(wrong)?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(address).parse().map_err(|_| wrong())?;
    Ok((name, address))
}

/// Reads limits: `nofile=1024:2048`.
fn limits(given: &[String]) -> Result<Vec<Limit>> {
    let wrong = |text: &str| {
        Error::new(ErrorKind::Invalid, format!("limit {text:?}"), "is not NAME=SOFT[:HARD]")
    };
    let number = |text: &str, whole: &str| match text {
        "-1" | "unlimited" => Ok(Limit::INFINITY),
        text => text.parse::<u64>().map_err(|_| wrong(whole)),
    };
    given
        .iter()
        .map(|text| {
            let (name, values) = text.split_once('=').ok_or_else(|| wrong(text))?;
            let resource = name.parse().map_err(|error| Error::runtime(error, text))?;
            let (soft, hard) = values.split_once(':').unwrap_or((values, values));
            Ok(Limit { resource, soft: number(soft, text)?, hard: number(hard, text)? })
        })
        .collect()
}

/// Reads the size of `/dev/shm`.
fn shared_memory(text: &str) -> Result<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let wrong = || {
        Error::new(
            ErrorKind::Invalid,
            format!("size {text:?}"),
            "is not a number with b, k, m or g",
        )
    };
    let (digits, factor) = match lower.strip_suffix(['b', 'k', 'm', 'g']) {
        Some(digits) if lower.ends_with('k') => (digits, 1 << 10),
        Some(digits) if lower.ends_with('m') => (digits, 1 << 20),
        Some(digits) if lower.ends_with('g') => (digits, 1 << 30),
        Some(digits) => (digits, 1),
        None => (lower.as_str(), 1_u64),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Reads the volumes that a container remembers.
fn volumes(given: &[String]) -> Result<Vec<Volume>> {
    given.iter().map(|text| Volume::parse(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(shared_memory(text).ok(), expected, "{text}");
        }
        check("65536k", Some(64 << 20));
        check("1G", Some(1 << 30));
        check("5", Some(5));
        check("7b", Some(7));
        check("x", None);
        check("", None);
        check("99999999999999999999g", None);
    }

    #[test]
    fn limits_have_two_values_or_one() {
        fn check(text: &str, expected: Option<(u64, u64)>) {
            let found = limits(&[text.to_owned()]).ok();
            assert_eq!(found.map(|found| (found[0].soft, found[0].hard)), expected, "{text}");
        }
        check("nofile=10:20", Some((10, 20)));
        check("nproc=5", Some((5, 5)));
        check("core=-1", Some((u64::MAX, u64::MAX)));
        check("nofile", None);
        check("nofile=x", None);
        check("nosuch=1", None);
    }
}
