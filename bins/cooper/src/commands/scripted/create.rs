//! `cooper from`

mod usual;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_build::{
    BaseImage, ConfigChange, NewWorkingContainer, WorkingConfinement, WorkingContainer,
    WorkingContainers, WorkingIsolation, WorkingNamespace, WorkingRunOptions,
};
use cask_engine::{Images, PullPolicy};
use cask_image::PlatformWanted;
use cask_program::progress::ProgressChoice;
use cask_program::{access, build, containers_conf, output, report};
use cask_runtime::{Capability, CapabilitySet};
use clap::Args;

use super::refused::OfFrom;
use crate::context::{Context, format, now};
use cask_program::moving::{self, PlatformArguments, RegistryArguments};
use cask_program::refused::Refused;

/// Make a working container of an image, or of nothing
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, or scratch
    image: Vec<String>,
    /// Its name [default: that of the image, with -working-container]
    #[arg(long)]
    name: Option<String>,
    /// What its name ends with, behind that of the image
    #[arg(long, value_name = "TEXT", hide = true)]
    suffix: Option<String>,
    #[command(flatten)]
    refused: Refused<OfFrom>,
    /// Write its ID to this file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// When to pull the image: true (if there is a newer one), always, never, false (if it is missing)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "POLICY")]
    pull: Option<String>,
    /// Pull the image, whatever is in the store
    #[arg(long, hide = true)]
    pull_always: bool,
    /// Pull nothing
    #[arg(long, hide = true)]
    pull_never: bool,
    /// The format of its images: oci or docker [default: $BUILDAH_FORMAT, else oci]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Say nothing while the image is pulled
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    platform: PlatformArguments,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// What is remembered for commands that run in it.
#[derive(Args, Debug)]
#[command(next_help_heading = "For the commands that run in it")]
struct RunArguments {
    /// What sets them apart: chroot, oci or rootless [default: $BUILDAH_ISOLATION, else namespaces]
    #[arg(long, value_name = "KIND")]
    isolation: Option<String>,
    /// Their network: none, host, private (a bridge for root, pasta for a user), bridge, pasta[:OPTION,...], ns:PATH
    /// or names of networks [default: host]
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    /// Something that they may do
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Something that they may not do
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// A name and its address
    #[arg(long, value_name = "NAME:ADDRESS", value_delimiter = ',')]
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
    /// Pass the machine's proxies on
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "true|false")]
    http_proxy: String,
    /// What /dev/shm may hold [default: what containers.conf says, else 65536k]
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// A limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_delimiter = ',')]
    ulimit: Vec<String>,
    /// A directory of the machine
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// A group that their user is in besides its own; keep-groups stands for the caller's
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    #[command(flatten)]
    confinement: ConfinementArguments,
    #[command(flatten)]
    users: build::UsersArguments,
    /// What they may do if no flag says so: what containers.conf has.
    #[arg(skip)]
    usual_capabilities: Option<Vec<String>>,
}

/// What else sets commands apart, and what they may use.
#[derive(Args, Debug)]
#[command(next_help_heading = "For the commands that run in it")]
struct ConfinementArguments {
    /// Their shared memory and queues: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    ipc: Option<String>,
    /// The processes that they see: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    pid: Option<String>,
    /// Their name of the machine: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    uts: Option<String>,
    /// The control groups that they see: private or host
    #[arg(long, value_name = "NAMESPACE")]
    cgroupns: Option<String>,
    /// A device of the machine: a path, or the name VENDOR/CLASS=NAME of one that a vendor describes in /etc/cdi
    #[arg(long, value_name = "DEVICE[:PATH][:PERMISSIONS]")]
    device: Vec<String>,
    /// seccomp=FILE, seccomp=unconfined, apparmor=unconfined or label=disable
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// The most memory, such as 512m
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// The most memory and swap together; -1 for no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// The period of the processor's time, in microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    cpu_period: u64,
    /// Processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    cpu_quota: i64,
    /// The share of processor time where it is short
    #[arg(short, long, value_name = "SHARE", default_value_t = 0)]
    cpu_shares: u64,
    /// The processors that may be used, such as 0-3
    #[arg(long, value_name = "LIST", default_value = "")]
    cpuset_cpus: String,
    /// The memory nodes that may be used, such as 0
    #[arg(long, value_name = "LIST", default_value = "")]
    cpuset_mems: String,
    /// The control group above theirs
    #[arg(long, value_name = "GROUP", default_value = "")]
    cgroup_parent: String,
}

impl ConfinementArguments {
    fn confinement(&self) -> Result<WorkingConfinement> {
        let mut confinement = WorkingConfinement::default();
        let namespaces = &mut confinement.namespaces;
        namespaces.ipc = namespace(self.ipc.as_deref())?;
        namespaces.pid = namespace(self.pid.as_deref())?;
        namespaces.uts = namespace(self.uts.as_deref())?;
        namespaces.cgroup = namespace(self.cgroupns.as_deref())?;
        confinement.devices.clone_from(&self.device);
        for option in &self.security_opt {
            match option.split_once(['=', ':']) {
                Some(("seccomp", "unconfined")) => confinement.danger_no_seccomp = true,
                Some(("seccomp", path)) => {
                    build::seccomp_profile(path)?;
                    confinement.seccomp_profile = Some(std::path::absolute(path)?);
                }
                _ => build::security_option(option)?,
            }
        }
        let resources = &mut confinement.resources;
        if let Some(size) = &self.memory {
            resources.memory_bytes = build::size(size).context("--memory")?;
        }
        resources.memory_and_swap_bytes = match self.memory_swap.as_deref() {
            None => 0,
            Some("-1") => -1,
            Some(size) => i64::try_from(build::size(size).context("--memory-swap")?)?,
        };
        resources.processor_period_micros = self.cpu_period;
        resources.processor_quota_micros = self.cpu_quota;
        resources.processor_shares = self.cpu_shares;
        resources.processors.clone_from(&self.cpuset_cpus);
        resources.memory_nodes.clone_from(&self.cpuset_mems);
        resources.parent.clone_from(&self.cgroup_parent);
        Ok(confinement)
    }
}

/// What commands have for themselves, as a flag says it.
pub(super) fn namespace(flag: Option<&str>) -> Result<Option<WorkingNamespace>> {
    Ok(flag.map(WorkingNamespace::parse).transpose()?)
}

/// Capabilities by their names; `all` stands for every one.
pub(super) fn capabilities(names: &[String]) -> Result<Vec<Capability>> {
    let mut found = Vec::new();
    for name in names {
        match name.eq_ignore_ascii_case("all") {
            true => found.extend(Capability::ALL.iter().copied()),
            false => found.push(name.parse()?),
        }
    }
    Ok(found)
}

/// Makes a container and prints its name.
pub(crate) async fn run(mut arguments: Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    usual::fill(&mut arguments.run, containers_conf::load()?);
    let image = match arguments.image.as_slice() {
        [] => bail!("an image name (or \"scratch\") must be specified"),
        [image] => image.clone(),
        _ => bail!("too many arguments specified"),
    };
    let images = context.images()?;
    let platform = arguments.platform.wanted(&context.settings)?;
    let mut new = NewWorkingContainer::scratch(platform.clone(), now()?);
    if image != "scratch" {
        let base = base(&image, &arguments, platform, &images, context).await?;
        new.base = Some(base);
        new.reference.clone_from(&image);
    }
    new.name.clone_from(&arguments.name);
    new.suffix = arguments.suffix.clone().filter(|suffix| !suffix.is_empty());
    new.format = format(arguments.format.as_deref())?;
    new.run = arguments.run.options()?;
    let containers = WorkingContainers::new(images.store().clone());
    let mut container = containers.create(&new)?;
    // What it does may wait for others by itself.
    let carried_out = std::thread::scope(|scope| {
        let done =
            scope.spawn(|| on_build(&mut container, &arguments, &containers, context)).join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if let Err(error) = carried_out {
        // It is of no use to anybody.
        let _ = containers.remove(&container);
        return Err(error);
    }
    if let Some(file) = &arguments.cidfile {
        std::fs::write(file, container.id().as_str())
            .with_context(|| format!("failed to write container ID file {:?}", file.display()))?;
    }
    Context::warn(images.store());
    output::line(container.name())
}

/// Finds the image in the store, or pulls it.
async fn base(
    image: &str,
    arguments: &Arguments,
    platform: PlatformWanted,
    images: &Images,
    context: &Context,
) -> Result<BaseImage> {
    let policy = arguments.policy()?;
    if policy == PullPolicy::Never && arguments.platform.is_asked() {
        // One of another platform is none.
        let found = images.find(image)?;
        if let Some(config) = images.config(&found.image)?
            && (&config.os, &config.architecture) != (&platform.os, &platform.architecture)
        {
            bail!("{image}: image not known");
        }
    }
    let transports = arguments.registry.transports(images, &context.settings).await?;
    let progress = Arc::new(ProgressChoice::Auto.start(arguments.quiet));
    let wanted = platform.clone();
    let copy = moving::copy_options(&context.settings, platform, &progress, arguments.quiet)?;
    let mut options = moving::pull_options(copy, policy, &progress);
    moving::keep_answers(&context.settings, &mut options);
    options.platform_asked = arguments.platform.is_asked();
    let pulled = images.pull(image, &transports, &options).await;
    drop((options, progress));
    let pulled = pulled?.into_iter().next().context("nothing was pulled")?;
    let name = pulled.names.first().cloned().unwrap_or_else(|| image.to_owned());
    let id = images.instance(pulled.id.as_str(), &wanted)?.unwrap_or(pulled.id);
    Ok(BaseImage::new(id, name, None))
}

impl Arguments {
    /// Source: buildah 1.28, `cmd/buildah/from.go`, `fromCmd`.
    fn policy(&self) -> Result<PullPolicy> {
        let given = [self.pull.is_some(), self.pull_always, self.pull_never];
        if given.iter().filter(|given| **given).count() > 1 {
            bail!("can only set one of 'pull' or 'pull-always' or 'pull-never'");
        }
        if self.pull_always {
            return Ok(PullPolicy::Always);
        }
        if self.pull_never {
            return Ok(PullPolicy::Never);
        }
        match self.pull.as_deref().map(str::trim).map(str::to_lowercase).as_deref() {
            None | Some("missing" | "ifnotpresent" | "false") => Ok(PullPolicy::Missing),
            Some("true" | "newer" | "ifnewer") => Ok(PullPolicy::Newer),
            Some("always") => Ok(PullPolicy::Always),
            Some("never") => Ok(PullPolicy::Never),
            Some(other) => bail!("unrecognized pull policy {other:?}"),
        }
    }
}

impl RunArguments {
    fn options(&self) -> Result<WorkingRunOptions> {
        let mut options = WorkingRunOptions::default();
        options.isolation = isolation(self.isolation.as_deref())?;
        options.network = build::working_network(self.network.as_deref())?;
        options.users = self.users.users()?;
        let mut set = match &self.usual_capabilities {
            Some(names) => {
                capabilities(names)?.into_iter().fold(CapabilitySet::NONE, CapabilitySet::with)
            }
            None => CapabilitySet::default(),
        };
        for added in capabilities(&self.cap_add)? {
            set = set.with(added);
        }
        for removed in capabilities(&self.cap_drop)? {
            set = set.without(removed);
        }
        options.capabilities = set.iter().collect();
        options.hosts.clone_from(&self.add_host);
        options.name_servers.clone_from(&self.dns);
        options.name_search.clone_from(&self.dns_search);
        options.name_options.clone_from(&self.dns_option);
        options.proxies = access::boolean_value("http-proxy", &self.http_proxy)?;
        if let Some(size) = &self.shm_size {
            options.shared_memory.clone_from(size);
        }
        options.limits.clone_from(&self.ulimit);
        options.volumes.clone_from(&self.volume);
        if self.group_add.len() > 1 && self.group_add.iter().any(|group| group == "keep-groups") {
            bail!(
                "the '--group-add keep-groups' option is not allowed with any other --group-add options"
            );
        }
        options.groups.clone_from(&self.group_add);
        options.confinement = self.confinement.confinement()?;
        options.check()?;
        Ok(options)
    }
}

/// What sets commands apart: a flag, or else the environment.
pub(super) fn isolation(flag: Option<&str>) -> Result<WorkingIsolation> {
    let named = flag.map(str::to_owned).or_else(|| std::env::var("BUILDAH_ISOLATION").ok());
    match named.as_deref().unwrap_or_default() {
        "" => Ok(WorkingIsolation::Default),
        "oci" => Ok(WorkingIsolation::Oci),
        "rootless" => Ok(WorkingIsolation::Rootless),
        "chroot" => Ok(WorkingIsolation::Chroot),
        other => bail!("unrecognized isolation type {other:?}"),
    }
}

/// Carries out what the image has for builds that start from it.
///
/// Source: buildah, `cmd/buildah/from.go`, `onBuild`.
fn on_build(
    container: &mut WorkingContainer,
    arguments: &Arguments,
    containers: &WorkingContainers,
    context: &Context,
) -> Result<()> {
    let instructions = container.on_build();
    if instructions.is_empty() {
        return Ok(());
    }
    for (index, instruction) in instructions.iter().enumerate() {
        if !arguments.quiet {
            report::say(&format!("STEP {}: {instruction}", index + 1));
        }
        let (word, rest) = instruction.split_once(' ').unwrap_or((instruction, ""));
        let rest = rest.trim();
        let change = match word.to_ascii_uppercase().as_str() {
            "RUN" => {
                super::execute::on_build(container, rest, context)?;
                continue;
            }
            word @ ("COPY" | "ADD") => {
                super::copy::on_build(container, rest, word == "ADD", containers, context)?;
                continue;
            }
            word => change_of(word, rest).with_context(|| {
                format!(
                    "the image has the instruction ONBUILD {word}, which `from` cannot carry out: build from it with a Containerfile"
                )
            })?,
        };
        container.configure(&[change], None)?;
    }
    Ok(container.clear_on_build()?)
}

/// The change that an instruction of a Containerfile makes, if it changes nothing else.
pub(super) fn change_of(word: &str, rest: &str) -> Option<ConfigChange> {
    let (text, list) = (rest.to_owned(), vec![rest.to_owned()]);
    Some(match word {
        "CMD" => ConfigChange::Command(text),
        "ENV" => ConfigChange::Environment(list),
        "ENTRYPOINT" => ConfigChange::Entrypoint(text),
        "EXPOSE" => ConfigChange::Ports(rest.split_whitespace().map(str::to_owned).collect()),
        "LABEL" => ConfigChange::Labels(list),
        "MAINTAINER" => ConfigChange::Author(text),
        "ONBUILD" => ConfigChange::OnBuild(list),
        "SHELL" => ConfigChange::Shell(text),
        "STOPSIGNAL" => ConfigChange::StopSignal(text),
        "USER" => ConfigChange::User(text),
        "VOLUME" => ConfigChange::Volumes(list),
        "WORKDIR" => ConfigChange::WorkingDirectory(text),
        _ => return None,
    })
}
