//! What `create` and `run` have in common: the flags that say what a container is.

mod accounts;
mod control;
mod devices;
mod health;
mod limits;
mod network;
mod pod;
mod rates;
mod runtime;
mod secrets;
mod security;
mod users;
mod usual;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cask_engine::{ContainerConfig, CreateOptions, MountConfig, SpaceMode, parse_bytes};
use cask_program::containers_conf::ContainersConf;
use cask_program::refused::Refused;
use clap::Args;

use super::unsupported::OfRun;
use accounts::AccountArguments;
use control::ControlArguments;
use devices::DeviceArguments;
pub(super) use health::HealthArguments;
use secrets::SecretArguments;
use security::SecurityArguments;
use users::UserArguments;

use control::WeightArguments;
pub(super) use limits::AllLimitArguments;
use limits::LimitArguments;
pub(super) use network::NetworkArguments;
use network::SpaceArguments;
use pod::PodArguments;
pub(super) use pod::{PodCreateArguments, id_of as pod_id_of};
use rates::RateArguments;
pub(crate) use runtime::RuntimeArguments;

/// Variables that say what the proxies are. Source: containers/common, `pkg/config/config.go`, `ProxyEnv`.
const PROXIES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

/// How many processes a container has at most. Source: containers/common, `DefaultPidsLimit`.
const USUAL_PROCESSES: i64 = 2048;

/// Flags of containers.
#[derive(Args, Debug, Default)]
pub(crate) struct ContainerArguments {
    #[command(flatten)]
    process: ProcessArguments,
    #[command(flatten)]
    security: SecurityArguments,
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    spaces: SpaceArguments,
    #[command(flatten)]
    pod: PodArguments,
    #[command(flatten)]
    resources: ResourceArguments,
    #[command(flatten)]
    rates: RateArguments,
    #[command(flatten)]
    accounts: AccountArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    #[command(flatten)]
    health: HealthArguments,
    #[command(flatten)]
    control: ControlArguments,
    #[command(flatten)]
    users: UserArguments,
    #[command(flatten)]
    life: LifeArguments,
    #[command(flatten)]
    refused: Refused<OfRun>,
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "What runs")]
struct ProcessArguments {
    /// Replace the entry point: a command, or a JSON list of words
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Set a variable of the environment; without a value, to what it is here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from this file, one on each line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Set every variable that is set here
    #[arg(long)]
    env_host: bool,
    /// Set the variables that name proxies here where the image does not [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    http_proxy: Option<bool>,
    /// Set a variable from those of the image, such as PATH=/opt:${PATH}
    #[arg(long, value_name = "NAME=VALUE")]
    env_merge: Vec<String>,
    /// Take a variable out of the image's environment
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// Take every variable out of the image's environment
    #[arg(long)]
    unsetenv_all: bool,
    /// Run as this user, by name or number, and group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Add the user to a group; keep-groups: leave it in those of whoever starts the container
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    group_add: Vec<String>,
    /// Begin in this directory
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Keep its input open
    #[arg(short, long)]
    interactive: bool,
    /// Put a small init before the command, which reaps orphans
    #[arg(long)]
    init: bool,
    /// With --init: this program instead of our own init. It is mounted, and must need no libraries
    #[arg(long, value_name = "PATH", requires = "init")]
    init_path: Option<PathBuf>,
    /// Bits that new files do not get
    #[arg(long, value_name = "OCTAL")]
    umask: Option<String>,
    /// Limit a resource, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_delimiter = ',')]
    ulimit: Vec<String>,
    /// What the kernel pretends to be: LINUX or LINUX32
    #[arg(long, value_name = "PERSONA")]
    personality: Option<String>,
    /// How early the kernel ends it when memory is short, from -1000 to 1000
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    oom_score_adj: Option<i16>,
    /// The time zone, or local
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Its files")]
struct FileArguments {
    /// Mount a directory, a file or a volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// Mount something: type=bind, volume, tmpfs, ramfs, image, devpts or glob, source=…, target=…
    #[arg(long, value_name = "type=TYPE,…")]
    mount: Vec<String>,
    /// Mount an empty directory in memory
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Mount what this container has mounted
    #[arg(long, value_name = "CONTAINER[:OPTIONS]")]
    volumes_from: Vec<String>,
    /// What becomes of the image's volumes: anonymous, tmpfs or ignore [default: anonymous]
    #[arg(long, value_name = "KIND")]
    image_volume: Option<String>,
    #[command(flatten)]
    devices: DeviceArguments,
    /// How much /dev/shm may hold
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// How much each of the directories may hold that systemd has in memory
    #[arg(long, value_name = "SIZE")]
    shm_size_systemd: Option<String>,
    /// Have its root not be written to
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    read_only: Option<bool>,
    /// With --read-only, have /run, /tmp and /var/tmp be in memory
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    read_only_tmpfs: Option<bool>,
    /// Set a setting of the kernel
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    sysctl: Vec<String>,
    /// Give a root below this directory the same /etc/hosts and /etc/resolv.conf
    #[arg(long, value_name = "DIRECTORY", value_delimiter = ',')]
    chrootdirs: Vec<PathBuf>,
    /// Use a directory as its root instead of an image
    #[arg(long)]
    rootfs: bool,
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How much it may use")]
struct ResourceArguments {
    #[command(flatten)]
    limits: LimitArguments,
    /// enabled; no-conmon, which is the same; disabled: it gets no control group; split: it gets a part of the group
    /// of whoever starts it
    #[arg(long, value_name = "MODE", default_value = "enabled")]
    cgroups: String,
    /// Make its control group below this one
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Its life")]
struct LifeArguments {
    /// Its name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Remove the container that has its name
    #[arg(long)]
    replace: bool,
    /// Remove it when it has ended
    #[arg(long)]
    rm: bool,
    /// Begin again when it has ended: no, always, on-failure[:N] or unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// The signal that asks it to end
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds from this signal to its end
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
    /// Seconds that it may run
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: u64,
    /// Where its output goes: k8s-file, journald, none, or passthrough, to whatever cellar's own output is
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// path=FILE, max-size=SIZE and max-file=NUMBER of a file, tag=TEXT in the journal
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    log_opt: Vec<String>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Read labels from this file, one on each line
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Set an annotation
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    annotation: Vec<String>,
    /// Write its ID to this file, which must not exist
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Write the number of its first process to this file whenever it starts
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Write the number of its monitor to this file whenever it starts
    #[arg(long, value_name = "FILE")]
    conmon_pidfile: Option<PathBuf>,
    /// Who tells the manager of services that it is ready: conmon, when it was started; container, the container
    /// itself; or ignore, nobody
    #[arg(long, value_name = "MODE")]
    sdnotify: Option<String>,
    /// Start these containers before it
    #[arg(long, value_name = "CONTAINER", value_delimiter = ',')]
    requires: Vec<String>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

impl ContainerArguments {
    /// Whether a directory stands for the image.
    pub(crate) fn has_own_root(&self) -> bool {
        self.files.rootfs
    }

    pub(crate) fn interactive(&self) -> bool {
        self.process.interactive
    }

    /// Whether it gets a terminal.
    pub(crate) fn has_terminal(&self) -> bool {
        self.process.tty
    }

    /// Whether its input and output are to be those of this program.
    pub(crate) fn passes_through(&self) -> bool {
        self.life.log_driver.as_deref() == Some("passthrough")
    }

    pub(crate) fn cidfile(&self) -> Option<&Path> {
        self.life.cidfile.as_deref()
    }

    /// What is wanted, with these words after the image.
    pub(crate) fn resolve(
        &self,
        words: &[String],
        containers: &cask_engine::Containers,
        conf: &ContainersConf,
    ) -> Result<CreateOptions> {
        self.refused.check()?;
        let mut options = CreateOptions::default();
        options.replace = self.life.replace;
        options.publish_all = self.spaces.publish_all;
        let config = &mut options.config;
        if self.life.replace && self.life.name.is_none() {
            bail!("cannot replace container without --name being set");
        }
        config.create_command = std::env::args().collect();
        self.process.resolve(config, words, conf)?;
        self.security.resolve(config)?;
        self.files.resolve(config, containers)?;
        self.network.resolve(config, containers, conf)?;
        self.spaces.resolve(config, conf)?;
        self.resources.resolve(config)?;
        self.rates.resolve(&mut config.resources)?;
        self.accounts.resolve(config)?;
        self.health.resolve(config)?;
        self.secrets.resolve(config)?;
        self.life.resolve(config)?;
        if config.files.shm_bytes.is_some()
            && matches!(config.namespaces.ipc, SpaceMode::Host | SpaceMode::None)
        {
            let mode = &config.namespaces.ipc;
            bail!(
                "invalid config provided: cannot set shmsize when running in the {{{mode} }} IPC Namespace"
            );
        }
        usual::fill(self, conf, config)?;
        self.control.resolve(&mut options)?;
        self.users.resolve(&mut options, conf)?;
        Ok(options)
    }
}

/// As many processes as the kernel numbers. Source: containers/common, `getDefaultProcessLimits`.
fn usual_processes() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?;
    let most: u64 = text.trim().parse().ok()?;
    Some(format!("nproc={most}:{most}"))
}

/// A size with a unit, in bytes.
fn size(flag: &str, text: &str) -> Result<u64> {
    parse_bytes(text).with_context(|| match flag {
        "shm-size" | "shm-size-systemd" => {
            format!("unable to translate --{flag}: invalid size: '{text}'")
        }
        _ => format!("invalid value for {flag}: invalid size: '{text}'"),
    })
}

/// Lines of a file that are neither empty nor comments.
fn lines(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("open {}", path.display()))?;
    let lines =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(ToOwned::to_owned).collect())
}

/// Files as they are named: several with commas between them, where no file has such a name.
///
/// Source: podman, which took it for several until version 5, and for one since.
fn each_file(named: &[PathBuf]) -> Vec<PathBuf> {
    let split = |name: &PathBuf| match name.to_str() {
        Some(text) if !name.exists() => text.split(',').map(PathBuf::from).collect(),
        _ => vec![name.clone()],
    };
    named.iter().flat_map(split).collect()
}

/// Variables as they are written: without a value, what they are here; `NAME*` is every one that begins so.
///
/// Source: podman, `pkg/env/env.go`.
pub(super) fn variables(given: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for text in given {
        match text.split_once('=') {
            Some(("", _)) => bail!("invalid environment variable: {text:?}"),
            Some(_) => found.push(text.clone()),
            None => match text.strip_suffix('*') {
                Some(start) => found.extend(
                    std::env::vars()
                        .filter(|(name, _)| name.starts_with(start))
                        .map(|(name, value)| format!("{name}={value}")),
                ),
                None => {
                    found.extend(std::env::var(text).ok().map(|value| format!("{text}={value}")))
                }
            },
        }
    }
    Ok(found)
}

/// The variables of files, then those of flags.
pub(super) fn environment(files: &[PathBuf], given: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in &each_file(files) {
        let read = lines(file)
            .with_context(|| format!("parsing env file {:?}", file.display().to_string()))?;
        all.extend(variables(&read)?);
    }
    all.extend(variables(given)?);
    Ok(all)
}

impl ProcessArguments {
    fn resolve(
        &self,
        config: &mut ContainerConfig,
        words: &[String],
        conf: &ContainersConf,
    ) -> Result<()> {
        let process = &mut config.process;
        process.command = words.to_vec();
        process.entrypoint = match self.entrypoint.as_deref() {
            None => None,
            Some("") => Some(Vec::new()),
            // A list of words in JSON, or one word.
            Some(text) => {
                Some(serde_json::from_str(text).unwrap_or_else(|_| vec![text.to_owned()]))
            }
        };
        if self.http_proxy.or(conf.switches.http_proxy).unwrap_or(true) {
            let set = |name: &&str| Some(format!("{name}={}", std::env::var(name).ok()?));
            process.default_environment.extend(PROXIES.iter().filter_map(set));
        }
        if self.env_host || conf.switches.env_host == Some(true) {
            process
                .environment
                .extend(std::env::vars().map(|(name, value)| format!("{name}={value}")));
        }
        process.environment.extend(environment(&self.env_file, &self.env)?);
        process.merged_environment = pairs_of(&self.env_merge)?;
        process.unset_environment.clone_from(&self.unsetenv);
        if self.unsetenv_all {
            process.unset_environment.push("*".to_owned());
        }
        process.user.clone_from(&self.user);
        process.groups.clone_from(&self.group_add);
        if let Some(directory) = &self.workdir {
            if !directory.starts_with('/') {
                bail!(
                    "the working directory {directory:?} is invalid, it needs to be an absolute path"
                );
            }
            process.directory = Some(directory.clone());
        }
        process.terminal = self.tty;
        process.interactive = self.interactive;
        process.init = self.init;
        process.init_program.clone_from(&self.init_path);
        if let Some(umask) = &self.umask {
            let mask = u32::from_str_radix(umask, 8).ok().filter(|mask| *mask <= 0o777);
            process.umask = Some(mask.with_context(|| {
                format!("running container create option: invalid umask string {umask}: invalid argument")
            })?);
        }
        process.limits.clone_from(&self.ulimit);
        if process.limits.is_empty() {
            process.limits.extend(usual_processes());
        }
        process.oom_score = self.oom_score_adj;
        process.personality = self.personality.clone().unwrap_or_default();
        if let Some(zone) = self.tz.as_deref().filter(|zone| *zone != "local") {
            let path = Path::new("/usr/share/zoneinfo").join(zone.trim_start_matches('/'));
            std::fs::metadata(&path).with_context(|| {
                format!("running container create option: stat {}", path.display())
            })?;
        }
        process.time_zone.clone_from(&self.tz);
        Ok(())
    }
}

impl FileArguments {
    fn resolve(
        &self,
        config: &mut ContainerConfig,
        containers: &cask_engine::Containers,
    ) -> Result<()> {
        let here = std::env::current_dir().context("asking where this is")?;
        let files = &mut config.files;
        for text in &self.volume {
            files.mounts.push(MountConfig::of_volume(text, &here)?);
        }
        for text in &self.mount {
            files.mounts.extend(MountConfig::of_mounts(text, &here)?);
        }
        for text in &self.tmpfs {
            files.mounts.push(MountConfig::of_tmpfs(text)?);
        }
        for text in &self.volumes_from {
            let (name, options) = text.split_once(':').unwrap_or((text, ""));
            let read_only = match options {
                "" | "rw" | "z" => false,
                "ro" => true,
                other => bail!("invalid options {other:?}, can only specify 'ro', 'rw', and 'z'"),
            };
            let looked = || format!("looking up container {name:?} for volumes-from");
            for mount in containers.find(name).with_context(looked)?.config.files.mounts {
                // What is in memory is nobody else's.
                if mount.kind.is_memory() {
                    continue;
                }
                let known = files.mounts.iter().any(|known| known.target == mount.target);
                if !known {
                    let mut mount = mount;
                    mount.read_only |= read_only;
                    mount.anonymous = false;
                    files.mounts.push(mount);
                }
            }
        }
        files.volumes_from.clone_from(&self.volumes_from);
        files.image_volumes = self.image_volume.clone().unwrap_or_default();
        files.devices = self.devices.devices();
        files.shm_bytes =
            self.shm_size.as_deref().map(|text| size("shm-size", text)).transpose()?;
        files.systemd_bytes = self
            .shm_size_systemd
            .as_deref()
            .map(|text| size("shm-size-systemd", text))
            .transpose()?;
        files.read_only = self.read_only.unwrap_or_default();
        files.read_only_tmpfs = self.read_only_tmpfs.unwrap_or(true);
        files.sysctls.clone_from(&self.sysctl);
        if let Some(relative) = self.chrootdirs.iter().find(|path| !path.is_absolute()) {
            bail!("--chrootdirs {}: it needs to be an absolute path", relative.display());
        }
        files.more_roots.clone_from(&self.chrootdirs);
        Ok(())
    }
}

impl ResourceArguments {
    fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        let resources = &mut config.resources;
        self.limits.resolve(resources)?;
        resources.usual_pids = Some(USUAL_PROCESSES);
        match self.cgroups.as_str() {
            "enabled" | "no-conmon" | "disabled" | "split" => {
                resources.cgroups.clone_from(&self.cgroups);
            }
            other => bail!(
                "running container create option: invalid cgroup mode {other:?}: invalid argument"
            ),
        }
        resources.cgroup_parent.clone_from(&self.cgroup_parent);
        Ok(())
    }
}

impl LifeArguments {
    fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        // Docker shows names with a slash before them, and takes them so.
        let name = self.name.as_deref().unwrap_or_default();
        name.strip_prefix('/').unwrap_or(name).clone_into(&mut config.name);
        let life = &mut config.lifecycle;
        life.auto_remove = self.rm;
        if let Some(policy) = &self.restart {
            life.restart = policy.parse()?;
            use cask_engine::RestartPolicy::{No, Unsaid};
            if self.rm && !matches!(life.restart, No | Unsaid) {
                bail!(
                    "the --rm option conflicts with --restart, when the restartPolicy is not \"\" and \"no\""
                );
            }
        }
        if let Some(signal) = &self.stop_signal {
            life.stop_signal = Some(super::kill::signal(signal)?.number());
        }
        life.stop_timeout = self.stop_timeout;
        life.timeout = self.timeout;
        life.monitor_pid_file =
            self.conmon_pidfile.as_ref().map(std::path::absolute).transpose()?;
        life.requires = self.requires.iter().filter(|name| !name.is_empty()).cloned().collect();
        life.notify = super::notify::mode(self.sdnotify.as_deref())?;
        life.id_file = self.cidfile.as_ref().map(std::path::absolute).transpose()?;
        life.pid_file = self.pidfile.as_ref().map(std::path::absolute).transpose()?;
        config.log.driver = self.log_driver.clone().unwrap_or_default();
        for option in &self.log_opt {
            match option.split_once('=') {
                Some(("path", path)) => config.log.path = Some(std::path::absolute(path)?),
                Some(("max-size", text)) => {
                    let bytes = cask_engine::parse_decimal_bytes(text);
                    config.log.max_size_bytes =
                        Some(bytes.with_context(|| format!("invalid size: '{text}'"))?)
                }
                Some(("max-file", text)) => {
                    let files = text.parse();
                    config.log.max_files =
                        Some(files.with_context(|| format!("invalid log option {option:?}"))?)
                }
                Some(("tag", tag)) => config.log.tag = Some(tag.to_owned()),
                _ => bail!(
                    "invalid log option {option:?}: it is path=FILE, max-size=SIZE, max-file=NUMBER or tag=TEXT"
                ),
            }
        }
        config.labels = labels(&self.label_file, &self.label)?;
        config.annotations = pairs(&self.annotation);
        Ok(())
    }
}

/// Variables that have a value.
fn pairs_of(given: &[String]) -> Result<Vec<String>> {
    if let Some(wrong) = given.iter().find(|text| !text.contains('=') || text.starts_with('=')) {
        bail!("invalid variable {wrong:?} for --env-merge: it is NAME=VALUE");
    }
    Ok(given.to_vec())
}

/// Labels of files, and those that are given besides. The words are podman's.
pub(super) fn labels(files: &[PathBuf], given: &[String]) -> Result<BTreeMap<String, String>> {
    let mut all = Vec::new();
    for file in &each_file(files) {
        all.extend(lines(file).context("unable to process labels")?);
    }
    all.extend(given.iter().cloned());
    Ok(pairs(&all))
}

/// Names and values; of equal names the last holds.
pub(super) fn pairs(given: &[String]) -> BTreeMap<String, String> {
    let split = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    given.iter().map(split).collect()
}
