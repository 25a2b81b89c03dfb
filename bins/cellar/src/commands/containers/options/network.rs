//! Flags that say what a container or a pod reaches.

use anyhow::{Result, bail};
use cask_engine::{
    ContainerConfig, HostsBase, NetworkAttachment, SpaceMode, parse_networks, parse_port,
};
use cask_program::containers_conf::ContainersConf;
use clap::Args;

/// Its network, as a container or a pod has it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What it reaches")]
pub(in crate::commands::containers) struct NetworkArguments {
    /// none, host, container:NAME, ns:PATH, pasta[:OPTIONS], bridge, or names of networks, each with options:
    /// NAME:ip=ADDRESS,mac=ADDRESS,alias=NAME,interface_name=NAME
    #[arg(long, visible_alias = "net", value_name = "MODE")]
    network: Vec<String>,
    /// Ask for this address on its network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Ask for this address of version 6 on its network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// Ask for this hardware address on its network
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
    /// Have one more name on its networks
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    network_alias: Vec<String>,
    /// Have a port of this machine lead to one of its own
    #[arg(short, long, value_name = "[[IP:]PORT:]PORT[/PROTOCOL]", value_delimiter = ',')]
    publish: Vec<String>,
    /// Its host name
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS", value_delimiter = ',')]
    add_host: Vec<String>,
    /// Leave /etc/hosts as the image has it
    #[arg(long)]
    no_hosts: bool,
    /// What /etc/hosts begins with: a file, image, for the image's, or none
    #[arg(long, value_name = "FILE")]
    hosts_file: Option<String>,
    /// Leave /etc/hostname as the image has it
    #[arg(long)]
    no_hostname: bool,
    /// Ask this server for names
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<String>,
    /// Look for names in this domain
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    dns_search: Vec<String>,
    /// Set an option of /etc/resolv.conf
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION", value_delimiter = ',')]
    dns_option: Vec<String>,
}

/// What of that a pod does not have.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What it reaches")]
pub(in crate::commands::containers) struct SpaceArguments {
    /// Publish every port that the image exposes
    #[arg(short = 'P', long)]
    pub(super) publish_all: bool,
    /// Say that it listens on a port
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_delimiter = ',')]
    pub(super) expose: Vec<String>,
    /// Processes that it sees: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub(in crate::commands::containers) pid: Option<String>,
    /// Shared memory that it sees: private, host, none, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub(super) ipc: Option<String>,
    /// Host name that it sees: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub(in crate::commands::containers) uts: Option<String>,
    /// Control groups that it sees: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub(super) cgroupns: Option<String>,
}

impl NetworkArguments {
    /// Whether nobody chose a network.
    pub(super) fn is_usual(&self) -> bool {
        self.network.is_empty()
    }

    /// Whether something is asked of its network.
    pub(super) fn asks(&self) -> bool {
        let addresses = [&self.ip, &self.ip6, &self.mac_address];
        addresses.into_iter().any(Option::is_some) || !self.network_alias.is_empty()
    }

    /// Whether ports of this machine lead to it.
    pub(super) fn publishes(&self) -> bool {
        !self.publish.is_empty()
    }

    /// Whether its hosts stay those of the image.
    pub(super) fn has_no_hosts(&self) -> bool {
        self.no_hosts
    }

    /// Whether it is said whom it asks for names.
    pub(super) fn names_servers(&self) -> bool {
        [&self.dns, &self.dns_search, &self.dns_option].into_iter().any(|list| !list.is_empty())
    }

    /// Whether names are added to its hosts.
    pub(super) fn has_hosts(&self) -> bool {
        !self.add_host.is_empty()
    }

    /// Which networks, and what is asked of them.
    fn attach(
        &self,
        config: &mut ContainerConfig,
        containers: &cask_engine::Containers,
        conf: &ContainersConf,
    ) -> Result<()> {
        let network = &mut config.network;
        let usual = conf.modes.network.as_ref().map(std::slice::from_ref);
        let networks = containers.networks();
        let bridge = &networks.places().defaults.network;
        (network.mode, network.attachments) = match (self.network.as_slice(), usual) {
            ([], None) => match containers.usual_network() {
                mode @ cask_engine::NetworkMode::Bridge(_) => {
                    (mode, vec![NetworkAttachment::of(bridge)])
                }
                mode => (mode, Vec::new()),
            },
            ([], Some(usual)) => parse_networks(usual, bridge)?,
            (given, _) => parse_networks(given, bridge)?,
        };
        let addresses: Vec<String> = self.ip.iter().chain(&self.ip6).cloned().collect();
        let alone = !addresses.is_empty() || self.mac_address.is_some();
        match network.attachments.as_mut_slice() {
            [one] => one.ask(&addresses, self.mac_address.as_deref(), &self.network_alias)?,
            [] if alone || !self.network_alias.is_empty() => bail!(
                "--ip, --ip6, --mac-address and --network-alias can only be set when the network mode is bridge: \
                 invalid argument"
            ),
            _ if alone => bail!(
                "--ip, --ip6 and --mac-address can only be set for a single network: use NETWORK:ip=ADDRESS instead"
            ),
            several => {
                several
                    .iter_mut()
                    .for_each(|one| one.aliases.extend(self.network_alias.iter().cloned()));
            }
        }
        Ok(())
    }

    pub(super) fn resolve(
        &self,
        config: &mut ContainerConfig,
        containers: &cask_engine::Containers,
        conf: &ContainersConf,
    ) -> Result<()> {
        self.attach(config, containers, conf)?;
        if self.no_hosts && !self.add_host.is_empty() {
            bail!("--no-hosts and --add-host cannot be set together");
        }
        if self.no_hosts && self.hosts_file.as_ref().is_some_and(|file| !file.is_empty()) {
            bail!("--no-hosts and --hosts-file cannot be set together");
        }
        let network = &mut config.network;
        for text in self.publish.iter().filter(|text| !text.is_empty()) {
            network.ports.push(parse_port(text)?);
        }
        let is_own = matches!(
            network.mode,
            cask_engine::NetworkMode::Bridge(_) | cask_engine::NetworkMode::Pasta(_)
        );
        if !network.ports.is_empty() && !is_own {
            // Source: podman, `pkg/specgenutil/specgen.go`.
            cask_program::report::say(
                "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use",
            );
            network.ports.clear();
        }
        network.hostname.clone_from(&self.hostname);
        network.add_hosts.clone_from(&self.add_host);
        config.files.no_hosts = self.no_hosts;
        config.files.no_hostname = self.no_hostname;
        let base = self.hosts_file.as_ref().or(conf.base_hosts_file.as_ref());
        config.files.hosts_base = HostsBase::parse(base.map_or("", String::as_str))?;
        network.host_address.clone_from(&conf.host_address);
        network.dns.clone_from(&self.dns);
        network.dns_search.clone_from(&self.dns_search);
        network.dns_options.clone_from(&self.dns_option);
        Ok(())
    }
}

impl SpaceArguments {
    pub(super) fn resolve(
        &self,
        config: &mut ContainerConfig,
        conf: &ContainersConf,
    ) -> Result<()> {
        for text in &self.expose {
            let whole = if text.contains('/') { text.clone() } else { format!("{text}/tcp") };
            let ports = parse_port(&whole)?;
            for number in (ports.container_port..).take(ports.range.into()) {
                config.network.exposed.push(format!("{number}/{}", ports.protocol));
            }
        }
        let mode = |given: &Option<String>, usual: &Option<String>| {
            given.as_ref().or(usual.as_ref()).map_or("private", String::as_str).parse::<SpaceMode>()
        };
        config.namespaces.pid = mode(&self.pid, &conf.modes.pid)?;
        config.namespaces.ipc = mode(&self.ipc, &conf.modes.ipc)?;
        let ipc = self.ipc.as_ref().or(conf.modes.ipc.as_ref());
        config.namespaces.ipc_alone = ipc.is_some_and(|mode| mode == "private");
        config.namespaces.uts = mode(&self.uts, &conf.modes.uts)?;
        config.namespaces.cgroup = mode(&self.cgroupns, &conf.modes.control_groups)?;
        Ok(())
    }
}
