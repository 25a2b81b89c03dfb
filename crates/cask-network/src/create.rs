//! Making networks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use crate::network::is_name;
use crate::networks::now;
use crate::{
    Error, ErrorKind, LeaseRange, Network, Networks, Prefix, Result, Route, Subnet, SubnetPool,
    machine,
};

/// The longest name of an interface. Source: the kernel's `IFNAMSIZ`.
const LONGEST_INTERFACE: usize = 15;
/// Words that say how a container is connected, and so no network's name. Source: podman, `cmd/podman/networks`.
const MODES: [&str; 9] =
    ["none", "host", "bridge", "private", "slirp4netns", "pasta", "container", "ns", "default"];

/// What a network is made with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// Its name; empty is one that is free.
    pub name: String,
    /// `bridge`, which an empty text means too, `macvlan` or `ipvlan`.
    pub driver: String,
    /// Its addresses; none are some that are free.
    pub subnets: Vec<Prefix>,
    /// The gateways of its subnets, each in one of them.
    pub gateways: Vec<IpAddr>,
    /// What containers get of its subnets: a block, or two addresses with a `-` between them.
    pub ranges: Vec<String>,
    /// Routes besides the usual one.
    pub routes: Vec<Route>,
    /// It has addresses of version 6 too.
    pub ipv6: bool,
    /// It leads nowhere else.
    pub internal: bool,
    /// Names of containers are not known on it.
    pub no_dns: bool,
    /// Who is asked for names that are not those of its containers.
    pub dns_servers: Vec<IpAddr>,
    /// The name of its bridge, or the interface of this machine that it is above; empty is one that is free, or none.
    pub interface: String,
    /// Who gives addresses: `host-local`, which an empty text means too, or `none`.
    pub ipam: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

impl Networks {
    /// Makes a network.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`]; [`ErrorKind::Invalid`] for what makes no sense or is not supported;
    /// [`ErrorKind::Taken`] for addresses that are this machine's or another network's; [`ErrorKind::Io`].
    pub fn create(&self, options: NetworkOptions) -> Result<Network> {
        let _held = self.lock()?;
        let known = self.list(|_| ())?;
        if !options.name.is_empty() && !is_name(&options.name) {
            let name = &options.name;
            let words = "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument";
            return Err(Error::invalid(format!("network name {name} invalid: {words}")));
        }
        if MODES.contains(&options.name.as_str()) {
            let words = "because it conflicts with a valid network mode";
            return Err(Error::invalid(format!(
                "cannot create network with name {:?} {words}",
                options.name
            )));
        }
        if known.iter().any(|network| network.name == options.name)
            || (!options.name.is_empty() && self.file(&options.name).exists())
        {
            let words =
                format!("network name {} already used: network already exists", options.name);
            return Err(Error::new(ErrorKind::Exists, words));
        }
        let pools = &self.places().defaults.pools;
        let network = design(options, pools, &known, &machine::subnets(), machine::interfaces())?;
        self.write(&network)?;
        Ok(network)
    }
}

/// The network that is wanted, beside those that are there.
fn design(
    options: NetworkOptions,
    pools: &[SubnetPool],
    known: &[Network],
    live: &[Prefix],
    interfaces: Vec<String>,
) -> Result<Network> {
    let mut network = Network { id: random_id()?, created: now(), ..Network::default() };
    network.driver = match options.driver.as_str() {
        "" | "bridge" => "bridge".to_owned(),
        "macvlan" | "ipvlan" => options.driver.clone(),
        other => {
            return Err(Error::invalid(format!("unsupported driver {other}: invalid argument")));
        }
    };
    let bridge = network.driver == "bridge";
    let device = free_device(known, interfaces.iter().cloned());
    network.name = if options.name.is_empty() { device.clone() } else { options.name.clone() };
    if bridge {
        network.network_interface = device;
    }
    if !options.interface.is_empty() {
        network.network_interface = given_interface(&options, bridge, known, &interfaces)?;
    }
    let ipam = match options.ipam.as_str() {
        "" | "host-local" => "host-local",
        "none" => "none",
        other => {
            return Err(Error::invalid(format!("unsupported ipam driver {other:?}")));
        }
    };
    network.ipam_options.insert("driver".to_owned(), ipam.to_owned());
    // Only what a bridge has is this machine's alone.
    let mut used: Vec<Prefix> = if bridge { live.to_vec() } else { Vec::new() };
    used.extend(known.iter().flat_map(|network| &network.subnets).map(|subnet| subnet.subnet));
    network.subnets = given_subnets(&options, &used, options.internal && !bridge)?;
    if ipam == "none" && !network.subnets.is_empty() {
        return Err(Error::invalid("none ipam driver is set but subnets are given"));
    }
    if bridge && ipam == "host-local" {
        add_subnets(&mut network, &options, pools, &mut used)?;
    }
    if !bridge && ipam == "host-local" && network.subnets.is_empty() {
        return Err(Error::invalid(match network.driver.as_str() {
            // The words are podman's.
            "ipvlan" => "ipam driver dhcp is not supported with ipvlan",
            _ => {
                "macvlan driver needs at least one subnet specified, DHCP is not yet supported with netavark"
            }
        }));
    }
    network.ipv6_enabled =
        options.ipv6 || network.subnets.iter().any(|subnet| subnet.subnet.address().is_ipv6());
    network.internal = options.internal;
    // Names are answered on a bridge only, by its gateway.
    network.dns_enabled = bridge && !options.no_dns && ipam == "host-local";
    if !options.dns_servers.is_empty() && !network.dns_enabled {
        let name = &network.name;
        return Err(Error::invalid(format!(
            "cannot set NetworkDNSServers if DNS is not enabled for network {name}"
        )));
    }
    driver_options(&mut network, &options, &interfaces)?;
    network.routes = options.routes;
    network.network_dns_servers = options.dns_servers;
    network.labels = options.labels;
    network.options = options.options;
    Ok(network)
}

/// The interface that was asked for. The words are podman's.
///
/// Source: containers/common, `libnetwork/internal/util/bridge.go`, `CreateBridge`; the kernel's `dev_valid_name`.
fn given_interface(
    options: &NetworkOptions,
    bridge: bool,
    known: &[Network],
    interfaces: &[String],
) -> Result<String> {
    let name = &options.interface;
    if !bridge && !interfaces.contains(name) {
        return Err(Error::invalid(format!("parent interface {name} does not exist")));
    }
    let is_name = is_name(name) && name.len() <= LONGEST_INTERFACE;
    if bridge && !is_name {
        let words =
            "bridge name must match [a-zA-Z0-9][a-zA-Z0-9_.-]* and have 15 characters at most";
        return Err(Error::invalid(format!("bridge name {name} invalid: {words}")));
    }
    if bridge && known.iter().any(|network| network.network_interface == *name) {
        let words = format!("bridge name {name} already in use");
        return Err(Error::new(ErrorKind::Taken, words));
    }
    Ok(name.clone())
}

fn given_subnets(
    options: &NetworkOptions,
    used: &[Prefix],
    without_gateway: bool,
) -> Result<Vec<Subnet>> {
    let NetworkOptions { subnets, gateways, ranges, .. } = options;
    if subnets.is_empty() && (!gateways.is_empty() || !ranges.is_empty()) {
        return Err(Error::invalid("cannot set gateway or range without subnet"));
    }
    if gateways.len() > subnets.len() {
        return Err(Error::invalid("cannot set more gateways than subnets"));
    }
    if ranges.len() > subnets.len() {
        return Err(Error::invalid("cannot set more ranges than subnets"));
    }
    let mut found: Vec<Subnet> = Vec::new();
    for prefix in subnets {
        let earlier = found.iter().map(|subnet| &subnet.subnet);
        if used.iter().chain(earlier).any(|other| other.overlaps(*prefix)) {
            let words = format!("subnet {prefix} is already used on the host or by another config");
            return Err(Error::new(ErrorKind::Taken, words));
        }
        let mut subnet = Subnet::new(*prefix);
        if without_gateway {
            subnet.gateway = None;
        }
        found.push(subnet);
    }
    for gateway in gateways {
        let subnet = found.iter_mut().find(|subnet| subnet.subnet.contains(*gateway));
        let Some(subnet) = subnet else {
            let words = format!("gateway {gateway} not in subnet {}", subnets[0]);
            return Err(Error::invalid(words));
        };
        subnet.gateway = Some(*gateway);
    }
    for text in ranges {
        let range = lease_range(text)?;
        let inside = |address: Option<IpAddr>, subnet: &Subnet| {
            address.is_none_or(|address| subnet.subnet.contains(address))
        };
        let subnet = found
            .iter_mut()
            .find(|subnet| inside(range.start_ip, subnet) && inside(range.end_ip, subnet));
        let Some(subnet) = subnet else {
            return Err(Error::invalid(format!("lease range {text} not in subnet {}", subnets[0])));
        };
        subnet.lease_range = Some(range);
    }
    Ok(found)
}

fn lease_range(text: &str) -> Result<LeaseRange> {
    let refused =
        || Error::invalid(format!("invalid ip-range {text:?}: it is a block, or FIRST-LAST"));
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => {
            (first.parse().map_err(|_| refused())?, last.parse().map_err(|_| refused())?)
        }
        None => {
            let block: Prefix = text.parse()?;
            (block.first(), block.last())
        }
    };
    let (low, high): (IpAddr, IpAddr) = (first, last);
    if low.is_ipv4() != high.is_ipv4() || low > high {
        return Err(refused());
    }
    Ok(LeaseRange { start_ip: Some(low), end_ip: Some(high) })
}

/// Adds subnets that are free, where a kind of address has none.
fn add_subnets(
    network: &mut Network,
    options: &NetworkOptions,
    pools: &[SubnetPool],
    used: &mut Vec<Prefix>,
) -> Result<()> {
    used.extend(network.subnets.iter().map(|subnet| subnet.subnet));
    let has = |network: &Network, v4: bool| {
        network.subnets.iter().any(|subnet| subnet.subnet.address().is_ipv4() == v4)
    };
    if network.subnets.is_empty() || (options.ipv6 && !has(network, true)) {
        let free = pools.iter().find_map(|pool| pool.free(used)).ok_or_else(|| {
            Error::new(ErrorKind::Taken, "could not find free subnet from subnet pools")
                .with_hint("give one with --subnet")
        })?;
        network.subnets.push(Subnet::new(free));
    }
    if options.ipv6 && !has(network, false) {
        network.subnets.push(Subnet::new(private_v6(used)?));
    }
    Ok(())
}

/// A subnet of chance among the private ones. Source: RFC 4193.
fn private_v6(used: &[Prefix]) -> Result<Prefix> {
    loop {
        let mut bytes = [0; 16];
        chance(&mut bytes[1..8])?;
        bytes[0] = 0xfd;
        let prefix =
            Prefix::new(Ipv6Addr::from(bytes).into(), 64).expect("64 bits are some of 128");
        if !used.iter().any(|other| other.overlaps(prefix)) {
            return Ok(prefix);
        }
    }
}

/// The first of `podman1`, `podman2`, … that nothing is called.
fn free_device(known: &[Network], interfaces: impl Iterator<Item = String>) -> String {
    let mut taken: BTreeSet<String> = interfaces.collect();
    taken.extend(known.iter().flat_map(|one| [one.name.clone(), one.network_interface.clone()]));
    let names = (1_u64..).map(|number| format!("podman{number}"));
    names.into_iter().find(|name| !taken.contains(name)).unwrap_or_default()
}

fn driver_options(
    network: &mut Network,
    options: &NetworkOptions,
    interfaces: &[String],
) -> Result<()> {
    let number = |key: &str, value: &str, most: u32| {
        let read = value.parse::<u32>().ok().filter(|number| *number <= most);
        read.map(drop)
            .ok_or_else(|| Error::invalid(format!("{key} {value:?} is no number from 0 to {most}")))
    };
    for (key, value) in &options.options {
        match (network.driver.as_str(), key.as_str()) {
            (_, "mtu") => number("mtu", value, 65535)?,
            ("bridge", "vlan") => number("vlan", value, 4094)?,
            ("bridge", "isolate") if matches!(value.as_str(), "true" | "false") => {}
            ("bridge", "isolate") => {
                return Err(Error::invalid(format!("isolate is true or false, not {value:?}")));
            }
            ("macvlan", "mode") => {
                if !["private", "vepa", "bridge", "passthru"].contains(&value.as_str()) {
                    return Err(Error::invalid(format!("unknown macvlan mode {value:?}")));
                }
            }
            ("ipvlan", "mode") => {
                if !["l2", "l3", "l3s"].contains(&value.as_str()) {
                    return Err(Error::invalid(format!("unknown ipvlan mode {value:?}")));
                }
            }
            ("macvlan" | "ipvlan", "parent") => {
                if value.len() > LONGEST_INTERFACE || !interfaces.contains(value) {
                    return Err(Error::invalid(format!("parent interface {value} does not exist")));
                }
                network.network_interface.clone_from(value);
            }
            (driver, _) => {
                let words = format!("unsupported {driver} network option {key}");
                return Err(Error::invalid(words));
            }
        }
    }
    Ok(())
}

fn chance(bytes: &mut [u8]) -> Result<()> {
    let path = Path::new("/dev/urandom");
    let read = File::open(path).and_then(|mut file| file.read_exact(bytes));
    read.map_err(|error| Error::io(error, "reading", path))
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    chance(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn made(options: NetworkOptions) -> Result<Network> {
        let defaults = crate::Defaults::default();
        let known = [Network::usual(String::new(), &defaults)];
        let live = prefixes(&["192.0.2.0/24", "10.89.0.0/24"]);
        design(options, &defaults.pools, &known, &live, vec!["lo".to_owned(), "eth0".to_owned()])
    }

    #[test]
    fn addresses_are_taken_that_nobody_has() {
        let network = made(NetworkOptions::default()).unwrap();
        assert_eq!(
            (network.name.as_str(), network.network_interface.as_str()),
            ("podman1", "podman1")
        );
        assert_eq!(network.subnets, [Subnet::new("10.89.1.0/24".parse().unwrap())]);
        assert!(network.dns_enabled && !network.ipv6_enabled);
        let network = made(NetworkOptions { ipv6: true, ..NetworkOptions::default() }).unwrap();
        assert_eq!(network.subnets.len(), 2);
        assert!(network.subnets[1].subnet.to_string().starts_with("fd"));
    }

    #[test]
    fn ranges_and_gateways_are_those_of_podman() {
        let options = NetworkOptions {
            subnets: prefixes(&["10.77.0.0/24"]),
            gateways: vec!["10.77.0.5".parse().unwrap()],
            ranges: vec!["10.77.0.128/25".to_owned()],
            ..NetworkOptions::default()
        };
        let subnet = &made(options).unwrap().subnets[0];
        let range = subnet.lease_range.clone().unwrap();
        assert_eq!(subnet.gateway.unwrap().to_string(), "10.77.0.5");
        assert_eq!(range.start_ip.unwrap().to_string(), "10.77.0.129");
        assert_eq!(range.end_ip.unwrap().to_string(), "10.77.0.255");
    }

    #[test]
    fn an_ipvlan_is_above_an_interface_and_has_no_names() {
        let network = made(NetworkOptions {
            driver: "ipvlan".to_owned(),
            subnets: prefixes(&["10.77.0.0/24"]),
            options: BTreeMap::from([("mode".to_owned(), "l3".to_owned())]),
            routes: vec![Route::parse("10.78.0.0/16,10.77.0.9").unwrap()],
            interface: "eth0".to_owned(),
            ..NetworkOptions::default()
        })
        .unwrap();
        assert_eq!((network.network_interface.as_str(), network.dns_enabled), ("eth0", false));
        assert_eq!(network.routes.len(), 1);
    }

    #[test]
    fn bridges_are_called_as_is_asked_for() {
        let options = NetworkOptions { interface: "mine0".to_owned(), ..NetworkOptions::default() };
        let network = made(options).unwrap();
        assert_eq!(
            (network.name.as_str(), network.network_interface.as_str()),
            ("podman1", "mine0")
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |words: &str, change: &dyn Fn(&mut NetworkOptions)| {
            let mut options = NetworkOptions::default();
            change(&mut options);
            let error = made(options).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        let option = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        check("unsupported driver ipx", &|options| options.driver = "ipx".to_owned());
        check("not supported with ipvlan", &|options| options.driver = "ipvlan".to_owned());
        check("unknown ipvlan mode \"bridge\"", &|options| {
            options.driver = "ipvlan".to_owned();
            options.subnets = prefixes(&["10.1.0.0/24"]);
            options.options = option("mode", "bridge");
        });
        check("needs at least one subnet", &|options| options.driver = "macvlan".to_owned());
        check("already used on the host", &|options| options.subnets = prefixes(&["192.0.2.0/25"]));
        check("already used", &|options| options.subnets = prefixes(&["10.0.0.0/8"]));
        check("already used", &|options| {
            options.subnets = prefixes(&["10.1.0.0/24", "10.1.0.0/16"]);
        });
        check("without subnet", &|options| options.gateways = vec!["10.0.0.1".parse().unwrap()]);
        check("cannot set more gateways than subnets", &|options| {
            options.subnets = prefixes(&["10.1.0.0/24"]);
            options.gateways = ["10.1.0.1", "fd00::1"].map(|text| text.parse().unwrap()).to_vec();
        });
        check("not in subnet", &|options| {
            options.subnets = prefixes(&["10.1.0.0/24"]);
            options.ranges = vec!["10.2.0.0/25".to_owned()];
        });
        check("it is a block", &|options| {
            options.subnets = prefixes(&["10.1.0.0/24"]);
            options.ranges = vec!["10.1.0.9-10.1.0.3".to_owned()];
        });
        check("already in use", &|options| options.interface = "podman0".to_owned());
        for wrong in ["a/b", "..", "sixteen-letters-"] {
            check("bridge name", &|options| options.interface = wrong.to_owned());
        }
        check("parent interface nope0", &|options| {
            options.driver = "macvlan".to_owned();
            options.subnets = prefixes(&["10.1.0.0/24"]);
            options.interface = "nope0".to_owned();
        });
        check("mtu", &|options| options.options = option("mtu", "many"));
        check("unsupported bridge network option x", &|options| options.options = option("x", ""));
        check("isolate is", &|options| options.options = option("isolate", "maybe"));
        check("DNS is not enabled", &|options| {
            (options.no_dns, options.dns_servers) = (true, vec!["10.0.0.1".parse().unwrap()]);
        });
        check("unsupported ipam", &|options| options.ipam = "dhcp".to_owned());
        check("parent interface", &|options| {
            options.driver = "macvlan".to_owned();
            options.subnets = prefixes(&["10.1.0.0/24"]);
            options.options = option("parent", "nope0");
        });
    }
}
