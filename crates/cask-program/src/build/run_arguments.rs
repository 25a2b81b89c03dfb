//! The flags about the commands of RUN, and what they become.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_build::{
    BuildNetwork, HostNames, Resources, RunOptions, RunPrivileges, Unmask, Volume,
    WorkingNamespace, WorkingNamespaces,
};
use cask_containerfile::instruction::MountFlag;
use cask_runtime::{
    Capability, CapabilitySet, CgroupLimits, Device, Limit, Seccomp, SeccompProfile, is_cdi_device,
};
use clap::Args;

mod usual;

use super::network::{Choice, resolv_conf};
use super::users::UsersArguments;
use super::{environment, values};
use crate::access::boolean;

/// What commands get, and what they may do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What commands get")]
pub(super) struct RunArguments {
    /// Their network: none, host, private (a bridge for root, pasta for a user), bridge, pasta[:OPTION,...],
    /// ns:PATH or names of networks [default: host]
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    /// A name and its address
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// A server of names instead of the machine's
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<String>,
    /// A domain that names are looked for in
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    dns_search: Vec<String>,
    /// An option for looking for names
    #[arg(long, value_name = "OPTION", value_delimiter = ',')]
    dns_option: Vec<String>,
    /// Leave the image's /etc/hosts as it is
    #[arg(long)]
    no_hosts: bool,
    /// Pass the caller's proxies on [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    http_proxy: Option<String>,
    /// Leave volumes of the image as they are: what RUN changes in them is lost
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    compat_volumes: Option<String>,
    /// How much /dev/shm holds, such as 64m
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// A limit, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Something that they may do
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Something that they may not do
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// seccomp=FILE, seccomp=unconfined, no-new-privileges, mask=PATH:PATH, unmask=ALL or unmask=PATH:PATH,
    /// apparmor=unconfined or label=disable
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Let RUN ask for this: security.insecure or network.host
    #[arg(long, value_name = "PRIVILEGE", value_delimiter = ',')]
    allow: Vec<String>,
    /// A directory or a file of the machine
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// A secret for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=VARIABLE
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// An SSH agent for RUN --mount=type=ssh: default, ID=SOCKET, or one that has keys: ID=KEY,...
    #[arg(long, value_name = "ID[=SOCKET|KEY,...]")]
    pub(super) ssh: Vec<String>,
    /// A device of the machine: a path, or the name VENDOR/CLASS=NAME of one that a vendor describes in /etc/cdi
    #[arg(long, value_name = "SOURCE[:TARGET[:rwm]]")]
    device: Vec<String>,
    /// Read what devices of vendors are from the files of this directory too
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    pub(super) cdi_config_dir: Vec<PathBuf>,
    /// Leave the image's /etc/hostname as it is
    #[arg(long)]
    no_hostname: bool,
    /// A mount for every command, as RUN --mount says it
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<String>,
    /// How much memory they may use together, such as 512m
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// How much memory and swap; -1 is no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// The period that --cpu-quota is of, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// How much processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<u64>,
    /// Their share of processor time where it is short; 1024 is usual
    #[arg(short, long, value_name = "N")]
    cpu_shares: Option<u64>,
    /// The processors that they may use, such as 0-3,6
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// The memory nodes that they may use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// The control group below which they have theirs
    #[arg(long, value_name = "GROUP")]
    cgroup_parent: Option<String>,
    /// Their shared memory and queues: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    ipc: Option<String>,
    /// The processes that they see: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    pid: Option<String>,
    #[command(flatten)]
    users: UsersArguments,
    /// Their name of the machine: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    uts: Option<String>,
    /// The control groups that they see: private or host
    #[arg(long, value_name = "NAMESPACE")]
    cgroupns: Option<String>,
    /// A group that their user is in besides its own
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Let them read standard input
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    stdin: Option<String>,
    /// What sets them apart: native, oci, rootless or chroot [default: $BUILDAH_ISOLATION, else native]
    #[arg(long, value_name = "KIND")]
    pub(super) isolation: Option<String>,
    /// The OCI runtime [default: $BUILDAH_RUNTIME, else crun, runc or youki]
    #[arg(long, value_name = "PROGRAM")]
    pub(super) runtime: Option<PathBuf>,
    /// A global option of the OCI runtime, without the two hyphens, such as debug
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(super) runtime_flag: Vec<String>,
    /// Have them run the hooks that files of this directory name [default: for root, /usr/share/containers/oci/hooks.d and
    /// /etc/containers/oci/hooks.d]
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) hooks_dir: Vec<PathBuf>,
    /// Another mounts.conf.
    #[arg(skip)]
    pub(super) default_mounts_file: Option<PathBuf>,
    /// What containers.conf says.
    #[arg(skip)]
    pub(super) usual: Usual,
}

/// What holds where no flag says otherwise, beyond what flags can say.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    capabilities: Option<Vec<String>>,
    devices: Vec<String>,
    sysctls: Vec<String>,
    /// Where files say which hooks commands have.
    pub(super) hooks: Option<Vec<PathBuf>>,
    /// The OCI runtime; `native` is our own.
    pub(super) runtime: Option<PathBuf>,
}

/// The names of the variables that say what the proxies are, in lower case.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

impl RunArguments {
    /// Where files say which hooks commands have; for root there are usual places.
    pub(super) fn hook_directories(&self) -> Result<Vec<PathBuf>> {
        let usual = self.usual.hooks.as_deref();
        if self.hooks_dir.is_empty() && usual.is_none() && crate::rootless::is_rootless() {
            return Ok(Vec::new());
        }
        crate::hooks::directories(&self.hooks_dir, usual)
    }

    /// What the flags and the environment say.
    pub(super) fn options(&self, debug: bool) -> Result<RunOptions> {
        let mut options = RunOptions::default();
        let network = self.network()?;
        options.network = network.of_build();
        if options.network == BuildNetwork::None {
            self.refuse_servers()?;
        }
        if self.no_hosts && !self.add_host.is_empty() {
            bail!("--no-hosts and --add-host conflict, can not be used together");
        }
        for text in &self.add_host {
            hosts(text, &network, &mut options.names)?;
        }
        options.names.keep_hosts_file = self.no_hosts;
        options.names.keep_host_name_file = self.no_hostname;
        options.names.resolv_conf = resolv_conf(options.network == BuildNetwork::Private);
        if self.dns == ["none"] {
            // The image's own file stays.
            if !self.dns_search.is_empty() || !self.dns_option.is_empty() {
                bail!(
                    "--dns=none leaves no file for --dns-search and --dns-option: leave them out"
                );
            }
            options.names.resolv_conf.clear();
        } else {
            let servers = self.dns.iter().map(|text| address(text));
            options.names.servers = servers.collect::<Result<_>>()?;
        }
        options.names.search.clone_from(&self.dns_search);
        options.names.options.clone_from(&self.dns_option);
        if boolean("http-proxy", self.http_proxy.as_deref())?.unwrap_or(true) {
            options.proxies = proxies();
        }
        if let Some(size) = &self.shm_size {
            options.shared_memory_bytes = values::size(size).context("--shm-size")?;
        }
        options.limits = self.ulimit.iter().map(|text| limit(text)).collect::<Result<_>>()?;
        self.privileges(&mut options)?;
        for text in &self.volume {
            options.volumes.push(Volume::parse(text)?);
        }
        options.secrets = environment::secrets(&self.secret)?;
        options.resources = self.resources()?;
        for text in self.usual.devices.iter().chain(&self.device) {
            match is_cdi_device(text) {
                true => options.described_devices.names.push(text.clone()),
                false => options.devices.extend(devices(text)?),
            }
        }
        options.given_files = crate::default_mounts::load(self.default_mounts_file.as_deref());
        options.described_devices.directories =
            crate::devices::directories_with(&self.cdi_config_dir)?;
        for text in &self.mount {
            let mount = MountFlag::new(text).with_context(|| format!("--mount {text:?}"))?;
            options.mounts.push(mount);
        }
        options.sysctls.clone_from(&self.usual.sysctls);
        options.namespaces = self.namespaces()?;
        options.users = self.users.users()?;
        let keeps = boolean("compat-volumes", self.compat_volumes.as_deref())?;
        options.keeps_volumes = keeps.unwrap_or(false);
        options.input = boolean("stdin", self.stdin.as_deref())?.unwrap_or(false);
        match self.group_add.as_slice() {
            [only] if only == "keep-groups" => options.keep_groups = true,
            groups if groups.iter().any(|group| group == "keep-groups") => bail!(
                "the '--group-add keep-groups' option is not allowed with any other --group-add options"
            ),
            groups => options.groups = groups.to_vec(),
        }
        if debug {
            options.debug_shell = Some(vec!["/bin/sh".to_owned()]);
        }
        Ok(options)
    }

    fn namespaces(&self) -> Result<WorkingNamespaces> {
        let parse = |flag: &Option<String>, name: &'static str| {
            flag.as_deref().map(WorkingNamespace::parse).transpose().context(name)
        };
        let mut namespaces = WorkingNamespaces::default();
        namespaces.ipc = parse(&self.ipc, "--ipc")?;
        namespaces.pid = parse(&self.pid, "--pid")?;
        namespaces.uts = parse(&self.uts, "--uts")?;
        namespaces.cgroup = parse(&self.cgroupns, "--cgroupns")?;
        Ok(namespaces)
    }

    /// Refuses what is asked of servers of names where none can be reached; the words are buildah's.
    fn refuse_servers(&self) -> Result<()> {
        let given = [
            ("dns", &self.dns),
            ("dns-option", &self.dns_option),
            ("dns-search", &self.dns_search),
        ];
        match given.iter().find(|(_, words)| !words.is_empty()) {
            Some((flag, _)) => {
                bail!("the --{flag} option cannot be used with --network=none")
            }
            None => Ok(()),
        }
    }

    /// Whether commands are to have something for themselves or with others that is not usual.
    pub(super) fn needs_namespaces(&self) -> bool {
        [&self.ipc, &self.pid, &self.uts, &self.cgroupns].iter().any(|flag| flag.is_some())
    }

    /// The network that commands have.
    pub(super) fn network(&self) -> Result<Choice> {
        Choice::parse(self.network.as_deref())
    }

    /// What they may use together.
    ///
    /// Source: buildah, `parse.CommonBuildOptions`.
    fn resources(&self) -> Result<Option<Resources>> {
        let mut limits = CgroupLimits::default();
        let size = |text: &String, flag: &'static str| values::size(text).context(flag);
        limits.memory_bytes =
            self.memory.as_ref().map(|text| size(text, "--memory")).transpose()?;
        limits.memory_and_swap_bytes = match self.memory_swap.as_deref() {
            Some("-1") => Some(u64::MAX),
            Some(text) => Some(values::size(text).context("--memory-swap")?),
            None => None,
        };
        if limits.memory_and_swap_bytes < limits.memory_bytes
            && limits.memory_and_swap_bytes.is_some()
        {
            bail!("--memory-swap counts memory too: it is not less than --memory");
        }
        limits.processor_period_micros = self.cpu_period;
        limits.processor_quota_micros = self.cpu_quota;
        limits.processor_shares = self.cpu_shares;
        limits.processors.clone_from(&self.cpuset_cpus);
        limits.memory_nodes.clone_from(&self.cpuset_mems);
        if limits == CgroupLimits::default() && self.cgroup_parent.is_none() {
            return Ok(None);
        }
        let parent = self.cgroup_parent.clone();
        Ok(Some(Resources { limits, parent }))
    }

    /// Whether control groups are wanted, which only the native executor makes.
    pub(super) fn needs_groups(&self) -> Result<bool> {
        Ok(self.resources()?.is_some())
    }

    /// Whether devices are wanted, which only the native executor gives.
    pub(super) fn needs_devices(&self) -> bool {
        !self.device.is_empty()
    }

    /// Whether commands have users of their own, to whom only the native executor shows what is mounted as theirs.
    pub(super) fn has_own_users(&self) -> Result<bool> {
        Ok(self.users.users()?.are_mapped())
    }

    fn privileges(&self, options: &mut RunOptions) -> Result<()> {
        if let Some(usual) = &self.usual.capabilities {
            let named = capabilities(usual).context("the capabilities of containers.conf")?;
            let all = || CapabilitySet::all().iter().collect();
            options.privileges.usual = Some(named.unwrap_or_else(all));
        }
        let add = capabilities(&self.cap_add).context("--cap-add")?;
        let drop = capabilities(&self.cap_drop).context("--cap-drop")?;
        // Of all that are dropped those that are added stay.
        options.privileges.drop = drop.unwrap_or_else(|| {
            let is_added = |one: &Capability| add.as_ref().is_some_and(|add| add.contains(one));
            CapabilitySet::all().iter().filter(|one| !is_added(one)).collect()
        });
        options.privileges.add = add.unwrap_or_else(|| CapabilitySet::all().iter().collect());
        for option in &self.security_opt {
            match option.as_str() {
                "seccomp=unconfined" => options.privileges.seccomp = Seccomp::DangerUnconfined,
                "no-new-privileges" | "no-new-privileges=true" | "no-new-privileges:true" => {
                    options.privileges.no_new_privileges = true;
                }
                other => match other
                    .strip_prefix("seccomp")
                    .and_then(|rest| rest.strip_prefix(['=', ':']))
                {
                    Some(path) => options.privileges.seccomp_profile = Some(seccomp_profile(path)?),
                    None if hides(other, &mut options.privileges) => {}
                    None => security_option(other)?,
                },
            }
        }
        for allowed in &self.allow {
            match allowed.as_str() {
                "security.insecure" => options.privileges.danger_allow_insecure = true,
                "network.host" => options.privileges.danger_allow_host_network = true,
                other => {
                    bail!("--allow {other}: only security.insecure and network.host can be allowed")
                }
            }
        }
        Ok(())
    }
}

/// Takes `mask=PATH:…` and `unmask=PATH:…`; tells whether it was one of them.
///
/// Source: buildah, `parse.parseSecurityOpts`, where `unmask=ALL` and `/proc/*` are patterns.
fn hides(text: &str, privileges: &mut RunPrivileges) -> bool {
    let (name, paths) = text.split_once(['=', ':']).unwrap_or((text, ""));
    let paths = paths.split(':').filter(|path| !path.is_empty());
    match name {
        "mask" => privileges.mask.extend(paths.map(PathBuf::from)),
        "unmask" => {
            for path in paths {
                match &mut privileges.unmask {
                    _ if path.eq_ignore_ascii_case("all") => privileges.unmask = Unmask::All,
                    Unmask::All => {}
                    Unmask::Below(below) => below.push(above(path)),
                    Unmask::Nothing => privileges.unmask = Unmask::Below(vec![above(path)]),
                }
            }
        }
        _ => return false,
    }
    true
}

/// What `/proc/*` is a pattern for: all that is below it.
fn above(pattern: &str) -> PathBuf {
    pattern.strip_suffix("/*").unwrap_or(pattern).into()
}

/// Checks an option about what this program sets up nothing of.
///
/// # Errors
/// For what would need something to be set up, and what is not known.
///
/// Source: buildah, `parse.parseSecurityOpts`.
pub fn security_option(text: &str) -> Result<()> {
    match text.split_once(['=', ':']) {
        // Commands have no profile of ours.
        Some(("apparmor", "unconfined")) => Ok(()),
        // Without SELinux there are no labels.
        Some(("label", _)) if !cask_runtime::has_selinux() => Ok(()),
        Some(("label", "disable")) => Ok(()),
        Some(("apparmor", _)) => bail!(
            "--security-opt {text} is not supported: only apparmor=unconfined is; a runtime of \
             --isolation=oci may have a profile of its own"
        ),
        _ => bail!(
            "--security-opt {text:?} is not known: use seccomp=FILE, seccomp=unconfined, \
             no-new-privileges, mask=PATH, unmask=PATH, apparmor=unconfined or label=disable"
        ),
    }
}

/// A file with what commands may have the kernel do.
///
/// # Errors
/// For one that cannot be read, and one that makes no sense.
pub fn seccomp_profile(path: &str) -> Result<Arc<SeccompProfile>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("opening seccomp profile ({path}) failed"))?;
    Ok(Arc::new(SeccompProfile::parse(&text).with_context(|| path.to_owned())?))
}

/// What is named; `None` for all.
///
/// Source: containers/common, `capabilities.MergeCapabilities`.
fn capabilities(names: &[String]) -> Result<Option<Vec<Capability>>> {
    if names.iter().any(|name| name.eq_ignore_ascii_case("all")) {
        return Ok(None);
    }
    let each = names.iter().map(|name| name.parse().map_err(anyhow::Error::from));
    each.collect::<Result<_>>().map(Some)
}

/// Adds names with their address; `host-gateway` is this machine, where it can be reached.
fn hosts(text: &str, network: &Choice, to: &mut HostNames) -> Result<()> {
    let (names, address_text) = text
        .split_once([':', '='])
        .filter(|(names, _)| names.split(';').all(is_host_name))
        .with_context(|| format!("--add-host {text:?} is not NAME:ADDRESS"))?;
    let names = names.split(';').map(str::to_owned);
    if address_text == "host-gateway" {
        if !network.reaches_machine() {
            bail!("--add-host {text:?}: from that network there is no way to this machine");
        }
        to.gateway_names.extend(names);
        return Ok(());
    }
    let bare = address_text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().with_context(|| format!("--add-host {text:?}"))?;
    to.hosts.extend(names.map(|name| (name, address)));
    Ok(())
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')
}

fn address(text: &str) -> Result<IpAddr> {
    if text == "none" {
        bail!("--dns=none leaves the image's own file: name no other server");
    }
    text.parse().with_context(|| format!("--dns {text:?}"))
}

fn limit(text: &str) -> Result<Limit> {
    let parsed = || -> Option<(&str, u64, u64)> {
        let (name, values) = text.split_once('=')?;
        let number = |text: &str| match text {
            "-1" | "unlimited" => Some(Limit::INFINITY),
            text => text.parse().ok(),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        Some((name, number(soft)?, number(hard)?))
    };
    let Some((name, soft, hard)) = parsed() else {
        bail!("invalid ulimit argument: {text:?} is not NAME=SOFT[:HARD]");
    };
    if soft > hard {
        bail!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}");
    }
    Ok(Limit { resource: name.parse().with_context(|| format!("--ulimit {text:?}"))?, soft, hard })
}

/// The device that is named, or all that are in a directory.
///
/// Source: buildah, `parse.DeviceFromPath`.
fn devices(text: &str) -> Result<Vec<Device>> {
    let mut parts = text.split(':');
    let source = Path::new(parts.next().unwrap_or_default());
    if !source.is_dir() {
        return device(text).map(|device| vec![device]);
    }
    let target = parts.find(|part| part.starts_with('/')).map_or(source, Path::new);
    let mut found = Vec::new();
    let entries = std::fs::read_dir(source).with_context(|| format!("--device {text:?}"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("--device {text:?}"))?;
        let kind = entry.file_type().with_context(|| format!("--device {text:?}"))?;
        if kind.is_block_device() || kind.is_char_device() {
            let at = target.join(entry.file_name());
            found
                .push(Device::of(&entry.path(), at).with_context(|| format!("--device {text:?}"))?);
        }
    }
    Ok(found)
}

/// Source: buildah, `parse.Device`.
fn device(text: &str) -> Result<Device> {
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or_default();
    let (mut target, mut permissions) = (source, "rwm");
    for part in parts {
        let is_permissions = !part.is_empty() && part.bytes().all(|byte| b"rwm".contains(&byte));
        match part.starts_with('/') {
            _ if is_permissions => permissions = part,
            true => target = part,
            false => bail!("--device {text:?} is not SOURCE[:TARGET[:PERMISSIONS]]"),
        }
    }
    if !"rwm".chars().all(|right| permissions.contains(right)) {
        bail!(
            "--device {text:?}: {permissions:?} is not supported: a device can be used in full (rwm) or not at all"
        );
    }
    Device::of(Path::new(source), target).with_context(|| format!("--device {text:?}"))
}

fn proxies() -> BTreeMap<String, String> {
    let names = PROXIES.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
    names.filter_map(|name| Some((name.clone(), std::env::var(&name).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_a_name_and_one_or_two_numbers() {
        let parsed = limit("nofile=10:20").unwrap();
        assert_eq!((parsed.soft, parsed.hard), (10, 20));
        assert_eq!(limit("core=-1").unwrap().hard, Limit::INFINITY);
        let refused = |text: &str| limit(text).unwrap_err().to_string();
        assert!(refused("nofile").contains("is not NAME=SOFT[:HARD]"));
        assert!(refused("nofile=20:10").contains("must be less than"));
        assert!(refused("frob=1").contains("--ulimit"));
    }

    #[test]
    fn devices_have_a_place_and_all_permissions() {
        let path = |text: &str| device(text).unwrap().path.display().to_string();
        assert_eq!(path("/dev/null"), "/dev/null");
        assert_eq!(path("/dev/null:rwm"), "/dev/null");
        assert_eq!(path("/dev/null:/dev/a:mrw"), "/dev/a");
        let refused = |text: &str| device(text).unwrap_err().to_string();
        assert!(refused("/dev/null:r").contains("\"r\" is not supported"));
        assert!(refused("/dev/null:x").contains("is not SOURCE"));
        assert!(refused("/etc/passwd").contains("--device"));
    }

    #[test]
    fn hosts_may_have_addresses_of_both_kinds() {
        let host = Choice::Shared(BuildNetwork::Host);
        let found = |text: &str| {
            let mut names = HostNames::default();
            hosts(text, &host, &mut names).unwrap();
            let each = names.hosts.into_iter();
            let mut all: Vec<_> = each.map(|(name, address)| format!("{name} {address}")).collect();
            all.extend(names.gateway_names.into_iter().map(|name| format!("{name} gateway")));
            all.join(" ")
        };
        assert_eq!(found("a:1.2.3.4"), "a 1.2.3.4");
        assert_eq!(found("a:[::1]"), "a ::1");
        assert_eq!(found("a;b:::1"), "a ::1 b ::1");
        assert_eq!(found("a:host-gateway"), "a gateway");
        let none = Choice::Shared(BuildNetwork::None);
        hosts("a:host-gateway", &none, &mut HostNames::default()).unwrap_err();
        for text in ["a", ":1.2.3.4", "a;:1.2.3.4", "a b:1.2.3.4", "a\n1.1.1.1 c:1.2.3.4"] {
            hosts(text, &host, &mut HostNames::default()).unwrap_err();
        }
    }

    #[test]
    fn all_capabilities_are_a_word() {
        let named = |name: &str| capabilities(&[name.to_owned()]);
        assert_eq!(named("ALL").unwrap(), None);
        assert_eq!(named("CAP_CHOWN").unwrap().map(|found| found.len()), Some(1));
        assert_eq!(capabilities(&[]).unwrap(), Some(Vec::new()));
        named("frob").unwrap_err();
    }
}
