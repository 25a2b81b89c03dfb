//! The files of `/etc` that say who a container is and whom it reaches.

mod hosts;

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use cask_rootfs::Root;
use cask_runtime::read_user_file;

use super::Containers;
use super::config::{ContainerConfig, HostsBase, NetworkConfig, NetworkMode};
use super::network::ContainerNetwork;
use super::record::{Place, io};
use crate::{Error, ErrorKind, Result};
use hosts::HOSTS;

/// Name servers that only a machine itself reaches, where its own are such.
const LOCAL_RESOLVERS: [&str; 2] = ["127.", "::1"];
/// What is asked where there is no other server. Source: containers/common, `libnetwork/resolvconf`.
const DEFAULT_SERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

const RESOLV_CONF: &str = "resolv.conf";
/// Where the image's `/etc/hosts` is kept, below the container's own directory.
const IMAGE_HOSTS: &str = "hosts.image";

/// A file, and where it is mounted.
pub(super) struct EtcFile {
    pub(super) path: PathBuf,
    pub(super) target: &'static str,
}

impl Containers {
    /// Writes the files of a container that is about to run.
    pub(super) fn write_etc(
        &self,
        config: &ContainerConfig,
        place: &Place,
        root: &Root,
    ) -> Result<Vec<EtcFile>> {
        let owner = config.namespaces.user.outside(0, 0)?;
        let mut files = Vec::new();
        let mut write = |name: &str, target, text: String| {
            let path = place.run.join(name);
            fs::write(&path, text).map_err(|error| io(error, "writing", &path))?;
            readable(&path, owner)?;
            files.push(EtcFile { path, target });
            Ok::<(), crate::Error>(())
        };
        write("containerenv", "/run/.containerenv", container_env(config))?;
        if !config.files.no_hostname {
            write("hostname", "/etc/hostname", format!("{}\n", hostname(config)))?;
        }
        if let Some(other) = self.network_owner(config)? {
            // Whoever shares a network finds the same others.
            let shared = [(HOSTS, "/etc/hosts"), (RESOLV_CONF, "/etc/resolv.conf")];
            for (name, target) in &shared[usize::from(config.files.no_hosts)..] {
                let path = other.place.run.join(name);
                if path.exists() {
                    files.push(EtcFile { path, target });
                }
            }
            if !config.files.no_hosts {
                hosts::join(&other.place, config)?;
            }
            return Ok(files);
        }
        if !config.files.no_hosts {
            if config.files.hosts_base == Some(HostsBase::Image) {
                let path = place.run.join(IMAGE_HOSTS);
                fs::write(&path, read_user_file(root, "etc/hosts")?)
                    .map_err(|error| io(error, "writing", &path))?;
            }
            write(HOSTS, "/etc/hosts", own_hosts(config, None, &hosts_base(config, place)?))?;
            hosts::begin(place)?;
        }
        let no_dns = config.network.dns.iter().any(|server| server == "none");
        // Who reaches nobody keeps what the image says of servers.
        if !no_dns && config.network.mode != NetworkMode::None {
            write(RESOLV_CONF, "/etc/resolv.conf", resolv_conf(config, None))?;
        }
        Ok(files)
    }

    /// Has the hosts of a network that a container shares no more say who it was: it has ended.
    pub(super) fn leave_hosts(&self, config: &ContainerConfig) {
        // Where that cannot be, a name leads to nobody.
        if let Ok(Some(owner)) = self.network_owner(config) {
            let _ = hosts::leave(&owner.place, &config.id);
        }
    }
}

/// Writes those files again that say whom a container reaches: it is connected now. They stay mounted.
pub(super) fn rewrite(
    config: &ContainerConfig,
    place: &Place,
    network: Option<&ContainerNetwork>,
) -> Result<()> {
    let base = hosts_base(config, place)?;
    // What it was not given before it shall not be given now.
    if place.run.join(HOSTS).exists() {
        hosts::rewrite(place, &own_hosts(config, network, &base))?;
    }
    let path = place.run.join(RESOLV_CONF);
    if path.exists() {
        let text = resolv_conf(config, network);
        fs::write(&path, text).map_err(|error| io(error, "writing", &path))?;
    }
    Ok(())
}

fn readable(path: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
        .and_then(|()| std::os::unix::fs::lchown(path, Some(uid), Some(gid)))
        .map_err(|error| io(error, "changing the mode of", path))
}

/// The name that a container sees of its machine.
pub(super) fn hostname(config: &ContainerConfig) -> String {
    let own = config.network.hostname.clone();
    own.unwrap_or_else(|| match (&config.network.mode, &config.namespaces.uts) {
        (NetworkMode::Host, _) | (_, super::SpaceMode::Host) => {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        }
        _ => config.id.chars().take(12).collect(),
    })
}

/// What `/etc/hosts` begins with. That of the image was kept when the container began.
fn hosts_base(config: &ContainerConfig, place: &Place) -> Result<String> {
    let path = match &config.files.hosts_base {
        Some(HostsBase::Nothing) => return Ok(String::new()),
        None => PathBuf::from("/etc/hosts"),
        Some(HostsBase::Image) => place.run.join(IMAGE_HOSTS),
        Some(HostsBase::File(path)) => path.clone(),
    };
    match fs::read_to_string(&path) {
        Err(error) if matches!(config.files.hosts_base, Some(HostsBase::File(_))) => {
            let words = format!("hosts file {}", path.display());
            Err(Error::new(ErrorKind::Invalid, words, "it cannot be read").with_source(error))
        }
        read => Ok(read.unwrap_or_default()),
    }
}

/// Source: podman, `libpod/container_internal_linux.go`, `generateHosts`; containers/common, `libnetwork/etchosts`.
fn own_hosts(config: &ContainerConfig, network: Option<&ContainerNetwork>, base: &str) -> String {
    let mut text = String::new();
    let machine = machine_address(config, network);
    let machine = machine.as_deref();
    for entry in &config.network.add_hosts {
        if let Some((name, address)) = entry.split_once(':') {
            let machine = machine.unwrap_or("127.0.0.1");
            let address = if address == "host-gateway" { machine } else { address };
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    text.push_str(base);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !text.contains("localhost") {
        text.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost\n");
    }
    let is_known = |name: &str| text.split_whitespace().any(|word| word == name);
    let names = ["host.containers.internal", "host.docker.internal"];
    let names: Vec<&str> = names.into_iter().filter(|name| !is_known(name)).collect();
    if let (Some(machine), false) = (machine, names.is_empty()) {
        let _ = writeln!(text, "{machine}\t{}", names.join(" "));
    }
    let mut own: Vec<String> = network
        .iter()
        .flat_map(|network| network.addresses())
        .map(|(address, _)| address.to_string())
        .collect();
    if own.is_empty() {
        let alone = config.network.mode == NetworkMode::None;
        own.push(if alone { "127.0.0.1" } else { "127.0.1.1" }.to_owned());
    }
    // A name that is there already stays whose it is.
    let known: Vec<&str> = text.lines().flat_map(|line| line.split_whitespace().skip(1)).collect();
    let names = [hostname(config), config.name.clone()];
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let names = names.join(" ");
    if !names.is_empty() {
        for address in own {
            let _ = writeln!(text, "{address}\t{names}");
        }
    }
    text
}

/// Where a container reaches this machine; `None` where it does not.
///
/// Source: containers/common, `libnetwork/etchosts`, `GetHostContainersInternalIP`.
fn machine_address(config: &ContainerConfig, network: Option<&ContainerNetwork>) -> Option<String> {
    match (config.network.host_address.as_deref(), network) {
        (Some("none"), _) => None,
        (Some(address), _) => Some(address.to_owned()),
        // What has pasta for its way out has the machine's own address, and the gateway is no machine.
        (None, Some(network)) if network.of_user || network.pasta.is_some() => None,
        (None, Some(network)) => {
            let gateway = network.gateway().map(|gateway| gateway.to_string());
            gateway.or_else(|| own_address().map(|address| address.to_string()))
        }
        (None, None) => match config.network.mode {
            NetworkMode::None | NetworkMode::Host => own_address().map(|own| own.to_string()),
            _ => None,
        },
    }
}

/// The address that this machine has for others, if it reaches any. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    // Addresses that are nobody's: RFC 5737, RFC 3849.
    let ways = [("0.0.0.0:0", "203.0.113.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let found = ways.into_iter().find_map(|(from, to)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    found.filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Where pasta is asked for names, by its own options.
fn pasta_resolvers(network: &NetworkConfig) -> Vec<&str> {
    let NetworkMode::Pasta(own) = &network.mode else { return Vec::new() };
    let mut words = network.pasta_options.iter().chain(own);
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--dns-forward") {
            Some("") => words.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        found.extend(value);
    }
    found
}

/// This machine's servers, but those that only it can reach; or those that were given.
fn resolv_conf(config: &ContainerConfig, connected: Option<&ContainerNetwork>) -> String {
    let network = &config.network;
    let answered = || connected.iter().flat_map(|one| one.status.values());
    let pasta = connected.is_some_and(|one| one.pasta.is_some());
    let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    // What systemd-resolved asks itself.
    let upstream = || fs::read_to_string("/run/systemd/resolve/resolv.conf").ok();
    let local = |text: &str| {
        let mut servers = values(text, "nameserver").peekable();
        servers.peek().is_some()
            && servers.all(|server| LOCAL_RESOLVERS.iter().any(|local| server.starts_with(local)))
    };
    let shared = network.mode == NetworkMode::Host;
    let machine = if !shared && local(&machine) { upstream().unwrap_or(machine) } else { machine };
    let reachable =
        |server: &&str| shared || !LOCAL_RESOLVERS.iter().any(|local| server.starts_with(local));
    let mut named: Vec<String> = Vec::new();
    let mut servers: Vec<&str> = network.dns.iter().map(String::as_str).collect();
    if servers.is_empty() {
        named.extend(answered().flat_map(|one| &one.dns_server_ips).map(ToString::to_string));
        // Pasta asks those for it that only this machine reaches.
        let of_user = connected.is_some_and(|one| one.of_user) && named.is_empty();
        let given = pasta_resolvers(network);
        let usual = (pasta || of_user) && given.is_empty();
        named.extend(usual.then(|| cask_network::PASTA_RESOLVER.to_owned()));
        named.extend(given.into_iter().map(ToOwned::to_owned));
        servers = named.iter().map(String::as_str).collect();
        servers.extend(values(&machine, "nameserver").filter(reachable));
    }
    if servers.is_empty() {
        servers = DEFAULT_SERVERS.to_vec();
    }
    let mut text = String::new();
    let mut search: Vec<&str> = network.dns_search.iter().map(String::as_str).collect();
    // Servers that were given know neither the names of a network, nor perhaps those of this machine.
    let keeps = network.dns.is_empty();
    if search.is_empty() {
        let of_networks = answered().filter(|_| keeps);
        search.extend(of_networks.flat_map(|one| &one.dns_search_domains).map(String::as_str));
        search.dedup();
    }
    if search == ["."] {
        search.clear();
    } else if keeps || network.dns_search.is_empty() {
        search.extend(values(&machine, "search"));
    }
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    let mut options: Vec<&str> = network.dns_options.iter().map(String::as_str).collect();
    if keeps || options.is_empty() {
        options.extend(values(&machine, "options"));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

/// The words after a keyword, on every line that begins with it.
fn values<'t>(text: &'t str, keyword: &'t str) -> impl Iterator<Item = &'t str> {
    let lines = text.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(keyword)).then_some(words)
    });
    lines.flatten()
}

/// Source: podman, `libpod/container_internal_linux.go`: what is in `/run/.containerenv`.
fn container_env(config: &ContainerConfig) -> String {
    if !config.security.privileged {
        return String::new();
    }
    let rootless = u8::from(!rustix::process::geteuid().is_root());
    format!(
        "engine=\"cask\"\nname={:?}\nid={:?}\nimage={:?}\nimageid={:?}\nrootless={rootless}\n",
        config.name, config.id, config.image_name, config.image_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_and_servers_are_written() {
        let mut config = ContainerConfig {
            id: "0123456789abcdef".to_owned(),
            name: "web".to_owned(),
            ..ContainerConfig::default()
        };
        config.network.add_hosts = vec!["db:10.0.0.1".to_owned()];
        config.network.dns = vec!["1.1.1.1".to_owned()];
        config.network.dns_search = vec!["example".to_owned()];
        config.network.dns_options = vec!["ndots:2".to_owned()];
        let text = own_hosts(&config, None, "");
        assert!(text.starts_with("10.0.0.1\tdb\n"), "{text}");
        assert!(text.ends_with("127.0.0.1\t0123456789ab web\n"), "{text}");
        assert_eq!(
            resolv_conf(&config, None),
            "search example\nnameserver 1.1.1.1\noptions ndots:2\n"
        );
    }

    #[test]
    fn pasta_is_asked_where_its_options_say() {
        let check = |options: &[&str], expected: &[&str]| {
            let network = NetworkConfig {
                pasta_options: vec!["-I".to_owned(), "eth1".to_owned()],
                mode: NetworkMode::Pasta(options.iter().map(ToString::to_string).collect()),
                ..NetworkConfig::default()
            };
            assert_eq!(pasta_resolvers(&network), expected, "{options:?}");
        };
        check(&[], &[]);
        check(&["--dns-forward", "10.1.1.1", "-T", "5000"], &["10.1.1.1"]);
        check(&["--dns-forward=10.1.1.1", "--dns-forward", "fd00::1"], &["10.1.1.1", "fd00::1"]);
    }
}
