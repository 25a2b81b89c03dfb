//! Networks of a container that runs already.

use std::net::IpAddr;
use std::path::PathBuf;

use cask_network::Connection;

use super::super::config::{ContainerConfig, NetworkAttachment, NetworkMode};
use super::super::{Container, ContainerState, Containers, etc};
use super::{ContainerNetwork, choice, lease};
use crate::{Error, ErrorKind, Result};

impl Containers {
    /// Connects a container to one more network; at once where it runs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is on it, or has no networks of names; [`ErrorKind::NetworkNotKnown`];
    /// [`ErrorKind::NotStarted`] with what netavark said.
    pub fn connect(&self, container: &Container, mut wanted: NetworkAttachment) -> Result<()> {
        let place = &container.place;
        let _held = place.lock()?;
        let (mut config, state) = place.load()?;
        bridged(&config)?;
        let networks = self.networks();
        let network = networks.find(&wanted.network)?;
        wanted.network.clone_from(&network.name);
        if config.network.attachments.iter().any(|one| one.network == network.name) {
            let words = format!(
                "container {} is already connected to network {:?}",
                config.id, network.name
            );
            return Err(Error::new(ErrorKind::Invalid, words, "network is already connected"));
        }
        choice::check(&network, &wanted)?;
        if wanted.interface.is_empty() {
            wanted.interface = choice::free_interface(&config.network.attachments);
        }
        let Some((namespace, mut kept)) = self.running(container, &state) else {
            config.network.attachments.push(wanted);
            place.save_lasting(&config, &state)?;
            self.tell_network("connect", &network.name, &config);
            return Ok(());
        };
        let mut one = alone(&kept.connection);
        lease(&networks, &config, &wanted, &mut one)?;
        // Before anything is done, so that whoever tidies up knows of it.
        kept.connection.networks.extend(one.networks.clone());
        kept.connection.network_info.extend(one.network_info.clone());
        kept.save(place)?;
        match self.bridges()?.connect(&namespace, &one) {
            Ok(status) => kept.status.extend(status),
            Err(error) => {
                kept.connection.networks.remove(&network.name);
                kept.connection.network_info.remove(&network.name);
                kept.save(place)?;
                networks.leases().give_back(Some(&network.name), &config.id)?;
                return Err(error);
            }
        }
        config.network.attachments.push(wanted);
        kept.save(place)?;
        place.save_lasting(&config, &state)?;
        self.tell_network("connect", &network.name, &config);
        etc::rewrite(&config, place, Some(&kept))
    }

    /// Takes a container off a network; at once where it runs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is not on it; [`ErrorKind::NetworkNotKnown`]; [`ErrorKind::NotStarted`] with
    /// what netavark said.
    pub fn disconnect(&self, container: &Container, network: &str) -> Result<()> {
        let place = &container.place;
        let _held = place.lock()?;
        let (mut config, state) = place.load()?;
        bridged(&config)?;
        let networks = self.networks();
        let name = networks.find(network)?.name;
        let before = config.network.attachments.len();
        config.network.attachments.retain(|one| one.network != name);
        if config.network.attachments.len() == before {
            let words = format!("container {} is not connected to network {name}", config.name);
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        let Some((namespace, mut kept)) = self.running(container, &state) else {
            place.save_lasting(&config, &state)?;
            self.tell_network("disconnect", &name, &config);
            return Ok(());
        };
        let mut one = alone(&kept.connection);
        one.networks.extend(kept.connection.networks.remove_entry(&name));
        one.network_info.extend(kept.connection.network_info.remove_entry(&name));
        kept.status.remove(&name);
        self.bridges()?.disconnect(&namespace, &one)?;
        networks.leases().give_back(Some(&name), &config.id)?;
        kept.save(place)?;
        place.save_lasting(&config, &state)?;
        self.tell_network("disconnect", &name, &config);
        etc::rewrite(&config, place, Some(&kept))
    }

    /// Makes the rules for a container again, after somebody removed all rules of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where it does not run; [`ErrorKind::NotStarted`] with what netavark said.
    pub fn reload_network(&self, container: &Container) -> Result<()> {
        let place = &container.place;
        let _held = place.lock()?;
        let (config, state) = place.load()?;
        bridged(&config)?;
        let Some((namespace, mut kept)) = self.running(container, &state) else {
            let words = format!("cannot reload network of container {}", config.id);
            return Err(Error::new(ErrorKind::StateImproper, words, "it does not run"));
        };
        let bridges = self.bridges()?;
        // The rules may be gone, which is why.
        let _ = bridges.disconnect(&namespace, &kept.connection);
        let mut again = kept.connection.clone();
        for (name, attachment) in &mut again.networks {
            // Whoever knows its hardware address shall go on to reach it.
            let interfaces = kept.status.get(name).map(|status| &status.interfaces);
            let interface = interfaces.and_then(|all| all.get(&attachment.interface_name));
            attachment.static_mac = interface.map(|one| one.mac_address.clone());
        }
        kept.status = bridges.connect(&namespace, &again)?;
        kept.save(place)
    }

    /// The network namespace of a container that runs, and how it is connected.
    fn running(
        &self,
        container: &Container,
        state: &ContainerState,
    ) -> Option<(PathBuf, ContainerNetwork)> {
        if !state.status.has_process() {
            return None;
        }
        let kept = ContainerNetwork::load(&container.place)?;
        Some((PathBuf::from(format!("/proc/{}/ns/net", state.pid)), kept))
    }
}

impl Containers {
    /// As [`Networks::change_servers`](cask_network::Networks::change_servers), where the networks are.
    ///
    /// # Errors
    /// As there.
    pub fn change_servers(&self, network: &str, add: &[IpAddr], remove: &[IpAddr]) -> Result<()> {
        match self.bridges_there_are()? {
            Some(bridges) => {
                bridges.inside(|networks| networks.change_servers(network, add, remove))
            }
            None => Ok(self.networks().change_servers(network, add, remove)?),
        }
    }
}

/// The same container on no network.
fn alone(connection: &Connection) -> Connection {
    Connection {
        container_id: connection.container_id.clone(),
        container_name: connection.container_name.clone(),
        port_mappings: connection.port_mappings.clone(),
        ..Connection::default()
    }
}

fn bridged(config: &ContainerConfig) -> Result<()> {
    match &config.network.mode {
        NetworkMode::Bridge(_) => Ok(()),
        mode => Err(Error::new(
            ErrorKind::Invalid,
            format_args!("\"{mode}\" is not supported"),
            "invalid network mode",
        )),
    }
}
