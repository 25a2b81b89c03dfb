//! Which networks somebody wants a container to have.

use std::net::IpAddr;

use super::super::Containers;
use super::super::config::{ContainerConfig, NetworkAttachment, NetworkMode};
use super::{ports, refused};
use crate::Result;

/// Reads the values of `--network`: a mode, or networks with or without options; `usual` is the name of the one that a
/// bridge without a name is.
///
/// Source: podman, `pkg/specgen/namespaces.go`, `ParseNetworkFlag`.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
pub fn parse_networks(
    values: &[String],
    usual: &str,
) -> Result<(NetworkMode, Vec<NetworkAttachment>)> {
    let mut networks: Vec<NetworkAttachment> = Vec::new();
    for value in values {
        let (word, options) =
            value.split_once(':').map_or((value.as_str(), None), |(a, b)| (a, Some(b)));
        let attachments = match (word, options) {
            ("bridge" | "default" | "private" | "", None) => {
                vec![NetworkAttachment::of(usual)]
            }
            ("bridge" | "default" | "private", Some(options)) => {
                vec![attachment_options(usual, options)?]
            }
            ("none" | "host" | "container" | "ns" | "pasta" | "slirp4netns", _) => {
                if values.len() > 1 {
                    let why =
                        "can only set extra network names, selected mode but bridge is required";
                    return Err(refused(format_args!("--network {value:?}"), why));
                }
                return Ok((value.parse()?, Vec::new()));
            }
            (name, Some(options)) => vec![attachment_options(name, options)?],
            (names, None) => names.split(',').map(NetworkAttachment::of).collect(),
        };
        networks.extend(attachments);
    }
    for (index, one) in networks.iter().enumerate() {
        if one.network.is_empty() {
            return Err(refused("network name", "it cannot be empty"));
        }
        if networks[..index].iter().any(|other| other.network == one.network) {
            return Err(refused(format_args!("network {:?}", one.network), "it is given twice"));
        }
    }
    Ok((NetworkMode::Bridge(Vec::new()), networks))
}

/// Reads the options of one network: `ip=10.0.0.2,alias=db,mac=…,interface_name=…`.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
pub fn attachment_options(network: &str, options: &str) -> Result<NetworkAttachment> {
    let mut found = NetworkAttachment::of(network);
    for option in options.split(',') {
        let Some((key, value)) = option.split_once('=').filter(|(_, value)| !value.is_empty())
        else {
            return Err(refused(format_args!("{option:?}"), "an option of a network is KEY=VALUE"));
        };
        match key {
            "alias" => found.aliases.push(value.to_owned()),
            "ip" | "ip6" => found.addresses.push(address(value)?),
            "mac" => found.mac = Some(mac(value)?),
            "interface_name" => value.clone_into(&mut found.interface),
            _ => {
                let why = "they are alias, ip, ip6, mac and interface_name";
                return Err(refused(format_args!("unknown bridge network option: {key}"), why));
            }
        }
    }
    Ok(found)
}

fn address(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| refused(format_args!("\"{text}\""), "is not an ip address"))
}

/// A hardware address, in the form that netavark reads.
fn mac(text: &str) -> Result<String> {
    let text = text.replace('-', ":").to_ascii_lowercase();
    let pair = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.split(':').count() == 6 && text.split(':').all(pair) {
        true => Ok(text),
        false => Err(refused(format_args!("address {text}"), "invalid MAC address")),
    }
}

impl NetworkAttachment {
    /// On this network, with what is usual.
    pub fn of(network: &str) -> Self {
        Self { network: network.to_owned(), ..Self::default() }
    }

    /// Asks for an address, a hardware address, and other names.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    pub fn ask(
        &mut self,
        addresses: &[String],
        hardware: Option<&str>,
        aliases: &[String],
    ) -> Result<()> {
        for text in addresses {
            self.addresses.push(address(text)?);
        }
        if let Some(text) = hardware {
            self.mac = Some(mac(text)?);
        }
        self.aliases.extend(aliases.iter().cloned());
        Ok(())
    }
}

impl Containers {
    /// The network of a container for which nobody chose one: a bridge for root, pasta for a user.
    pub fn usual_network(&self) -> NetworkMode {
        match self.places.rootless {
            true => NetworkMode::Pasta(Vec::new()),
            false => NetworkMode::Bridge(Vec::new()),
        }
    }

    /// Settles what a container that is being made has: names of networks, names of interfaces, ports.
    pub(in crate::containers) fn settle_network(&self, config: &mut ContainerConfig) -> Result<()> {
        let network = &mut config.network;
        match &mut network.mode {
            NetworkMode::Bridge(names) => {
                let names = std::mem::take(names);
                network.attachments.extend(names.iter().map(|name| NetworkAttachment::of(name)));
                if network.attachments.is_empty() {
                    let usual = &self.places.defaults.network;
                    network.attachments.push(NetworkAttachment::of(usual));
                }
                let other = network.ports.iter().find(|port| port.protocol == "sctp");
                if self.places.rootless && other.is_some() {
                    return Err(refused("can't forward protocol: sctp", "a user has tcp and udp"));
                }
            }
            NetworkMode::Pasta(_) if !self.places.rootless => {
                let why = "pasta is the network of users without privileges; root has bridge";
                return Err(refused("--network pasta", why));
            }
            // It has ports, and no networks of names.
            NetworkMode::Pasta(_) if network.attachments.is_empty() => {}
            mode => {
                if !network.attachments.is_empty() {
                    return Err(refused(mode.to_string(), "it has no networks of names"));
                }
                return Ok(());
            }
        }
        let networks = self.networks();
        for index in 0..network.attachments.len() {
            let found = networks.find(&network.attachments[index].network)?;
            check(&found, &network.attachments[index])?;
            network.attachments[index].network = found.name;
            if network.attachments[index].interface.is_empty() {
                network.attachments[index].interface = free_interface(&network.attachments);
            }
        }
        ports::choose(&mut network.ports)
    }
}

/// Refuses what a network cannot give.
pub(super) fn check(network: &cask_network::Network, wanted: &NetworkAttachment) -> Result<()> {
    if !wanted.aliases.is_empty() && !network.dns_enabled {
        let name = &network.name;
        let words =
            format!("cannot set network aliases for network {name:?} because dns is disabled");
        return Err(refused(words, "invalid argument"));
    }
    for address in &wanted.addresses {
        if !network.subnets.iter().any(|subnet| subnet.subnet.contains(*address)) {
            let name = &network.name;
            let words =
                format!("requested static ip {address} not in any subnet on network {name}");
            return Err(refused(words, ""));
        }
    }
    let name = &wanted.interface;
    let valid = name.len() <= 15
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:".contains(&byte));
    if !valid || matches!(name.as_str(), "." | ".." | "lo") {
        return Err(refused(format_args!("interface {name:?}"), "it is no name for an interface"));
    }
    Ok(())
}

/// The first of `eth0`, `eth1`, … that none has.
pub(super) fn free_interface(attachments: &[NetworkAttachment]) -> String {
    let names = (0_u32..).map(|number| format!("eth{number}"));
    let taken = |name: &String| attachments.iter().any(|one| one.interface == *name);
    names.into_iter().find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_their_options() {
        let check = |values: &[&str], expected: &str| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            let shown = match parse_networks(&values, "podman") {
                Ok((mode, networks)) => networks.iter().fold(mode.to_string(), |text, one| {
                    let NetworkAttachment { network, interface, addresses, aliases, mac } = one;
                    format!("{text} {network}/{interface}{addresses:?}{aliases:?}{mac:?}")
                }),
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(shown, expected, "{values:?}");
        };
        check(&["bridge"], "bridge podman/[][]None");
        check(&["a,b"], "bridge a/[][]None b/[][]None");
        check(&["a", "b:alias=x,alias=y"], "bridge a/[][]None b/[][\"x\", \"y\"]None");
        check(
            &["a:ip=10.0.0.2,ip6=fd00::2,mac=AA-bb-cc-dd-ee-ff,interface_name=net0"],
            "bridge a/net0[10.0.0.2, fd00::2][]Some(\"aa:bb:cc:dd:ee:ff\")",
        );
        check(&["bridge:ip=10.88.0.7"], "bridge podman/[10.88.0.7][]None");
        check(&["none"], "none");
        check(&["pasta:-T,5000"], "pasta:-T,5000");
        check(&["ns:/run/netns/x"], "ns:/run/netns/x");
        for wrong in [
            &["none", "a"][..],
            &["a:ip=x"],
            &["a:nope=1"],
            &["a:ip"],
            &["a:mac=aa:bb"],
            &["a", "a"],
            &["a,"],
            &["slirp4netns"],
        ] {
            check(wrong, "refused");
        }
    }

    #[test]
    fn interfaces_are_numbered_around_those_that_have_names() {
        let mut one = NetworkAttachment::of("a");
        assert_eq!(free_interface(&[]), "eth0");
        one.interface = "eth0".to_owned();
        assert_eq!(free_interface(&[one]), "eth1");
    }
}
