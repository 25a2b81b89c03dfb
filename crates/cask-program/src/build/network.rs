//! Networks of the commands of RUN: what `--network` means, and making one.

use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cask_build::{BuildNetwork, ErrorKind, StageNetwork, StageNetworks, WorkingNetwork};
use cask_network::{
    Attachment, Connection, Networks, PASTA_RESOLVER, Pasta, PastaOptions, Places, is_name,
};
use cask_runtime::ProcessHandle;
use cask_storage::{Id, Store};

use crate::settings::Settings;

/// What addresses are leased to, with the process that builds and when that began.
const LESSEE: &str = "build";

/// The networks that commands have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// None, or the machine's.
    Shared(BuildNetwork),
    /// A bridge for root, pasta for a user.
    Usual,
    /// Bridges, by their names; none is the usual one.
    Bridges(Vec<String>),
    /// Pasta, with options of its own.
    Pasta(Vec<String>),
    /// A namespace that is there.
    Path(PathBuf),
}

impl Choice {
    /// What `--network` says.
    ///
    /// Source: buildah, `parse.NamespaceOptions`; podman, `specgen.ParseNetworkFlag`.
    pub(super) fn parse(text: Option<&str>) -> Result<Self> {
        let text = text.unwrap_or("host");
        match text {
            "host" | "default" => return Ok(Self::Shared(BuildNetwork::Host)),
            "none" => return Ok(Self::Shared(BuildNetwork::None)),
            "" | "private" | "container" => return Ok(Self::Usual),
            "bridge" => return Ok(Self::Bridges(Vec::new())),
            "pasta" => return Ok(Self::Pasta(Vec::new())),
            "slirp4netns" => bail!("--network=slirp4netns is not supported: use --network=pasta"),
            _ => {}
        }
        if text.starts_with('/') {
            return Ok(Self::Path(text.into()));
        }
        match text.split_once(':') {
            Some(("ns", path)) if path.starts_with('/') => Ok(Self::Path(path.into())),
            Some(("pasta", options)) => {
                Ok(Self::Pasta(options.split(',').map(str::to_owned).collect()))
            }
            Some(("slirp4netns", _)) => {
                bail!("--network={text} is not supported: use --network=pasta")
            }
            Some((kind, _)) => bail!(
                "--network={text}: there is no {kind:?}: use none, host, private, bridge, pasta[:OPTION,...], \
                 ns:PATH or the names of networks"
            ),
            None if text.split(',').all(is_name) => {
                Ok(Self::Bridges(text.split(',').map(str::to_owned).collect()))
            }
            None => bail!("--network={text:?} is no name of a network"),
        }
    }

    pub(super) fn of_build(&self) -> BuildNetwork {
        match self {
            Self::Shared(network) => *network,
            _ => BuildNetwork::Private,
        }
    }

    /// Whether commands can reach this machine by an address that is known.
    pub(super) fn reaches_machine(&self) -> bool {
        match self {
            Self::Shared(network) => *network == BuildNetwork::Host,
            Self::Usual => !crate::rootless::is_rootless(),
            Self::Bridges(_) => true,
            Self::Pasta(_) | Self::Path(_) => false,
        }
    }

    /// What makes them; nothing for those that are there.
    ///
    /// # Errors
    /// For networks that there are not, or that a user cannot have.
    pub(super) fn networks(
        &self,
        store: &Store,
        settings: &Settings,
        scratch: &Path,
    ) -> Result<Option<BuildNetworks>> {
        let options = store.options();
        let places = match options.rootless {
            true => Places::of_user(&options.graph_root, &options.run_root),
            false => Places::of_root(),
        };
        let places = crate::networks::places(places, settings)?;
        let rootless = places.rootless;
        let choice = match self {
            Self::Shared(_) => return Ok(None),
            Self::Usual if rootless => Self::Pasta(Vec::new()),
            Self::Bridges(_) if rootless => bail!(
                "--network: networks of names need root: a user has --network=private, none or host"
            ),
            Self::Usual => Self::Bridges(vec![places.defaults.network.clone()]),
            Self::Bridges(names) if names.is_empty() => {
                Self::Bridges(vec![places.defaults.network.clone()])
            }
            Self::Pasta(_) if !rootless => bail!(
                "--network=pasta: pasta is the network of users without privileges; root has --network=private"
            ),
            other => other.clone(),
        };
        let networks = Networks::new(places);
        if let Self::Bridges(names) = &choice {
            for name in names {
                networks.find(name)?;
            }
        }
        Ok(Some(BuildNetworks { networks, choice, scratch: scratch.to_owned() }))
    }
}

/// The network that `--network` says for a working container, or a command in one.
///
/// # Errors
/// For what is none.
pub fn working_network(text: Option<&str>) -> Result<WorkingNetwork> {
    let Some(text) = text else { return Ok(WorkingNetwork::Default) };
    Ok(match Choice::parse(Some(text))? {
        Choice::Shared(BuildNetwork::None) => WorkingNetwork::None,
        Choice::Shared(_) => WorkingNetwork::Host,
        Choice::Usual => WorkingNetwork::Other("private".to_owned()),
        _ => WorkingNetwork::Other(text.to_owned()),
    })
}

/// Makes that network, for as long as what this gives is kept; nothing where it is none, or the machine's. `scratch` is
/// a directory for what that needs.
///
/// # Errors
/// For networks that there are not, that a user cannot have, or that cannot be made.
pub fn make_network(
    network: &WorkingNetwork,
    store: &Store,
    settings: &Settings,
    scratch: &Path,
) -> Result<Option<StageNetwork>> {
    let WorkingNetwork::Other(text) = network else { return Ok(None) };
    let networks = Choice::parse(Some(text))?.networks(store, settings, scratch)?;
    Ok(networks.map(|networks| networks.connect()).transpose()?)
}

/// The machine's servers of names; in a network of its own, those that its local one asks.
pub fn resolv_conf(is_private: bool) -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/etc/resolv.conf").unwrap_or_default();
    let mut servers = machine.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let is_local = |server: &str| ["127.", "::1"].iter().any(|own| server.trim().starts_with(own));
    // Source: podman, `libnetwork/resolvconf`: what systemd-resolved asks.
    let upstream = || read("/run/systemd/resolve/resolv.conf");
    match is_private && servers.all(is_local) {
        true => upstream().unwrap_or(machine),
        false => machine,
    }
}

/// Makes a network for the commands of each stage.
#[derive(Debug)]
pub(super) struct BuildNetworks {
    networks: Networks,
    choice: Choice,
    /// For a file that pasta needs.
    scratch: PathBuf,
}

impl StageNetworks for BuildNetworks {
    fn connect(&self) -> cask_build::Result<StageNetwork> {
        match &self.choice {
            Choice::Pasta(options) => self.pasta(options),
            Choice::Bridges(names) => self.bridges(names),
            Choice::Path(path) => {
                let opened = std::fs::File::open(path).map_err(|error| {
                    failed(format!("{} cannot be opened", path.display())).with_source(error)
                })?;
                Ok(StageNetwork::new(opened.into(), ()))
            }
            Choice::Shared(_) | Choice::Usual => Err(failed("it is settled before")),
        }
    }
}

fn failed(detail: impl fmt::Display) -> cask_build::Error {
    cask_build::Error::new(ErrorKind::Runtime, "--network", detail.to_string())
}

fn of_network(error: cask_network::Error) -> cask_build::Error {
    let hint = error.hint();
    let told = failed("it cannot be made").with_source(error);
    match hint {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

fn new_namespace() -> cask_build::Result<OwnedFd> {
    cask_runtime::new_network_namespace()
        .map_err(|error| failed("no network namespace can be made").with_source(error))
}

impl BuildNetworks {
    fn pasta(&self, options: &[String]) -> cask_build::Result<StageNetwork> {
        let namespace = new_namespace()?;
        let directory = tempfile::tempdir_in(&self.scratch).map_err(|error| {
            failed(format!("{} cannot be written to", self.scratch.display())).with_source(error)
        })?;
        let own =
            namespace.try_clone().map_err(|error| failed("too many files").with_source(error))?;
        let mut wanted = PastaOptions::default();
        wanted.options = options.to_vec();
        let places = self.networks.places();
        let pasta = Pasta::start(places, own, directory.path(), &wanted).map_err(of_network)?;
        let mut network = StageNetwork::new(namespace, Stopped(pasta));
        network.servers.extend(PASTA_RESOLVER.parse::<IpAddr>());
        Ok(network)
    }

    fn bridges(&self, names: &[String]) -> cask_build::Result<StageNetwork> {
        let namespace = new_namespace()?;
        self.sweep(names);
        let pid = std::process::id();
        let began = ProcessHandle::started(pid).unwrap_or_default();
        let id = format!("{LESSEE}-{pid}-{began}-{}", Id::random().short());
        let kept =
            namespace.try_clone().map_err(|error| failed("too many files").with_source(error))?;
        // What follows may fail, and then this takes back what was done.
        let mut bridges = Bridges {
            networks: self.networks.clone(),
            namespace: kept,
            connection: Connection {
                container_id: id.clone(),
                container_name: id.clone(),
                ..Connection::default()
            },
            connected: false,
        };
        for (number, name) in names.iter().enumerate() {
            let network = self.networks.find(name).map_err(of_network)?;
            let leases = self.networks.leases();
            let addresses = leases.take(&network, &id, &[]).map_err(of_network)?;
            let interface_name = format!("eth{number}");
            let attachment =
                Attachment { static_ips: addresses, interface_name, ..Attachment::default() };
            bridges.connection.networks.insert(network.name.clone(), attachment);
            bridges.connection.network_info.insert(network.name.clone(), network);
        }
        let path = path_of(&bridges.namespace);
        let status = self.networks.connect(&path, &bridges.connection).map_err(of_network)?;
        bridges.connected = true;
        let mut network = StageNetwork::new(namespace, bridges);
        for one in status.values() {
            network.servers.extend(&one.dns_server_ips);
            network.search.extend(one.dns_search_domains.iter().cloned());
            let subnets = one.interfaces.values().flat_map(|interface| &interface.subnets);
            for subnet in subnets {
                network.addresses.extend(subnet.address().map(|(address, _)| address));
                network.gateway = network.gateway.or(subnet.gateway);
            }
        }
        Ok(network)
    }

    /// Gives back the addresses of builds that were killed.
    fn sweep(&self, names: &[String]) {
        let leases = self.networks.leases();
        for name in names {
            // Who cannot read who has which address gets none either, and says so.
            for lessee in leases.of(name).unwrap_or_default().values() {
                if is_gone(lessee) {
                    let _ = leases.give_back(None, lessee);
                }
            }
        }
    }
}

/// Whether this is a build whose process has ended.
fn is_gone(lessee: &str) -> bool {
    let mut parts = lessee.split('-');
    if parts.next() != Some(LESSEE) {
        return false;
    }
    let (pid, began) = (parts.next().and_then(|it| it.parse().ok()), parts.next());
    let (Some(pid), Some(began)) = (pid, began) else { return false };
    ProcessHandle::started(pid).is_none_or(|found| found.to_string() != began)
}

/// The path at which another process opens what this one has open.
fn path_of(namespace: &OwnedFd) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()).into()
}

/// Ends pasta when it is dropped.
struct Stopped(Pasta);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Takes back what was done when it is dropped.
struct Bridges {
    networks: Networks,
    namespace: OwnedFd,
    connection: Connection,
    connected: bool,
}

impl Drop for Bridges {
    fn drop(&mut self) {
        // What cannot be taken back now can neither later.
        if self.connected {
            let _ = self.networks.disconnect(&path_of(&self.namespace), &self.connection);
        }
        let _ = self.networks.leases().give_back(None, &self.connection.container_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_words_paths_and_names() {
        let parse = |text: &str| Choice::parse(Some(text));
        assert_eq!(Choice::parse(None).unwrap(), Choice::Shared(BuildNetwork::Host));
        assert_eq!(parse("none").unwrap(), Choice::Shared(BuildNetwork::None));
        assert_eq!(parse("private").unwrap(), Choice::Usual);
        assert_eq!(parse("container").unwrap(), Choice::Usual);
        assert_eq!(parse("").unwrap(), Choice::Usual);
        let working = |text: &str| working_network(Some(text)).unwrap();
        assert_eq!(working_network(None).unwrap(), WorkingNetwork::Default);
        assert_eq!(
            [working("none"), working("host")],
            [WorkingNetwork::None, WorkingNetwork::Host]
        );
        assert_eq!(working(""), WorkingNetwork::Other("private".to_owned()));
        assert_eq!(working("a,b"), WorkingNetwork::Other("a,b".to_owned()));
        assert_eq!(parse("bridge").unwrap(), Choice::Bridges(Vec::new()));
        assert_eq!(parse("a,b").unwrap(), Choice::Bridges(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(parse("ns:/x/y").unwrap(), Choice::Path("/x/y".into()));
        assert_eq!(parse("/x/y").unwrap(), Choice::Path("/x/y".into()));
        let options = vec!["-T".to_owned(), "80".to_owned()];
        assert_eq!(parse("pasta:-T,80").unwrap(), Choice::Pasta(options));
        for text in ["slirp4netns", "slirp4netns:x", "container:x", "ns:x", "a b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_of_a_build_that_was_killed_are_free() {
        let pid = std::process::id();
        let began = ProcessHandle::started(pid).unwrap();
        assert!(!is_gone(&format!("build-{pid}-{began}-0123456789ab")));
        assert!(is_gone(&format!("build-{pid}-1-0123456789ab")));
        assert!(!is_gone(&"0123456789abcdef".repeat(4)));
        assert!(!is_gone("build-x"));
    }
}
