//! What a container is connected to while it runs.
//!
//! ```text
//! RUN ROOT/cask/containers/<id>/network.json   what was asked of netavark and pasta, until it is taken back
//! ```
//!
//! Its network namespace is kept by its processes and its monitor alone: where all of them were killed, the kernel
//! removes it with its interfaces. What is left then are rules, names and leases, which this file knows of.

mod bridges;
mod change;
mod choice;
mod forward;
mod live;
mod ports;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use cask_network::{Attachment, Connection, Network, Networks, Places, Status};
use cask_runtime::{ProcessHandle, Signal};
use serde::{Deserialize, Serialize};

use super::config::{ContainerConfig, NetworkAttachment, NetworkMode};
use super::record::{Place, boot, io};
use super::{Container, Containers};
use crate::{Error, ErrorKind, Images, Result};

pub use choice::{attachment_options, parse_networks};
pub(super) use live::Live;

/// How a container that runs is connected.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ContainerNetwork {
    /// Which start of the machine this is about.
    pub boot: String,
    /// What netavark was told.
    pub connection: Connection,
    /// What netavark answered, for each network.
    pub status: BTreeMap<String, Status>,
    /// The process of its pasta, and when that began.
    pub pasta: Option<(u32, u64)>,
    /// Its networks are a user's, which pasta leads out of.
    pub of_user: bool,
}

impl ContainerNetwork {
    fn path(place: &Place) -> PathBuf {
        place.run.join("network.json")
    }

    /// Reads it. `None` where the container is not connected, or was when the machine ran last.
    fn load(place: &Place) -> Option<Self> {
        let bytes = std::fs::read(Self::path(place)).ok()?;
        let read: Self = serde_json::from_slice(&bytes).ok()?;
        (read.boot == boot()).then_some(read)
    }

    fn save(&self, place: &Place) -> Result<()> {
        let path = Self::path(place);
        let new = path.with_extension("new");
        let bytes = serde_json::to_vec(self).expect("texts and numbers can be written");
        let written = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path));
        written.map_err(|error| io(error, "writing", &path))
    }

    fn remove(place: &Place) {
        // Without it there is nothing to take back.
        let _ = std::fs::remove_file(Self::path(place));
    }

    /// The addresses of the container, each with how many of its bits all on the network have.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let interfaces = self.status.values().flat_map(|status| status.interfaces.values());
        interfaces.flat_map(|one| &one.subnets).filter_map(cask_network::InterfaceSubnet::address)
    }

    /// Where it reaches this machine.
    pub fn gateway(&self) -> Option<IpAddr> {
        let interfaces = self.status.values().flat_map(|status| status.interfaces.values());
        interfaces.flat_map(|one| &one.subnets).find_map(|subnet| subnet.gateway)
    }

    /// Ends its pasta, whoever started that.
    fn stop_pasta(&self) {
        let process =
            self.pasta.and_then(|(pid, started)| ProcessHandle::open(pid, Some(started)).ok()?);
        if let Some(process) = process
            && process.signal(Signal::KILL).is_ok()
        {
            process.wait(Some(std::time::Duration::from_secs(5)));
        }
    }
}

impl Container {
    /// How it is connected; `None` where it is not, or does not run.
    pub fn network(&self) -> Option<ContainerNetwork> {
        ContainerNetwork::load(&self.place)
    }
}

/// Where the networks are, of a store.
pub(super) fn usual_places(images: &Images) -> Places {
    let options = images.store().options();
    match options.rootless {
        true => Places::of_user(&options.graph_root, &options.run_root),
        false => Places::of_root(),
    }
}

impl Containers {
    /// The networks of this machine, or of this user.
    pub fn networks(&self) -> Networks {
        Networks::new(self.places.clone())
    }

    /// The containers that are on a network, whether they run or not.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn users_of_network(&self, network: &str) -> Result<Vec<Container>> {
        let mut all = self.all(|_| ())?;
        all.retain(|one| one.config.network.attachments.iter().any(|a| a.network == network));
        Ok(all)
    }

    /// The container whose network another one shares, however many share it in between; `None` for one that has its
    /// own, or none.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`](crate::ErrorKind::ContainerNotKnown) where it was removed.
    pub fn network_owner(&self, config: &ContainerConfig) -> Result<Option<Container>> {
        let mut owner = None;
        let mut mode = config.network.mode.clone();
        while let NetworkMode::Container(id) = mode {
            let other = self.find(&id)?;
            mode = other.config.network.mode.clone();
            owner = Some(other);
        }
        Ok(owner)
    }

    /// Takes back what a container that was killed with its monitor left behind.
    pub(super) fn forget_network(&self, container: &Container) -> Result<()> {
        let place = &container.place;
        let Some(left) = ContainerNetwork::load(place) else {
            ContainerNetwork::remove(place);
            return Ok(());
        };
        left.stop_pasta();
        if !left.connection.networks.is_empty()
            && let Some(bridges) = self.bridges_there_are()?
        {
            let namespace = cask_runtime::new_network_namespace()?;
            // What netavark cannot take back is no reason to keep the container.
            let _ = bridges.forget(&live::path_of(&namespace), &left.connection);
        }
        self.networks().leases().give_back(None, container.id())?;
        ContainerNetwork::remove(place);
        Ok(())
    }
}

/// One of a container's networks as netavark has it.
fn told(
    config: &ContainerConfig,
    wanted: &NetworkAttachment,
    addresses: Vec<IpAddr>,
) -> Attachment {
    let mut aliases = wanted.aliases.clone();
    aliases.push(config.id.chars().take(12).collect());
    Attachment {
        static_ips: addresses,
        aliases,
        static_mac: wanted.mac.clone(),
        interface_name: wanted.interface.clone(),
    }
}

fn ports_of(config: &ContainerConfig) -> Vec<cask_network::PortMapping> {
    let one = |port: &super::PortMapping| cask_network::PortMapping {
        host_ip: port.host_ip.clone(),
        container_port: port.container_port,
        host_port: port.host_port,
        range: port.range,
        protocol: port.protocol.clone(),
    };
    config.network.ports.iter().map(one).collect()
}

/// Leases addresses on one network, and adds it to what netavark is told.
fn lease(
    networks: &Networks,
    config: &ContainerConfig,
    wanted: &NetworkAttachment,
    connection: &mut Connection,
) -> Result<Network> {
    let network = networks.find(&wanted.network)?;
    let addresses = networks.leases().take(&network, &config.id, &wanted.addresses)?;
    connection.networks.insert(network.name.clone(), told(config, wanted, addresses));
    connection.network_info.insert(network.name.clone(), network.clone());
    Ok(network)
}

fn refused(subject: impl std::fmt::Display, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, subject, why)
}
