//! From what a container was made with to what its runtime is told.

mod files;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_rootfs::Root;
use cask_runtime::{
    Capability, CapabilitySet, CdiEdits, Identity, Limit, Mount, MountAccess, MountSource,
    Namespace, Network, Personality, ProcessHandle, Resource, RunSpec, Seccomp, SeccompProfile,
    TerminalSize,
};
use cask_storage::Id;

use super::accounts;
use super::config::{ContainerConfig, NetworkMode, SpaceMode};
use super::etc;
use super::record::Place;
use super::{Containers, Status};
use crate::{Error, ErrorKind, Result};

/// Where every container has mounts.
const STANDARD: [&str; 3] = ["/proc", "/sys", "/dev"];
/// The word for the groups of whoever starts a container. Source: podman-run(1), `--group-add`.
const KEEP_GROUPS: &str = "keep-groups";

/// Settings of the kernel that a namespace has for itself, besides those of networks and of message queues.
///
/// Source: containers/common, `pkg/sysctl/sysctl.go`.
const ALLOWED_SETTINGS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Refuses what can be known to be wrong before a container runs.
pub(super) fn check(config: &ContainerConfig) -> Result<()> {
    super::runtime::check(config)?;
    super::init::program(config)?;
    super::init::pause(config)?;
    config.health.check()?;
    capabilities(config)?;
    seccomp_profile(config)?;
    config.resources.check()?;
    super::resources::check_groups(config)?;
    limits(&config.process.limits)?;
    sysctls(config)?;
    super::devices::check(config)?;
    for rule in &config.resources.device_rules {
        super::resources::parse_device_rule(rule)?;
    }
    for entry in &config.network.add_hosts {
        let valid = entry.split_once(':').is_some_and(|(name, address)| {
            !name.is_empty()
                && (address == "host-gateway" || address.parse::<std::net::IpAddr>().is_ok())
        });
        if !valid {
            let words = format!("bad format for add-host: {entry:?}");
            return Err(Error::new(ErrorKind::Invalid, words, "").with_hint("it is NAME:ADDRESS"));
        }
    }
    if matches!(config.network.mode, NetworkMode::Container(_))
        && !config.network.add_hosts.is_empty()
    {
        // The words are podman's.
        let words = "invalid config provided: cannot set extra host entries when the container is joined to another containers network namespace";
        return Err(Error::new(ErrorKind::Invalid, words, "invalid configuration"));
    }
    let has_machine = match config.network.host_address.as_deref() {
        Some(address) => address != "none",
        None => !matches!(
            config.network.mode,
            NetworkMode::Pasta(_) | NetworkMode::Container(_) | NetworkMode::Path(_)
        ),
    };
    if !has_machine && config.network.add_hosts.iter().any(|entry| entry.ends_with(":host-gateway"))
    {
        let why = "host containers internal IP address is empty";
        return Err(Error::new(ErrorKind::Invalid, "unable to replace \"host-gateway\"", why));
    }
    check_process(config)?;
    let uts = &config.namespaces.uts;
    if config.network.hostname.is_some() && *uts == SpaceMode::Host {
        let why =
            "cannot set hostname when running in the host UTS namespace: invalid configuration";
        return Err(Error::new(ErrorKind::Invalid, why, ""));
    }
    if config.network.hostname.as_ref().is_some_and(|name| name.len() > 64 || name.contains('\0')) {
        return Err(Error::new(ErrorKind::Invalid, "the host name", "it ends at 64 bytes"));
    }
    let ports = !config.network.ports.is_empty();
    if ports
        && !matches!(
            config.network.mode,
            NetworkMode::Bridge(_) | NetworkMode::Pasta(_) | NetworkMode::Host
        )
    {
        let why = "ports can only be published where the container has a network of its own";
        return Err(Error::new(ErrorKind::Invalid, config.network.mode.to_string(), why));
    }
    super::logging::check(config)
}

fn check_process(config: &ContainerConfig) -> Result<()> {
    personality(config)?;
    let groups = &config.process.groups;
    if groups.len() > 1 && groups.iter().any(|group| group == KEEP_GROUPS) {
        // The words are podman's.
        let words = "the '--group-add keep-groups' option is not allowed with any other --group-add options";
        return Err(Error::new(ErrorKind::Invalid, words, ""));
    }
    let spaces = &config.namespaces;
    if [&spaces.pid, &spaces.uts, &spaces.cgroup].into_iter().any(|mode| *mode == SpaceMode::None) {
        let words = "unrecognized namespace mode none passed";
        return Err(Error::new(ErrorKind::Invalid, words, "").with_hint("only --ipc has it"));
    }
    Ok(())
}

/// The profile of a container, if it is not the usual one.
pub(super) fn seccomp_profile(config: &ContainerConfig) -> Result<Option<Arc<SeccompProfile>>> {
    match config.security.seccomp_profile.as_str() {
        "" => Ok(None),
        text => Ok(Some(Arc::new(SeccompProfile::parse(text)?))),
    }
}

/// The capabilities of a container.
pub(super) fn capabilities(config: &ContainerConfig) -> Result<CapabilitySet> {
    let security = &config.security;
    let is_all = |name: &String| name.eq_ignore_ascii_case("all");
    let mut set = if security.privileged || security.add.iter().any(is_all) {
        CapabilitySet::all()
    } else if security.drop.iter().any(is_all) {
        CapabilitySet::NONE
    } else if security.usual.is_empty() {
        CapabilitySet::default()
    } else {
        let names = security.usual.iter().map(|name| capability(name));
        names.collect::<Result<CapabilitySet>>()?
    };
    for name in security.drop.iter().filter(|name| !is_all(name)) {
        set = set.without(capability(name)?);
    }
    for name in security.add.iter().filter(|name| !is_all(name)) {
        set = set.with(capability(name)?);
    }
    Ok(set)
}

/// What a user who is not root has of them from the beginning: what was asked for by name.
///
/// Source: podman, `pkg/specgen/generate/security.go`.
pub(super) fn ambient(config: &ContainerConfig) -> Result<CapabilitySet> {
    let add = &config.security.add;
    if add.iter().any(|name| name.eq_ignore_ascii_case("all")) {
        return Ok(CapabilitySet::all());
    }
    add.iter().map(|name| capability(name)).collect()
}

/// The words are podman's.
fn capability(name: &str) -> Result<Capability> {
    name.parse().map_err(|_| {
        let upper = name.to_ascii_uppercase();
        let whole = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        Error::new(ErrorKind::Invalid, format_args!("{whole:?}"), "unknown capability")
    })
}

/// Reads limits as `--ulimit` has them: `NAME=SOFT[:HARD]`, where -1 is no limit.
pub(super) fn limits(given: &[String]) -> Result<Vec<Limit>> {
    let mut limits = Vec::new();
    for text in given.iter().filter(|text| *text != "host") {
        let refused = || {
            let words =
                format!("ulimit option {text:?} requires name=SOFT:HARD, failed to be parsed");
            Error::new(ErrorKind::Invalid, words, format!("invalid ulimit argument: {text}"))
        };
        let (name, values) = text.split_once('=').ok_or_else(refused)?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let number = |text: &str| match text {
            "-1" | "unlimited" => Some(Limit::INFINITY),
            text => text.parse().ok(),
        };
        let (soft, hard) = number(soft).zip(number(hard)).ok_or_else(refused)?;
        if soft > hard {
            let why = "ulimit soft limit must be less than or equal to hard limit";
            return Err(Error::new(ErrorKind::Invalid, format_args!("{text:?}"), why));
        }
        limits.push(Limit { resource: name.parse::<Resource>()?, soft, hard });
    }
    Ok(limits)
}

fn sysctls(config: &ContainerConfig) -> Result<Vec<(String, String)>> {
    let read = |text: &String| {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            let why = "sysctl options should be formatted as sysctl=value";
            Error::new(ErrorKind::Invalid, format_args!("{text:?}"), why)
        })?;
        if !ALLOWED_SETTINGS.contains(&name)
            && !["net.", "fs.mqueue."].iter().any(|start| name.starts_with(start))
        {
            let words = format!("sysctl '{name}' is not allowed");
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        let host_network = config.network.mode == NetworkMode::Host && name.starts_with("net.");
        if host_network {
            let why = "the container has the machine's network, whose settings are not its own";
            return Err(Error::new(ErrorKind::Invalid, format_args!("sysctl {name}"), why));
        }
        Ok((name.to_owned(), value.to_owned()))
    };
    config.files.sysctls.iter().map(read).collect()
}

/// What is mounted besides, and must be unmounted when the container has ended.
#[derive(Debug, Default)]
pub(super) struct Borrowed {
    pub(super) images: Vec<Id>,
    /// How many directories were made for overlays.
    pub(super) overlays: usize,
}

/// What a specification is made from.
pub(super) struct Ingredients<'a> {
    pub(super) containers: &'a Containers,
    pub(super) config: &'a ContainerConfig,
    pub(super) place: &'a Place,
    /// Where its root is mounted.
    pub(super) root: &'a Path,
    pub(super) terminal: Option<TerminalSize>,
    /// Something else than mounts says which devices it can use.
    pub(super) guards_devices: bool,
    /// What it gets with devices of vendors.
    pub(super) interface: &'a CdiEdits,
}

impl Ingredients<'_> {
    /// The whole specification but input, output and control group.
    pub(super) fn spec(&self, borrowed: &mut Borrowed) -> Result<RunSpec> {
        let Self { config, .. } = self;
        let root = Root::open(self.root)?;
        let pause = config.process.pause;
        let init = match pause {
            true => super::init::pause(config)?,
            false => super::init::program(config)?,
        };
        let own = init.iter().flat_map(|_| [super::init::PLACE, if pause { "-P" } else { "--" }]);
        let own = own.chain((pause && init.is_none()).then_some("pause"));
        let words = config.process.entrypoint.iter().flatten().chain(&config.process.command);
        let words = own.chain(words.map(String::as_str));
        let opened = File::open(self.root)
            .map_err(|error| super::record::io(error, "opening", self.root))?;
        let mut spec = RunSpec::new(OwnedFd::from(opened), words);
        self.process(&mut spec, &root)?;
        spec.process.init = config.process.init && init.is_none();
        spec.process.pause = pause && init.is_none();
        if let Some(init) = &init {
            let mut mount = Mount::bind(open(init)?, super::init::PLACE);
            mount.options.access = MountAccess { read_only: true, ..MountAccess::NO_PRIVILEGES };
            spec.files.mounts.push(mount);
        }
        self.list_of_mounts(&root)?;
        self.privileges(&mut spec)?;
        self.spaces(&mut spec)?;
        self.files(&mut spec, &root, borrowed)?;
        self.interface.apply(&mut spec)?;
        spec.io.terminal = self.terminal;
        Ok(spec)
    }

    fn process(&self, spec: &mut RunSpec, root: &Root) -> Result<()> {
        let process = &self.config.process;
        spec.process.identity =
            identity(root, process.user.as_deref().unwrap_or_default(), &process.groups)?;
        spec.process.environment = environment(self.config, &spec.process.identity);
        let directory = process.directory.as_deref().unwrap_or("/");
        spec.process.directory = PathBuf::from(directory);
        self.working_directory(root, directory)?;
        spec.process.make_directory = true;
        spec.process.umask = process.umask.unwrap_or(0o022);
        spec.process.limits = limits(&process.limits)?;
        spec.process.out_of_memory_score = process.oom_score;
        spec.process.keep_groups = keeps_groups(&process.groups);
        spec.process.personality = personality(self.config)?;
        spec.sysctls = sysctls(self.config)?;
        let named = accounts::complete(self.config, root, &spec.process.identity)?;
        spec.files.mounts.extend(named);
        self.secrets(spec)
    }

    /// Looks at the directory that the process begins in, and makes that of an image, which need not be in it. What is
    /// within mounts is found when it begins. The words are podman's.
    ///
    /// Source: podman, `libpod/container_internal_common.go`, `resolveWorkDir`.
    fn working_directory(&self, root: &Root, directory: &str) -> Result<()> {
        let config = self.config;
        let directory_path = Path::new(directory);
        let within = |place: &Path| directory_path.starts_with(place);
        // The directories above a mount are made for it.
        let above = |place: &Path| place.starts_with(directory_path);
        let mounts = &config.files.mounts;
        if STANDARD.iter().any(|place| within(Path::new(place)))
            || mounts.iter().any(|mount| within(&mount.target) || above(&mount.target))
        {
            return Ok(());
        }
        let refused = |words| Err(Error::new(ErrorKind::CommandNotExecutable, words, ""));
        let found = root.metadata_following(directory);
        match found {
            Ok(found) if found.is_directory() => Ok(()),
            Ok(_) => refused(format!(
                "workdir {directory:?} exists on container {}, but is not a directory",
                config.id
            )),
            Err(_) if config.process.directory_named => {
                refused(format!("workdir {directory:?} does not exist on container {}", config.id))
            }
            Err(_) => {
                let owner = config.namespaces.user.outside(0, 0)?;
                root.create_dir_all(directory, 0o755, Some(owner))?;
                Ok(())
            }
        }
    }

    /// Has `/etc/mtab` lead to the list of mounts where the image has no such file: programs look there.
    ///
    /// Source: podman, `libpod/container_internal_common.go`, `prepare`.
    fn list_of_mounts(&self, root: &Root) -> Result<()> {
        if root.metadata("etc/mtab").is_ok() {
            return Ok(());
        }
        let owner = self.config.namespaces.user.outside(0, 0)?;
        root.create_dir_all("etc", 0o755, Some(owner))?;
        let etc = root.directory("etc")?;
        match etc.symlink("mtab", "/proc/mounts") {
            Ok(()) => Ok(etc.set_owner("mtab", owner.0, owner.1)?),
            // A root that cannot be written does without.
            Err(_) => Ok(()),
        }
    }

    /// Its secrets: files in memory, and variables.
    fn secrets(&self, spec: &mut RunSpec) -> Result<()> {
        for given in &self.config.secrets {
            let bytes = self.containers.secrets().data_of(&given.id, &given.name)?;
            match &given.variable {
                Some(name) => {
                    let value = std::os::unix::ffi::OsStringExt::from_vec(bytes);
                    spec.process.environment.push((OsString::from(name), value));
                }
                None => {
                    let (bytes, mode) = (bytes.into(), given.mode);
                    let (uid, gid) = (given.uid, given.gid);
                    let source = MountSource::Content { bytes, mode, uid, gid };
                    spec.files.mounts.push(Mount::new(source, &given.target).read_only());
                }
            }
        }
        Ok(())
    }

    fn privileges(&self, spec: &mut RunSpec) -> Result<()> {
        let security = &self.config.security;
        spec.privileges.capabilities = capabilities(self.config)?;
        spec.privileges.ambient = ambient(self.config)?;
        spec.privileges.no_new_privileges = security.no_new_privileges;
        if security.privileged || security.seccomp_unconfined {
            spec.privileges.seccomp = Seccomp::DangerUnconfined;
        }
        spec.privileges.seccomp_profile = seccomp_profile(self.config)?;
        let files = &mut spec.files;
        if security.privileged {
            files.masked.clear();
            files.read_only.clear();
            files.danger_root_devices = true;
            files.danger_writable_system = true;
        }
        let all = security.unmask.iter().any(|path| path.eq_ignore_ascii_case("all"));
        let unmasked =
            |path: &PathBuf| all || security.unmask.iter().any(|given| path == Path::new(given));
        files.masked.retain(|path| !unmasked(path));
        files.read_only.retain(|path| !unmasked(path));
        files.masked.extend(security.mask.iter().map(PathBuf::from));
        Ok(())
    }

    fn spaces(&self, spec: &mut RunSpec) -> Result<()> {
        let Self { config, .. } = self;
        let spaces = &config.namespaces;
        spec.users = self.containers.user_namespace(&spaces.user)?;
        spec.namespaces.processes = self.space(&spaces.pid, "pid")?;
        spec.namespaces.communication = self.space(&spaces.ipc, "ipc")?;
        spec.namespaces.names = self.space(&spaces.uts, "uts")?;
        spec.namespaces.control_groups = self.space(&spaces.cgroup, "cgroup")?;
        spec.network = match &config.network.mode {
            // Connected while its first process waits.
            NetworkMode::None | NetworkMode::Bridge(_) | NetworkMode::Pasta(_) => Network::None,
            NetworkMode::Host => Network::Host,
            NetworkMode::Container(id) => Network::Join(self.other(id)?.namespace("net")?.into()),
            NetworkMode::Path(path) => Network::Join(open(path)?),
        };
        if spaces.uts == SpaceMode::Private {
            spec.hostname = Some(OsString::from(etc::hostname(config)));
            spec.domainname = config.network.domainname.as_ref().map(OsString::from);
        }
        Ok(())
    }

    fn space(&self, mode: &SpaceMode, name: &str) -> Result<Namespace> {
        Ok(match mode {
            SpaceMode::Private | SpaceMode::None => Namespace::New,
            SpaceMode::Host => Namespace::Host,
            SpaceMode::Container(id) => Namespace::Join(self.other(id)?.namespace(name)?.into()),
            SpaceMode::Path(path) => Namespace::Join(open(path)?),
        })
    }

    fn other(&self, id: &str) -> Result<ProcessHandle> {
        self.containers.find(id)?.process()
    }
}

/// Whether a container stays in the groups of whoever starts it.
pub(super) fn keeps_groups(groups: &[String]) -> bool {
    matches!(groups, [only] if only == KEEP_GROUPS)
}

/// What the kernel pretends to be. The words are crun's.
pub(super) fn personality(config: &ContainerConfig) -> Result<Option<Personality>> {
    match config.process.personality.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: cask_runtime::Error| {
            let words = format!("unknown persona specified `{text}`");
            Error::new(ErrorKind::Invalid, words, "").with_source(error)
        }),
    }
}

/// Who a container is, with more groups.
pub(super) fn identity(root: &Root, user: &str, groups: &[String]) -> Result<Identity> {
    // The words, and that it is the command that cannot be run so, are podman's.
    let unknown =
        |error: cask_runtime::Error, what: &str, name: &str, file: &str| match error.kind() {
            cask_runtime::ErrorKind::NotFound => {
                let words = format!("unable to find {what} {name}");
                let why = format!("no matching entries in {file} file");
                Error::new(ErrorKind::CommandNotExecutable, words, why)
            }
            _ => error.into(),
        };
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    Identity::resolve(root, name).map_err(|error| unknown(error, "user", name, "passwd"))?;
    let mut identity =
        Identity::resolve(root, user).map_err(|error| unknown(error, "group", group, "group"))?;
    for group in groups.iter().filter(|_| !keeps_groups(groups)) {
        let gid = Identity::resolve(root, &format!("0:{group}"))
            .map_err(|error| unknown(error, "group", group, "group"))?
            .gid;
        identity.groups.push(gid);
    }
    Ok(identity)
}

/// The environment with what follows from who runs where.
pub(super) fn environment(
    config: &ContainerConfig,
    identity: &Identity,
) -> Vec<(OsString, OsString)> {
    let split = |entry: &String| match entry.split_once('=') {
        Some((name, value)) => (OsString::from(name), OsString::from(value)),
        None => (OsString::from(entry), OsString::new()),
    };
    let mut environment: Vec<_> = config.process.environment.iter().map(split).collect();
    let unset = |name: &str| config.process.unset_environment.iter().any(|unset| unset == name);
    let mut add = |name: &str, value: OsString| {
        if !unset(name) && !environment.iter().any(|(known, _)| known == name) {
            environment.push((name.into(), value));
        }
    };
    // Who is not in the file of users gets a line there, with this as the home.
    let is_named = identity.home.is_some() || config.accounts.unchanged;
    let directory = config.process.directory.as_deref().filter(|_| !is_named);
    let home = identity.home.clone().unwrap_or_else(|| directory.unwrap_or("/").into());
    add("HOME", home.into_os_string());
    if config.process.systemd {
        add("container_uuid", config.id.chars().take(32).collect::<String>().into());
    }
    add("HOSTNAME", etc::hostname(config).into());
    environment
}

pub(super) fn open_place(path: &Path) -> std::io::Result<Arc<OwnedFd>> {
    use rustix::fs::{CWD, Mode, OFlags};
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(Arc::new(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
}

fn open(path: &Path) -> Result<Arc<OwnedFd>> {
    use rustix::fs::{CWD, Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map(Arc::new)
        .map_err(|error| super::record::io(error.into(), "opening", path))
}

impl super::Container {
    /// Its first process.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where it does not run.
    pub fn process(&self) -> Result<ProcessHandle> {
        let refused = || {
            let words = format!("container {} is not running", self.id());
            Error::new(ErrorKind::StateImproper, words, "container state improper")
        };
        if !matches!(self.state.status, Status::Running | Status::Paused) {
            return Err(refused());
        }
        ProcessHandle::open(self.state.pid, Some(self.state.pid_started))?.ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_added_and_dropped() {
        let check = |privileged: bool, add: &[&str], drop: &[&str], expected: usize| {
            let mut config = ContainerConfig::default();
            config.security.privileged = privileged;
            config.security.add = add.iter().map(ToString::to_string).collect();
            config.security.drop = drop.iter().map(ToString::to_string).collect();
            assert_eq!(capabilities(&config).unwrap().iter().count(), expected, "{add:?} {drop:?}");
        };
        check(false, &[], &[], 11);
        check(true, &[], &[], 41);
        check(false, &["net_raw"], &["CAP_CHOWN", "kill"], 10);
        check(false, &["ALL"], &["sys_admin"], 40);
        check(false, &["net_raw"], &["all"], 1);
    }

    #[test]
    fn limits_are_read() {
        let read = |text: &str| {
            limits(&[text.to_owned()]).map(|limits| (limits[0].soft, limits[0].hard)).ok()
        };
        assert_eq!(read("nofile=10:20"), Some((10, 20)));
        assert_eq!(read("nofile=10"), Some((10, 10)));
        assert_eq!(read("core=-1"), Some((Limit::INFINITY, Limit::INFINITY)));
        for wrong in ["nofile", "nofile=", "nofile=20:10", "nope=1", "nofile=a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_when_it_is_made() {
        let check = |change: &dyn Fn(&mut ContainerConfig)| {
            let mut config = ContainerConfig::default();
            change(&mut config);
            assert!(super::check(&config).is_err(), "{config:?}");
        };
        check(&|config| config.network.add_hosts = vec!["a".to_owned()]);
        check(&|config| config.files.sysctls = vec!["a".to_owned()]);
        check(&|config| config.files.devices = vec!["/dev/null:/dev/x:q".to_owned()]);
        check(&|config| config.log.driver = "syslog".to_owned());
        check(&|config| {
            config.namespaces.uts = SpaceMode::Host;
            config.network.hostname = Some("x".to_owned());
        });
        super::check(&ContainerConfig::default()).unwrap();
    }
}
