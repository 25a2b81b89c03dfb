//! Flags about pods: of a container that is in one, and of one that is made.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_engine::{
    Containers, CreateOptions, Pod, PodConfig, PodOptions, PodSpace, ResourcesConfig,
};
use cask_program::containers_conf::{self, ContainersConf};
use clap::Args;

use super::super::pod::make;
use super::{
    AllLimitArguments, ContainerArguments, DeviceArguments, FileArguments, LifeArguments,
    NetworkArguments, ResourceArguments, SecurityArguments, SpaceArguments, UserArguments, labels,
};
use crate::context::Context;

/// The pod of a container.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Its life")]
pub(super) struct PodArguments {
    /// Be in this pod; new:NAME makes it
    #[arg(long, value_name = "[new:]POD")]
    pod: Option<String>,
    /// Be in the pod whose ID is in this file
    #[arg(long, value_name = "FILE")]
    pod_id_file: Option<PathBuf>,
    /// Run, and end, before the others of the pod begin: always, or once, after which it is removed
    #[arg(long, value_name = "WHEN")]
    init_ctr: Option<String>,
}

impl PodArguments {
    /// Which pod, if any.
    fn word(&self) -> Result<Option<String>> {
        let named = self.pod.clone().filter(|name| !name.is_empty());
        match (named, &self.pod_id_file) {
            (Some(_), Some(_)) => bail!("cannot specify both --pod and --pod-id-file"),
            (Some(name), None) => Ok(Some(name)),
            (None, Some(file)) => Ok(Some(id_of(file)?)),
            (None, None) => Ok(None),
        }
    }
}

/// The ID in a file. The words are podman's.
pub(in crate::commands::containers) fn id_of(file: &std::path::Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading pod ID file: open {}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

impl ContainerArguments {
    /// Whether it runs before the others of its pod.
    pub(crate) fn runs_before_others(&self) -> bool {
        self.pod.init_ctr.is_some()
    }

    /// Has the container that is about to be made be in its pod, which is made where that is wanted.
    pub(crate) fn join(
        &self,
        options: &mut CreateOptions,
        containers: &Containers,
        context: &Context,
    ) -> Result<()> {
        let word = self.pod.word()?;
        if let Some(init) = self.pod.init_ctr.as_deref().filter(|init| !init.is_empty()) {
            if word.is_none() {
                bail!("must specify pod value with init-ctr");
            }
            if !matches!(init, "always" | "once") {
                bail!("init-ctr value must be 'always' or 'once'");
            }
            init.clone_into(&mut options.config.pod.init);
        }
        let Some(word) = word else { return Ok(()) };
        let pods = containers.pods();
        if let Some(name) = word.strip_prefix("new:") {
            let pod = self.make_pod(name, options, containers, context)?;
            return Ok(pods.join(&pod, options, &[])?);
        }
        if self.users.is_given() {
            bail!("--userns and --pod cannot be set together");
        }
        let given = [
            (!self.network.is_usual(), PodSpace::Net),
            (self.spaces.pid.is_some(), PodSpace::Pid),
            (self.spaces.ipc.is_some(), PodSpace::Ipc),
            (self.spaces.uts.is_some(), PodSpace::Uts),
            (self.spaces.cgroupns.is_some(), PodSpace::Cgroup),
        ];
        let own: Vec<PodSpace> =
            given.into_iter().filter(|(given, _)| *given).map(|(_, space)| space).collect();
        Ok(pods.join(&pods.find(&word)?, options, &own)?)
    }

    /// Makes the pod, which has the network that was asked for here.
    fn make_pod(
        &self,
        name: &str,
        options: &mut CreateOptions,
        containers: &Containers,
        context: &Context,
    ) -> Result<Pod> {
        if name.is_empty() {
            bail!("new pod name must be at least one character");
        }
        let arguments = PodCreateArguments {
            named: Some(name.to_owned()),
            network: self.network.clone(),
            users: self.users.clone(),
            pid: self.spaces.pid.clone(),
            ..PodCreateArguments::default()
        };
        let conf = containers_conf::load()?;
        let mut made = arguments.resolve(containers, conf)?;
        if let Some(infra) = &mut made.infra {
            infra.config.runtime.clone_from(&options.config.runtime);
        }
        let pod = make(containers, arguments.infra_image(conf), made, context)?;
        // They are the pod's now.
        let network = &mut options.config.network;
        (network.hostname, network.ports) = (None, Vec::new());
        (network.add_hosts, network.attachments) = (Vec::new(), Vec::new());
        (network.dns, network.dns_search) = (Vec::new(), Vec::new());
        network.dns_options.clear();
        options.users.mode.clear();
        Ok(pod)
    }
}

/// What a pod is made with.
#[derive(Args, Debug, Default)]
pub(in crate::commands::containers) struct PodCreateArguments {
    /// Its name
    #[arg(value_name = "NAME")]
    named: Option<String>,
    /// Its name
    #[arg(short, long, value_name = "NAME", help_heading = "Its life")]
    name: Option<String>,
    /// Remove the pod that has its name, with its containers
    #[arg(long, help_heading = "Its life")]
    replace: bool,
    /// What becomes of it when its last container ends: continue or stop
    #[arg(long, value_name = "POLICY", help_heading = "Its life")]
    exit_policy: Option<String>,
    /// Have its containers begin again when they have ended: no, always, on-failure[:N] or unless-stopped
    #[arg(long, value_name = "POLICY", help_heading = "Its life")]
    restart: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Its life")]
    label: Vec<String>,
    /// Read labels from this file, one on each line
    #[arg(long, value_name = "FILE", help_heading = "Its life")]
    label_file: Vec<PathBuf>,
    /// Write its ID to this file, which must not exist
    #[arg(long, value_name = "FILE", help_heading = "Its life")]
    pub(in crate::commands::containers) pod_id_file: Option<PathBuf>,
    /// Have an infra container, whose namespaces the others share [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Its infra container")]
    infra: Option<bool>,
    /// Run this in an infra container that has an image: words with spaces between them
    #[arg(long, value_name = "COMMAND", help_heading = "Its infra container")]
    infra_command: Option<String>,
    /// Make the infra container from this image instead of from nothing
    #[arg(long, value_name = "IMAGE", help_heading = "Its infra container")]
    infra_image: Option<String>,
    /// The name of the infra container
    #[arg(long, value_name = "NAME", help_heading = "Its infra container")]
    infra_name: Option<String>,
    /// Write the number of the infra container's monitor to this file whenever it starts
    #[arg(long, value_name = "FILE", help_heading = "Its infra container")]
    infra_conmon_pidfile: Option<PathBuf>,
    /// What its containers share: cgroup, ipc, net, pid, uts or none; with + before the first, besides the usual
    /// [default: ipc,net,uts]
    #[arg(long, value_name = "SPACES", help_heading = "Its infra container")]
    share: Option<String>,
    /// Have the control groups of its containers be below one of the pod [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "How much it may use")]
    share_parent: Option<bool>,
    /// Make its control group below this one
    #[arg(long, value_name = "PATH", help_heading = "How much it may use")]
    cgroup_parent: Option<String>,
    #[command(flatten)]
    network: NetworkArguments,
    /// Processes that they see: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE", help_heading = "What it reaches")]
    pid: Option<String>,
    /// Host name that they see: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE", help_heading = "What it reaches")]
    uts: Option<String>,
    #[command(flatten)]
    users: UserArguments,
    /// seccomp=FILE, seccomp=unconfined, no-new-privileges, mask=PATH:PATH, unmask=ALL or unmask=PATH:PATH
    #[arg(long, value_name = "OPTION", help_heading = "What it may do")]
    security_opt: Vec<String>,
    #[command(flatten)]
    devices: DeviceArguments,
    /// Mount a directory, a file or a volume in all of its containers
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]", help_heading = "Its files")]
    volume: Vec<String>,
    /// Mount what this container has mounted
    #[arg(long, value_name = "CONTAINER[:OPTIONS]", help_heading = "Its files")]
    volumes_from: Vec<String>,
    /// How much /dev/shm may hold
    #[arg(long, value_name = "SIZE", help_heading = "Its files")]
    shm_size: Option<String>,
    /// How much each of the directories may hold that systemd has in memory
    #[arg(long, value_name = "SIZE", help_heading = "Its files")]
    shm_size_systemd: Option<String>,
    /// Set a setting of the kernel
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', help_heading = "Its files")]
    sysctl: Vec<String>,
    #[command(flatten)]
    limits: AllLimitArguments,
    /// Print help
    #[arg(long, short = 'h', action = clap::ArgAction::Help)]
    help: Option<bool>,
}

impl PodCreateArguments {
    /// The image of its infra container, if that has one.
    pub(in crate::commands::containers) fn infra_image<'a>(
        &'a self,
        conf: &'a ContainersConf,
    ) -> Option<&'a str> {
        let given = self.infra_image.as_deref().filter(|name| !name.is_empty());
        given.or(conf.engine.infra_image.as_deref())
    }

    /// What is wanted. The words are podman's.
    ///
    /// Source: podman, `cmd/podman/pods/create.go`.
    pub(in crate::commands::containers) fn resolve(
        &self,
        containers: &Containers,
        conf: &ContainersConf,
    ) -> Result<PodOptions> {
        let mut options = PodOptions::default();
        let config = &mut options.config;
        config.name = match (&self.named, &self.name) {
            (Some(_), Some(_)) => bail!("cannot specify --name and NAME at the same time"),
            (one, other) => one.as_ref().or(other.as_ref()).cloned().unwrap_or_default(),
        };
        if self.replace && config.name.is_empty() {
            bail!("cannot replace pod without --name being set");
        }
        options.replace = self.replace;
        config.create_command = std::env::args().collect();
        let policy = self.exit_policy.as_ref().or(conf.engine.pod_exit_policy.as_ref());
        config.exit_policy = policy.map_or("", String::as_str).parse()?;
        if let Some(policy) = &self.restart {
            config.restart = policy.parse()?;
        }
        config.labels = labels(&self.label_file, &self.label)?;
        config.separate_groups = self.share_parent == Some(false);
        config.cgroup_parent = self.cgroup_parent.clone().filter(|parent| !parent.is_empty());
        self.resources(config, containers)?;
        let share = self.share.as_deref();
        let shares_nothing = matches!(share, Some("none" | ""));
        if !self.infra.unwrap_or(!shares_nothing) {
            self.check_alone()?;
            return Ok(options);
        }
        config.shared = match share {
            Some(text) => PodSpace::parse_list(text)?,
            None => PodSpace::USUAL.to_vec(),
        };
        if config.shared.contains(&PodSpace::Cgroup) && !config.separate_groups {
            bail!(
                "cannot define the pod as the cgroup parent at the same time as joining the infra container's cgroupNS: invalid argument"
            );
        }
        let has_image = self.infra_image(conf).is_some();
        if self.infra_command.is_some() && !has_image {
            bail!(
                "--infra-command needs --infra-image: without an image the infra container has no files"
            );
        }
        let command = self.infra_command.as_ref().or(conf.engine.infra_command.as_ref());
        let mut infra = self.container();
        infra.process.entrypoint = command.filter(|_| has_image).map(|command| {
            let words: Vec<&str> = command.split_whitespace().collect();
            serde_json::to_string(&words).expect("texts can be written")
        });
        let mut infra = infra.resolve(&[], containers, conf)?;
        config.hostname = infra.config.network.hostname.clone().unwrap_or_default();
        infra.config.process.init = false;
        options.infra = Some(infra);
        Ok(options)
    }

    /// Refuses what only an infra container can have.
    fn check_alone(&self) -> Result<()> {
        if self.network.has_no_hosts() {
            bail!("cannot specify --no-hosts without an infra container");
        }
        if self.infra_name.is_some() {
            bail!("cannot set infra-name without an infra container");
        }
        if let Some(share) = self.share.as_deref().filter(|share| !matches!(*share, "none" | "")) {
            bail!("cannot set share({share}) namespaces without an infra container");
        }
        if self.network.publishes() {
            bail!("you must have an infra container to publish port bindings to the host");
        }
        if !self.network.is_usual() {
            bail!("invalid pod spec: NoInfra and network modes cannot be used together");
        }
        if self.network.asks() {
            bail!("invalid pod spec: cannot set networks options without infra container");
        }
        let others = [
            (self.infra_image.is_some(), "infra-image"),
            (self.infra_command.is_some(), "infra-command"),
            (self.infra_conmon_pidfile.is_some(), "infra-conmon-pidfile"),
            (self.network.names_servers(), "dns"),
            (self.network.has_hosts(), "add-host"),
            (self.users.is_given(), "userns"),
            (self.pid.is_some(), "pid"),
            (self.uts.is_some(), "uts"),
            (!self.security_opt.is_empty(), "security-opt"),
            (!self.devices.devices().is_empty(), "device"),
            (!self.volume.is_empty(), "volume"),
            (!self.volumes_from.is_empty(), "volumes-from"),
            (self.shm_size.is_some(), "shm-size"),
            (self.shm_size_systemd.is_some(), "shm-size-systemd"),
            (!self.sysctl.is_empty(), "sysctl"),
        ];
        match others.iter().find(|(is_given, _)| *is_given) {
            Some((_, flag)) => bail!("cannot set {flag} without an infra container"),
            None => Ok(()),
        }
    }

    /// What all of its containers together may use.
    fn resources(&self, config: &mut PodConfig, containers: &Containers) -> Result<()> {
        let resources = &mut config.resources;
        self.limits.resolve(resources)?;
        if *resources == ResourcesConfig::default() {
            return Ok(());
        }
        if config.separate_groups {
            bail!(
                "limits of a pod are those of its control group, which --share-parent=false leaves out"
            );
        }
        if containers.has_services() {
            bail!(
                "limits of a pod are those of a control group that this program makes: use --cgroup-manager cgroupfs"
            );
        }
        Ok(())
    }

    /// Its infra container.
    fn container(&self) -> ContainerArguments {
        ContainerArguments {
            security: SecurityArguments {
                security_opt: self.security_opt.clone(),
                ..SecurityArguments::default()
            },
            files: FileArguments {
                volume: self.volume.clone(),
                volumes_from: self.volumes_from.clone(),
                shm_size: self.shm_size.clone(),
                shm_size_systemd: self.shm_size_systemd.clone(),
                sysctl: self.sysctl.clone(),
                devices: self.devices.clone(),
                ..FileArguments::default()
            },
            network: self.network.clone(),
            spaces: SpaceArguments {
                pid: self.pid.clone(),
                uts: self.uts.clone(),
                ..SpaceArguments::default()
            },
            users: self.users.clone(),
            resources: ResourceArguments {
                cgroups: "enabled".to_owned(),
                ..ResourceArguments::default()
            },
            life: LifeArguments {
                name: self.infra_name.clone(),
                conmon_pidfile: self.infra_conmon_pidfile.clone(),
                restart: self.restart.clone(),
                ..LifeArguments::default()
            },
            ..ContainerArguments::default()
        }
    }
}
